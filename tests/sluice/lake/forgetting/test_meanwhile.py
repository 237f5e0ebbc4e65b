"""What runs while an entity is forgotten brings nothing of it back: archives, ingests, backfills and loads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import deltalake
import pytest

from sluice.errors import DataError, Outage
from sluice.lake.asof import newest
from sluice.lake.forgetting.erasures import receipts, undisturbed
from sluice.lake.forgetting.forget import finish
from sluice.lake.plan import Plan
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.lake.forgetting.lakes import FILE, FIRST, PIPELINE, Market, mentions, order, zebra
from tests.sluice.lake.forgetting.test_forget import NAMES, NOW, gone, ids, nowhere, vectors
from tests.sluice.lake.test_publish import Killed, MortalLake

pytestmark = pytest.mark.integration

IDS = [FIRST + number for number in (0, 1, 2, 30, 31)]
T = TypeVar("T")
Happens = dict[tuple[str, int], Callable[[], object]]
"""What happens before the nth commit to a table, which is counted from 0."""


class Meanwhile(Lake):
    """A lake at which others do something while somebody commits."""

    def __init__(self, uri: str, pipeline: str, happens: Happens) -> None:
        super().__init__(uri, pipeline)
        self.happens, self.commits = happens, dict[str, int]()

    def commit(self, table: str, write: Callable[[deltalake.DeltaTable | None], T]) -> T:
        number = self.commits.get(table, 0)
        self.commits[table] = number + 1
        self.happens.pop((table, number), lambda: None)()
        return super().commit(table, write)


@dataclass(frozen=True)
class Publishing(Plan):
    """A backfill at whose tables others do something."""

    happens: Happens = field(default_factory=dict)

    def tables(self) -> Lake:
        return Meanwhile(self.lake, "market", self.happens)


def publishing(shop: Market, happens: Happens) -> Publishing:
    versions = tuple(newest(shop.lake, PIPELINE).items())
    return Publishing(str(FILE), shop.uri, shop.lake.version("batches"), NOW, 1, asof=versions, happens=happens)


WRITTEN = [*(f"{kind}/{view.name}" for kind in ("rows", "tiles") for view in PIPELINE.windows), "vectors"]


def test_what_a_backfill_has_published_meanwhile_goes_as_well(small: Market, tmp_path: Any) -> None:
    small.computed()
    plain = small.copied(tmp_path / "plain")
    gone(plain)
    before = {table: small.lake.version(table) for table in WRITTEN}

    def published() -> None:
        for table, version in before.items():
            deltalake.DeltaTable(small.lake.uri(table)).restore(version)

    gone(small, Meanwhile(small.uri, "market", {("publications", 0): published}))
    assert mentions(small.folder / "lake", IDS) == []
    for table in WRITTEN:
        found, wanted = (sorted(map(str, one.lake.read(table).to_pylist())) for one in (small, plain))
        assert found == wanted, table
    assert small.ailments() == []


@pytest.mark.parametrize(("at", "first"), [("rows/selling", True), ("vectors", False)], ids=["the first", "another"])
def test_a_backfill_that_publishes_meanwhile_is_not_done_and_leaves_nothing(
    small: Market, at: str, first: bool
) -> None:
    small.load({"c1": 1, "c2": 2})
    if not first:
        small.computed()
    plan = publishing(small, {(at, 0): lambda: gone(small)})
    with pytest.raises(Outage, match="an entity was forgotten meanwhile"):
        backfill(Here(), plan, whole=True, tell=lambda _: None)
    assert mentions(small.folder / "lake", IDS[2:]) == []
    assert small.computed(at=NOW)[0] == "computing everything: the one before was not finished"
    assert mentions(small.folder / "lake", IDS) == []
    assert {row["event_id"] for row in vectors(small, "vectors")} == {1, 2}


def test_nothing_is_computed_or_loaded_while_one_is_being_forgotten(small: Market) -> None:
    small.computed()
    with pytest.raises(Killed):
        gone(small, MortalLake(small.uri, "market", 4))
    told = r"an entity is being forgotten \(erasure \w+\)\n  next: .* sluice forget finish \S+market.py"
    with pytest.raises(Outage, match=told):
        small.computed(at=NOW)
    with pytest.raises(Outage, match=told):
        undisturbed(small.lake, str(FILE), lambda: pytest.fail("it was loaded"))
    finish(small.lake, PIPELINE, NAMES, nowhere)
    assert small.computed(at=NOW)[0] == "computing everything: an entity was forgotten since"


def test_what_was_loaded_before_one_was_forgotten_is_loaded_once_more(small: Market) -> None:
    loaded: list[list[int]] = []

    def load() -> None:
        read = ids(small)
        if not loaded:
            gone(small)
        loaded.append(read)

    undisturbed(small.lake, str(FILE), load)
    assert loaded == [[1, 2, *IDS[:3]], [1, 2]]


def test_a_load_whose_files_have_gone_with_one_begins_anew_and_any_other_error_is_told(small: Market) -> None:
    small.computed()
    version, loaded = small.lake.version("vectors"), list[int]()

    def load() -> None:
        if not receipts(small.lake):
            gone(small)
        else:
            loaded.append(small.lake.version("vectors"))
        small.lake.read("vectors", version=loaded[0] if loaded else version)

    undisturbed(small.lake, str(FILE), load)
    assert loaded == [version + 1]
    with pytest.raises(DataError, match="there is no table 'nothing'"):
        undisturbed(small.lake, str(FILE), lambda: small.lake.read("nothing") and None)


def test_what_was_archived_and_judged_beside_it_goes_however_late(small: Market) -> None:
    """An archive that had not heard of it brings an event before the second look, and one while that is taken out."""

    def archived(*numbers: int) -> None:
        small.archive("orders", [zebra(number) for number in numbers])

    def judged() -> None:
        archived(31)
        assert small.deliver("archived-1", from_bronze=True, at=NOW) is None
        assert ids(small) == [1, 2, *IDS[3:]]

    happens: Happens = {("publications", 0): partial(archived, 30), ("events/orders", 1): judged}
    gone(small, Meanwhile(small.uri, "market", happens))
    assert happens == {}
    assert ids(small) == [1, 2]
    assert (small.accounts().erased, small.ailments()) == (5, [])
    assert mentions(small.folder / "lake", IDS) == []


class Slow(Here):
    """Workers beside whom an entity is forgotten, once they have done a task."""

    def __init__(self, shop: Market, task: str) -> None:
        self.shop, self.task = shop, task

    def each(self, task: Callable[[Any], T], work: Sequence[Any], *, rows: int) -> list[T]:
        found = super().each(task, work, rows=rows)
        if isinstance(task, partial) and task.func.__name__ == self.task:
            gone(self.shop)
        return found


@pytest.mark.parametrize(
    ("task", "channel"),
    [("_land", "web"), ("check_slices", "web"), ("check_slices", "fax")],
    ids=["landed", "judged", "stopped"],
)
def test_a_batch_that_was_read_before_is_neither_published_nor_held_and_leaves_nothing(
    small: Market, task: str, channel: str
) -> None:
    rows = [zebra(30, channel=channel), zebra(31), order(40, channel=channel), order(41)]
    small.workers = Slow(small, task)
    with pytest.raises(Outage, match="an entity was forgotten meanwhile"):
        small.deliver("b", orders=rows)
    assert mentions(small.folder / "lake", IDS) == []
    small.workers = Here()
    stopped = small.deliver("b", at=NOW, orders=rows)
    assert (stopped is None, ids(small)) == ((True, [1, 2, 40, 41]) if channel == "web" else (False, [1, 2]))
    assert (small.accounts().erased, small.ailments()) == (5, [])
    assert mentions(small.folder / "lake", IDS) == []
