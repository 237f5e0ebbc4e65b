"""After an erasure a store is what it would be if it had never met what is gone, whoever writes to it meanwhile."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.erase import Erased, erase
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.shares import Share
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import FENCE, Change, MemoryStore, Overtaken, Position, TileStore, standing
from sluice.engine.tiles import Id
from sluice.errors import Outage
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.found import parted
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.stream.forgetting import left_of, whole_of
from tests.sluice.engine.contents import contents
from tests.sluice.engine.folding import PARTITION, answered, assert_same_bits, batches_of, fold_all
from tests.sluice.engine.oracle import Version
from tests.sluice.engine.pipelines import clinic, shop
from tests.sluice.engine.stores import Opened, every_store
from tests.sluice.engine.worlds import START, several, tables, worlds

unit = pytest.mark.unit
on_every_store = every_store(pytest.mark.unit, server=pytest.mark.integration)
NAMES = pseudonyms_of("a secret")
LATER = START + 10_000 * MINUTE


def told(pipeline: Pipeline, versions: Sequence[Version], key: str, value: Id, until: int = LATER) -> Erased:
    """What is erased of some versions, which history had."""
    what = Forgotten(NAMES, {(key, NAMES.of(key, value)): until})
    events = tables(pipeline, versions)
    gone, what = parted(pipeline, what, events)
    history = {name: rows.filter(gone[name]) for name, rows in events.items()}
    whole = {name: whole_of(what, name, rows) for name, rows in history.items()}
    return Erased(key, value, until, history, whole, partial(left_of, pipeline, what))


def staying(pipeline: Pipeline, versions: Sequence[Version], key: str, value: Id, until: int = LATER) -> list[Version]:
    """The versions that stay, one by one: an oracle that knows nothing of tables.

    An event goes with all versions if the last one that says whose it is, or what it is about, says so; else only
    those versions go that do.
    """
    links = {stream.name: stream.parent for stream in pipeline.streams if stream.parent}
    whole: set[tuple[str, Id]] = set()

    def named(version: Version) -> bool:
        if version.values.get(key) == value and version.time <= until and key in version.values:
            return True
        if version.stream not in links:
            return False
        column, parent = links[version.stream]
        return (parent.name, version.values[column]) in whole

    def owned(version: Version) -> bool:
        columns = [key] if key in version.values else []
        columns += [links[version.stream][0]] if version.stream in links else []
        return any(version.values[name] is not None for name in columns)

    for stream in sorted(pipeline.streams, key=lambda one: one.name in links):
        mine = [version for version in versions if version.stream == stream.name]
        for identity in {version.id for version in mine}:
            own = [version for version in mine if version.id == identity and owned(version)]
            top = max((version.revision for version in own), default=0)
            if any(named(version) for version in own if version.revision == top):
                whole.add((stream.name, identity))
    return [one for one in versions if not named(one) and (one.stream, one.id) not in whole]


@pytest.mark.parametrize(
    ("pipeline", "key", "value"),
    [(shop(), "customer", 0), (shop(), "till", "x"), (clinic(), "patient", "x")],
    ids=["number", "text", "clinic"],
)
@on_every_store
@several
@given(data=st.data())
def test_a_store_is_then_as_if_it_had_never_met_what_is_gone(
    opened: Opened, pipeline: Pipeline, key: str, value: Id, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    kept = staying(pipeline, world.versions, key, value)
    with opened() as store, opened() as other:
        fold_all(pipeline, store, data.draw(batches_of(world.versions)))
        erase(pipeline, store, told(pipeline, world.versions, key, value))
        fold_all(pipeline, other, [kept])
        assert contents(pipeline, store, world.versions) == contents(pipeline, other, world.versions)
        assert_same_bits(pipeline, answered(pipeline, store, world.requests), answered(pipeline, other, world.requests))


def order(number: int, customer: int, minute: int = 0) -> Version:
    values = {"customer": customer, "till": "a", "amount": 150, "items": 2, "gift": 0, "channel": 0, "country": None}
    return Version("orders", number, START + minute * MINUTE, values, hash=number, known=START)


ORDERS = [order(number, number % 2, number) for number in range(1, 9)]


@on_every_store
def test_what_the_lake_has_not_met_yet_goes_too(opened: Opened) -> None:
    """The fold is ahead of the archive: of customer 1 history has one order, and the store four."""
    pipeline = shop()
    with opened() as store, opened() as other:
        fold_all(pipeline, store, [ORDERS])
        what = told(pipeline, ORDERS, "customer", 1)
        history = {name: rows.slice(0, 1 if name == "orders" else 0) for name, rows in what.events.items()}
        erase(pipeline, store, replace(what, events=history, whole=history))
        fold_all(pipeline, other, [[one for one in ORDERS if one.values["customer"] == 0]])
        assert contents(pipeline, store, ORDERS) == contents(pipeline, other, ORDERS)


@on_every_store
def test_rows_outlive_the_facts_they_were_made_of_and_go_all_the_same(opened: Opened) -> None:
    pipeline = shop()
    with opened() as store, opened() as other:
        fold_all(pipeline, store, [ORDERS])
        store.apply(Change(), forget=LATER)
        assert contents(pipeline, store, ORDERS).facts == set()
        erase(pipeline, store, told(pipeline, ORDERS, "customer", 1))
        fold_all(pipeline, other, [[one for one in ORDERS if one.values["customer"] == 0]])
        assert contents(pipeline, store, ORDERS).heads == contents(pipeline, other, ORDERS).heads


@on_every_store
def test_an_event_that_became_anothers_stays_where_nothing_else_of_it_has_changed(opened: Opened) -> None:
    """Order 3 is another customer's by now, and in the windows of its till as before."""
    pipeline = shop()
    moved = replace(ORDERS[2], revision=1, hash=99, values={**ORDERS[2].values, "customer": 0})
    with opened() as store, opened() as other:
        fold_all(pipeline, store, [ORDERS, [moved]])
        erase(pipeline, store, told(pipeline, [*ORDERS, moved], "customer", 1))
        fold_all(pipeline, other, [[*(one for one in ORDERS if one.values["customer"] == 0), moved]])
        assert contents(pipeline, store, ORDERS) == contents(pipeline, other, ORDERS)


@on_every_store
def test_what_happened_after_the_moment_stays(opened: Opened) -> None:
    pipeline = shop()
    with opened() as store, opened() as other:
        fold_all(pipeline, store, [ORDERS])
        erase(pipeline, store, told(pipeline, ORDERS, "customer", 1, START + 5 * MINUTE))
        fold_all(pipeline, other, [[one for one in ORDERS if one.id not in {1, 3, 5}]])
        assert contents(pipeline, store, ORDERS) == contents(pipeline, other, ORDERS)
        assert store.read([("customer", 1)]).heads[0] is not None


@on_every_store
def test_a_batch_that_was_computed_before_is_not_written_after(opened: Opened) -> None:
    pipeline = shop()
    with opened() as store:
        fold_all(pipeline, store, [ORDERS[:4]])
        known = store.read([]).knowledge.positions
        expected = standing(known, [FENCE])
        erase(pipeline, store, told(pipeline, ORDERS[:4], "customer", 1))
        before = contents(pipeline, store, ORDERS)
        late = MicroBatch(tables(pipeline, ORDERS), expected, {PARTITION: Position(2, None)})
        with pytest.raises(Overtaken, match="the store was made to forget an entity meanwhile"):
            fold(pipeline, store, late)
        assert contents(pipeline, store, ORDERS) == before
        assert store.read([]).knowledge.describe()["positions"] == {"orders/0": 1}


class Busy(MemoryStore):
    """A store to which somebody else writes whenever it is read."""

    def read(self, *asked: object, **how: object) -> object:  # type: ignore[override]
        found = super().read(*asked, **how)  # type: ignore[arg-type]
        self.positions[PARTITION] = Position(self.positions[PARTITION].offset + 1, None)
        return found


@unit
def test_where_others_are_always_faster_nothing_is_taken_and_it_is_told() -> None:
    pipeline, store = shop(), Busy(positions={PARTITION: Position(0, None)})
    with pytest.raises(Outage, match="others wrote to the online store 20 times meanwhile"):
        erase(pipeline, store, told(pipeline, ORDERS, "customer", 1))


@unit
def test_of_a_shard_only_its_own_entities_are_written() -> None:
    pipeline = shop()
    shards: list[TileStore] = [MemoryStore(), MemoryStore()]
    for number, store in enumerate(shards):
        batch = MicroBatch(tables(pipeline, ORDERS), {}, {PARTITION: Position(1, None)})
        fold(pipeline, store, batch, Share(number, 2))
        erase(pipeline, store, told(pipeline, ORDERS, "customer", 1), Share(number, 2))
    whole = MemoryStore()
    fold_all(pipeline, whole, [[one for one in ORDERS if one.values["customer"] == 0]])
    heads = [contents(pipeline, store, ORDERS).heads for store in shards]
    assert heads[0] | heads[1] == contents(pipeline, whole, ORDERS).heads
    assert not heads[0].keys() & heads[1].keys()


@unit
def test_no_byte_is_left_in_the_file_of_a_store_nor_in_its_log(tmp_path: Path) -> None:
    pipeline, file = clinic(), tmp_path / "online.db"
    store = SqliteStore(file)
    visits = [
        Version("visits", f"v{number}", START + number, {"patient": patient, "ward": 3, "cost": 0}, hash=number)
        for number, patient in enumerate(["zebra-7731", "p"] * 20)
    ]
    fold_all(pipeline, store, [visits[:10], visits[10:]])
    assert holds(tmp_path, b"zebra-7731")
    erase(pipeline, store, told(pipeline, visits, "patient", "zebra-7731"))
    assert not holds(tmp_path, b"zebra-7731")
    assert not holds(tmp_path, b'"v38"')
    assert holds(tmp_path, b'"v39"')
    store.close()


def holds(folder: Path, text: bytes) -> bool:
    return any(re.search(re.escape(text), file.read_bytes()) for file in folder.iterdir())
