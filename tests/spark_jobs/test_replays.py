"""Refused rows: each with its reason and its run, and back in history once, whatever dies in between."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from sluice.errors import UserError
from sluice.lake.accounts import Accounts
from sluice.lake.delivery import Delivery
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.refused import Place, Refused, Wanted, groups, refused
from sluice.lake.repairs import Edits, Repair, controlled, edited, mended, shown
from sluice.lake.replays import Mended, Replay, batch_of, claim, finish, land, landed_at, replay_of, unfinished
from sluice.lake.tables import Lake
from spark_jobs.ingest import ingest
from tests.sluice.lake.shop import orders as declared
from tests.sluice.lake.test_publish import Killed, mortal
from tests.spark_jobs.deliveries import AT, FILE, HOUR, Shop, order, orders

pytestmark = pytest.mark.integration

LATER = AT + 3 * HOUR


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop that has refused two of twelve orders: one from a channel nobody declared, one that costs too much."""
    shop = Shop(tmp_path)
    wrong = [order(11, channel="phone"), order(12, amount=2000.5)]
    assert shop.deliver("a", orders=[*orders(1, 10), *wrong]) is None
    return shop


def found(shop: Shop, wanted: Wanted | None = None) -> list[Refused]:
    return list(refused(shop.lake, "orders", wanted or Wanted()))


def picked(shop: Shop, repair: Repair | None = None, edits: Edits | None = None, **wanted: str) -> list[Mended]:
    rows = controlled(shop.lake, "orders", found(shop, Wanted(**wanted)))
    renamed = {"renamed": {"amount": "total"}}
    return mended(declared, rows, repair or Repair(), edits, renamed)


def claimed(lake: Lake, rows: list[Mended], at: int = LATER) -> Replay:
    return claim(lake, "orders", rows, by="Ada", because="phones are new", at=at)


def bring(shop: Shop, replay: Replay) -> Accounts:
    ingest(shop.workers, Delivery(str(FILE), shop.uri, batch_of(replay.name), replay.at, replay=replay.name))
    return shop.accounts()


def test_a_refused_row_is_kept_with_rule_value_batch_and_run(shop: Shop) -> None:
    phone, dear = found(shop)
    assert (phone.rule, phone.column, phone.value, phone.allowed) == ("category", "channel", '"phone"', "web, shop")
    assert (dear.rule, dear.column, dear.value) == ("range", "amount", "2000.5")
    assert (phone.batch, phone.place.position, phone.state) == ("a", 10, "waiting")
    (batch,) = shop.lake.published("orders")
    assert {phone.run, dear.run} == {batch["run"]} == {row["run"] for row in shop.lake.rows("verdicts")}


def test_a_mended_row_is_in_history_and_known_from_when_it_came_back(shop: Shop) -> None:
    rows = picked(shop, Repair(values={"channel": "shop"}), rule="category")
    replay = claimed(shop.lake, rows)
    after = bring(shop, replay)
    assert (after.produced_bronze, after.silver, after.quarantined) == (13, 11, {"category": 1, "range": 1})
    back = shop.silver("order_id", "channel", "_known", "_batch", "_source", "_position")[-1]
    assert back == (11, "shop", LATER, f"replay-{replay.name}", f"replay:{replay.name}", 0)
    assert [row.state for row in found(shop)] == ["back", "waiting"]
    assert [row.replay for row in found(shop)] == [replay.name, None]


def test_the_same_replay_again_adds_nothing_and_another_cannot_take_the_row(shop: Shop) -> None:
    rows = picked(shop, Repair(values={"channel": "shop"}), rule="category")
    other = picked(shop, Repair(values={"channel": "web"}), rule="category")
    replay = claimed(shop.lake, rows)
    assert bring(shop, replay) == bring(shop, claimed(shop.lake, rows, LATER + HOUR))
    with pytest.raises(UserError, match=rf"1 of the rows are replayed already: .*/0/10 \(replay {replay.name}\)"):
        claimed(shop.lake, other)
    assert picked(shop, rule="category") == []


def test_a_row_that_is_refused_again_waits_under_its_new_place(shop: Shop) -> None:
    replay = claimed(shop.lake, picked(shop, Repair(values={"amount": 1500}), rule="range"))
    after = bring(shop, replay)
    assert (after.silver, after.quarantined) == (10, {"category": 1, "range": 2})
    (again,) = [row for row in found(shop) if row.batch == replay.batch]
    assert (again.place, again.value, again.state) == (Place(f"replay:{replay.name}", 0, 0), "1500", "waiting")
    second = claimed(shop.lake, picked(shop, Repair(values={"amount": 150}), batch=replay.batch))
    assert bring(shop, second).silver == 11


def test_what_is_refused_is_listed_by_batch_and_reason_with_what_became_of_it(shop: Shop) -> None:
    shop.deliver("b", at=AT + HOUR, orders=[*orders(13, 20), order(21, channel="phone"), order(22, channel="fax")])
    bring(shop, claimed(shop.lake, picked(shop, Repair(values={"channel": "shop"}), rule="category", batch="b")))
    listed = groups(shop.lake, ["orders"], Wanted())
    assert [(one.batch, one.rule, one.rows, one.value, dict(one.states)) for one in listed] == [
        ("a", "range", 1, "2000.5", {"waiting": 1}),
        ("a", "category", 1, '"phone"', {"waiting": 1}),
        ("b", "category", 2, '"fax"', {"waiting": 0, "back": 2}),
    ]


def test_the_refused_rows_of_a_stopped_batch_are_shown_as_its_last_run_found_them(shop: Shop) -> None:
    bad = [order(number, channel="phone") for number in range(31, 35)]
    assert shop.deliver("c", orders=[*bad, order(35)]) is not None
    assert [(row.batch, row.state) for row in found(shop, Wanted(batch="c"))] == [("c", "held")] * 4
    assert shop.deliver("c", at=AT + HOUR) is not None
    held = found(shop, Wanted(batch="c"))
    assert len(held) == 4
    assert {row.run for row in held} == {
        row["run"] for row in shop.lake.rows("verdicts") if (row["batch"], row["at"]) == ("c", AT + HOUR)
    }
    assert picked(shop, batch="c") == []
    shop.waive("orders:quarantined", "c", AT + HOUR)
    assert shop.deliver("c", at=AT + HOUR) is None
    assert [row.state for row in found(shop, Wanted(batch="c"))] == ["waiting"] * 4


def test_rows_go_back_under_the_names_that_their_delivery_had(shop: Shop) -> None:
    called = [{**order(number), "total": number + 0.5} for number in range(41, 50)]
    for row in called:
        del row["amount"]
    called.append({**called.pop(), "channel": "phone"})
    shop.deliver("renamed", orders=called, renamed={"orders": {"amount": "total"}})
    bring(shop, claimed(shop.lake, picked(shop, Repair(values={"channel": "web"}), batch="renamed")))
    assert shop.silver("order_id", "amount")[-1] == (49, pytest.approx(49.5))


def test_a_person_edits_the_rows_in_a_file(shop: Shop, tmp_path: Path) -> None:
    shop.archive("orders", [b"torn"])
    path = tmp_path / "rows.jsonl"
    objects = [shown(*row) for row in controlled(shop.lake, "orders", found(shop))]
    assert objects[0]["_rule"] == "category"
    assert objects[0]["channel"] == "phone"
    mine = {**objects[0], "channel": "web", "amount": 7}
    path.write_bytes(orjson.dumps(mine) + b"\n")
    bring(shop, claimed(shop.lake, picked(shop, edits=edited(path))))
    assert shop.silver("order_id", "channel", "amount")[-1][:2] == (11, "web")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", r"rows\.jsonl, line 2: no JSON object \("),
        (b"[1]", r"rows\.jsonl, line 2: no JSON object with a _stream and a _place"),
        (b'{"_stream": "orders", "_place": "x/1"}', "'x/1' is no place of a row"),
        (b'{"_stream": "orders", "_place": "x/0/1", "_payload": "torn"}', "still the text that nobody could read"),
        (b'{"_stream": "orders", "_place": "s/0/1"}', "s/0/1 of orders is there twice"),
    ],
)
def test_a_line_that_cannot_go_back_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"_stream": "orders", "_place": "s/0/1", "amount": 1}\n' + line + b"\n")
    with pytest.raises(UserError, match=message):
        edited(path)


@pytest.mark.parametrize("by", ["", " "])
def test_a_replay_names_a_person_and_a_reason(shop: Shop, by: str) -> None:
    with pytest.raises(UserError, match="--by: a replay names a person and a reason"):
        claim(shop.lake, "orders", picked(shop), by=by, because="so", at=AT)


def test_a_correction_keeps_its_revision(shop: Shop) -> None:
    first = [{**row, "_revision": 0} for row in orders(61, 66)]
    shop.deliver("d", orders=[*first, {**order(1, channel="phone"), "_revision": 3}])
    (row,) = controlled(shop.lake, "orders", found(shop, Wanted(batch="d")))
    assert shown(*row)["_revision"] == 3
    bring(shop, claimed(shop.lake, picked(shop, Repair(values={"channel": "shop"}), batch="d")))
    assert shop.silver("order_id", "_revision", "channel")[-1] == (1, 3, "shop")


def test_after_a_death_between_any_two_commits_the_rows_are_back_once(shop: Shop) -> None:
    for commits in range(12):
        before = shop.accounts()
        shop.deliver(f"n{commits}", orders=[*orders(100 + 9 * commits, 107 + 9 * commits), order(5, channel="fax")])
        rows = picked(shop, Repair(values={"channel": "web", "order_id": 1000 + commits}), batch=f"n{commits}")
        dying = mortal(shop.lake, commits)
        try:
            replay = claimed(dying, rows)
            bring_with(dying, shop, replay)
            died = False
        except Killed:
            died = True
        for one in unfinished(shop.lake):
            bring(shop, one)
        after = bring(shop, claimed(shop.lake, rows))
        assert unfinished(shop.lake) == []
        assert after.silver - before.silver == 9
        if not died:
            return
    raise AssertionError("no run was long enough to end")


def bring_with(dying: Lake, shop: Shop, replay: Replay) -> None:
    """What the job does, with some of its commits by a process that dies."""
    land(dying, replay, declared, Forgotten())
    bring(shop, replay_of(dying, replay.name))
    finish(dying, replay, landed_at(replay))
