"""What a lake has of an entity goes, from everywhere and for good, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sluice.declare.durations import HOUR
from sluice.errors import DataError, Outage, UserError
from sluice.lake.accounts import accounts
from sluice.lake.forgetting.erasers import unknown
from sluice.lake.forgetting.erasures import Receipt, receipts
from sluice.lake.forgetting.forget import Online, finish, forget
from sluice.lake.forgetting.plan import entity_of, plan
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.lake.keeping import holds
from sluice.lake.keeping.present import tables
from sluice.lake.publish import Batch, publish, turn_of
from sluice.lake.tables import Lake
from tests.sluice.lake.forgetting.lakes import (
    FIRST,
    PIPELINE,
    ZEBRA,
    Market,
    made,
    mentions,
    order,
    remember_by,
    returned,
    untouched_version,
    zebra,
)
from tests.sluice.lake.test_publish import Killed, MortalLake
from tests.sluice.lake.tile_tables import tiles_at
from tests.spark_jobs.deliveries import AT

pytestmark = pytest.mark.integration

NAMES = pseudonyms_of("a secret")
NOW = AT + 2 * HOUR
IDS = [FIRST + number for number in [*range(10), 20, 21, 40, 41, 99]]
RETURNS = [501, 502, 504]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return made(tmp_path_factory.mktemp("made") / "market")


@pytest.fixture(scope="module")
def after(before: Market, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """The same lake without the customer, to look at."""
    found = before.copied(tmp_path_factory.mktemp("after") / "market")
    gone(found)
    return found


@pytest.fixture
def shop(before: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    """The same lake for one test, whose erasures are made under the key of its settings."""
    remember_by("a secret", monkeypatch)
    return before.copied(tmp_path / "own")


def gone(shop: Market, lake: Lake | None = None, *, what: str = f"customer={ZEBRA}", at: int = NOW) -> Receipt:
    entity = entity_of(PIPELINE, what, at)
    return forget(lake or shop.lake, PIPELINE, entity, NAMES, nowhere, by="Ada", because="a letter")


def nowhere(_: Online) -> None:
    """There is no online store."""


def ids(shop: Market, stream: str = "orders") -> list[int]:
    return sorted(found[0] for found in shop.silver("_id", stream=stream))


def vectors(shop: Market, table: str) -> list[dict[str, Any]]:
    return sorted(shop.lake.read(table).to_pylist(), key=lambda row: row["event_id"])


def test_every_byte_of_every_table_is_without_it(before: Market, after: Market) -> None:
    found = {name.partition("/")[0] for name in mentions(before.folder / "lake" / "market", IDS)}
    assert found >= {
        "events", "silver", "quarantine", "held", "conflicts", "late", "replays", "rows", "rows_as_served", "vectors",
        "vectors_as_served", "tiles", "predictions", "predictions_refused", "audits", "requests", "legal_holds", "work",
        "verdicts", "asof",
    }  # fmt: skip
    assert mentions(after.folder / "lake" / "market", IDS) == []
    assert unknown(tables(after.lake)) == []


def test_the_sums_close_and_nothing_else_is_gone(before: Market, after: Market) -> None:
    for stream, those in (("orders", IDS), ("returns", RETURNS)):
        assert ids(after, stream) == [one for one in ids(before, stream) if one not in those]
    then, now, (told,) = before.accounts(), after.accounts(), receipts(after.lake)
    assert now.produced_bronze == then.produced_bronze
    assert now.erased == told.rows["events/orders"]
    assert (then.duplicates, then.conflicts, then.superseded) == (1, 1, 1)
    assert (now.duplicates, now.conflicts, now.superseded) == (0, 0, 0)
    assert (then.held, now.held, then.waiting, now.waiting) == (4, 2, 2, 1)
    assert then.quarantined["category"] == 2
    assert now.quarantined == {"category": 1}
    assert after.accounts("returns").erased == 3
    assert after.ailments() == []


def test_the_receipt_says_what_went_and_not_who_it_was(after: Market) -> None:
    (told,) = receipts(after.lake)
    assert (told.state, told.by, told.because, told.at, told.of) == ("done", "Ada", "a letter", NOW, "customer")
    assert told.entity == NAMES.of("customer", ZEBRA).hex() != pseudonyms_of("other").of("customer", ZEBRA).hex()
    assert told.rows["silver/orders"] == 11
    assert told.versions["vectors"] == after.lake.version("vectors")
    assert told.models == ["market/after", "market/before"]
    seen = {row["of"] for row in after.lake.rows("erased") if row["kind"] == "seen"}
    assert seen == {"buying", "selling", "risk", "told"}


def test_what_is_computed_afterwards_is_what_a_lake_says_that_never_met_it(shop: Market, tmp_path: Path) -> None:
    gone(shop)
    amended = {view: tiles_at(shop.lake, view, AT + HOUR) for view in PIPELINE.windows}
    assert shop.computed(at=AT + HOUR)[0] == "computing everything: an entity was forgotten since"
    other = Market(tmp_path / "other")
    rows = {stream: shop.lake.read(f"silver/{stream}") for stream in ("orders", "returns")}
    assert other.deliver("a", **{name: _raw(table, name) for name, table in rows.items()}) is None
    other.load({"c1": 1, "c2": 2, "c0": 3})
    other.computed(at=AT + HOUR)
    assert vectors(shop, "vectors") == vectors(other, "vectors")
    served = {row["event_id"] for row in vectors(shop, "vectors_as_served")}
    assert served == {row["event_id"] for row in vectors(other, "vectors")} == set(ids(shop))
    for view, tiles in amended.items():
        assert tiles == tiles_at(shop.lake, view, AT + HOUR) == tiles_at(other.lake, view, AT + HOUR)


def _raw(rows: pa.Table, stream: str) -> list[dict[str, Any]]:
    """Events of silver as a file would tell them."""
    names = PIPELINE.stream(stream).all_columns
    plain = [
        {name: str(row[name]) if name in {"ordered_at", "told_at", "amount"} else row[name] for name in names}
        for row in rows.to_pylist()
    ]
    return [{**row, "_revision": one} for row, one in zip(plain, rows.column("_revision").to_pylist(), strict=True)]


def test_a_model_of_a_version_that_had_it_cannot_be_made_again_and_one_of_another_can(shop: Market) -> None:
    version = untouched_version(shop)
    others = shop.lake.read("vectors", version=version)
    told = gone(shop)
    assert told.models == ["market/after", "market/before"]
    assert shop.lake.read("vectors", version=version) == others
    with pytest.raises(DataError, match="version 0 of 'vectors' cannot be read: files of it are gone") as raised:
        shop.lake.read("vectors", version=0)
    assert "sluice forget list" in str(raised.value)


def test_looking_changes_nothing(shop: Market, after: Market) -> None:
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in shop.folder.rglob("*") if path.is_file()}

    was = state()
    planned = plan(shop.lake, PIPELINE, entity_of(PIPELINE, f"customer={ZEBRA}", NOW), NAMES)
    assert state() == was
    (told,) = receipts(after.lake)
    assert ({table: one.rows for table, one in planned.shares.items()}, planned.models) == (told.rows, told.models)


def test_one_that_dies_before_any_commit_is_finished_by_the_next(small: Market, tmp_path: Path) -> None:
    """Pseudonyms and an announcement; a commit for each table, the fence of each stream, each table again; the end."""
    whole, counted = small.copied(tmp_path / "whole"), Counting(small.uri, "market")
    counted.root = counted.root.replace(str(small.folder), str(whole.folder))
    gone(whole, counted)
    assert counted.commits > 10
    for commits in range(0, counted.commits, 3):
        shop = small.copied(tmp_path / f"after-{commits}")
        dying = MortalLake(shop.uri, "market", commits)
        with pytest.raises(Killed):
            gone(shop, dying)
        told = shop.ailments()
        assert [one.partition(":")[0] for one in told] == ["erasures are finished"], commits
        if commits < 2:
            gone(shop)
        else:
            (done,) = finish(shop.lake, PIPELINE, NAMES, nowhere)
            assert done.rows == receipts(whole.lake)[0].rows
        assert ids(shop) == ids(whole) == [1, 2]
        assert accounts(shop.lake, "orders") == whole.accounts()
        # what was never announced stays until it is old
        assert commits < 2 or shop.ailments() == []
        left = [name for name in mentions(shop.folder / "lake", IDS[:3]) if commits >= 2 or "forgetting/" not in name]
        assert left == []


class Counting(Lake):
    """A lake that counts commits."""

    commits = 0

    def commit(self, *asked: Any) -> Any:
        self.commits += 1
        return super().commit(*asked)


def test_the_same_events_again_are_kept_out_and_what_happens_afterwards_is_not(small: Market) -> None:
    gone(small)
    old = small.folder / "a-orders.jsonl"
    assert small.deliver("again", orders=old) is None
    later = zebra(50, ordered_at="2026-01-01 13:00:00")
    rows = [zebra(0), zebra(60), later, order(3), order(FIRST, "c9", _revision=1), {"order_id": FIRST + 1}]
    told = [returned(FIRST, 601), returned(FIRST + 1, 602), returned(3, 603)]
    assert small.deliver("other", at=NOW + 2 * HOUR, orders=rows, returns=told) is None
    assert ids(small) == [1, 2, 3, FIRST + 50]
    assert ids(small, "returns") == [502, 603]
    found = small.accounts()
    assert (found.erased, found.quarantined) == (3 + 4, {})
    assert small.accounts("returns").erased == 1 + 2
    assert small.ailments() == []
    assert mentions(small.folder / "lake", IDS[:3])
    gone(small, at=NOW + 3 * HOUR)
    assert ids(small) == [1, 2, 3]
    assert mentions(small.folder / "lake", [*IDS[:3], FIRST + 50]) == []


def test_an_event_that_became_anothers_loses_what_it_was_before_and_stays(small: Market) -> None:
    moved = [order(63, ZEBRA), order(63, "c2", _revision=1), order(64, "c2")]
    back = [order(64, ZEBRA, _revision=1)]
    assert small.deliver("b", at=AT, orders=[*moved, *back], returns=[returned(63, 603), returned(64, 604)]) is None
    small.computed()
    gone(small)
    assert small.silver("_id", "_revision", "customer") == [(1, 0, "c1"), (2, 0, "c2"), (63, 1, "c2")]
    assert ids(small, "returns") == [502, 603]
    assert {row["event_id"] for row in vectors(small, "vectors")} == {1, 2, 63}
    assert mentions(small.folder / "lake", IDS[:3]) == []
    assert (small.accounts().superseded, small.ailments()) == (0, [])


def test_a_restated_day_does_not_bring_it_back(small: Market) -> None:
    from sluice.lake.days import days

    gone(small)
    rows = [zebra(0), zebra(1), order(1, amount=9), order(2, "c2")]
    assert small.deliver("day", at=NOW, orders=rows, restates=days("2026-01-01", where="")) is None
    assert ids(small) == [1, 1, 2]
    assert small.accounts().erased == 5


@pytest.mark.parametrize(
    "on", [f"customer={ZEBRA}", "seller=70", "orders", "silver/returns"], ids=["entity", "shared", "stream", "table"]
)
def test_under_a_legal_hold_nothing_goes_and_it_is_told_who_placed_it(small: Market, on: str) -> None:
    placed = holds.place(small.lake, PIPELINE, on, by="Eve", because="case 4711", at=AT)
    with pytest.raises(UserError) as raised:
        gone(small)
    assert str(raised.value).startswith(f"forget: {on} is under a legal hold: Eve, because 'case 4711'\n")
    assert f"market.py {placed.hold} --by WHO" in str(raised.value)
    assert (len(ids(small)), receipts(small.lake)) == (5, [])
    holds.lift(small.lake, placed.hold, by="Eve", because="closed", at=AT + 1)
    gone(small)
    assert ids(small) == [1, 2]
    if "=" in on:
        assert {row["by"] for row in small.lake.rows("legal_holds")} == {"Eve"}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("amount=1", "unknown key 'amount'"),
        ("custommer=x", "did you mean 'customer'?"),
        ("customer", "'customer' has no value"),
        ("customer=", "'' is no value of 'customer'"),
        ("seller=x", "'x' is no value of 'seller'"),
    ],
)
def test_what_is_no_entity_is_refused_with_the_keys_there_are(small: Market, what: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        gone(small, what=what)
    assert message in str(raised.value)
    assert receipts(small.lake) == []


def test_an_erasure_has_a_person_and_a_reason(small: Market) -> None:
    entity = entity_of(PIPELINE, f"customer={ZEBRA}", NOW)
    for by, because in ((" ", "a letter"), ("Ada", "")):
        with pytest.raises(UserError, match="an erasure names a person and a reason"):
            forget(small.lake, PIPELINE, entity, NAMES, nowhere, by=by, because=because)


def test_under_another_key_nothing_is_taken_in_or_away(small: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    gone(small)
    remember_by("another", monkeypatch)
    with pytest.raises(UserError, match="was made under another key than the one that is here"):
        small.deliver("b", orders=[order(3)])
    with pytest.raises(UserError, match="was made under another key than the one that is here"):
        forget(
            small.lake, PIPELINE, entity_of(PIPELINE, "customer=c1", NOW), pseudonyms_of("another"), nowhere,
            by="Ada", because="x",
        )  # fmt: skip


def test_a_batch_that_was_judged_before_is_judged_anew(small: Market) -> None:
    turn = turn_of(small.lake, "orders")
    gone(small)
    batch = Batch("b", "orders", AT, 1, 1, 0, 0, 0, {}, {}, "c", {})
    with pytest.raises(Outage, match="another process has moved 'stream:orders'"):
        publish(small.lake, batch, {}, turn=turn)


def test_of_two_at_once_one_does_it(small: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice.lake.forgetting import erasures
    from sluice.lake.forgetting.forget import announced

    planned = plan(small.lake, PIPELINE, entity_of(PIPELINE, "customer=c2", NOW), NAMES)
    gone(small)
    with pytest.raises(Outage, match="another process has moved 'erasures'"):
        erasures.announce(small.lake, announced(planned, NAMES, "Bob", "a letter"), [], planned.turn)
    assert [one.by for one in receipts(small.lake)] == ["Ada"]


def test_a_number_is_an_entity_too(small: Market) -> None:
    """Of the orders of a seller, a customer's among them."""
    rest = {row["order_id"] for row in small.lake.rows("silver/orders") if row["seller"] == 70}
    gone(small, what="seller=71")
    assert set(ids(small)) == rest
    assert small.ailments() == []
