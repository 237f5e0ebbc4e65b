"""What a store keeps is told by view, with the largest entities first."""

from __future__ import annotations

import pytest

from sluice import Decimal, Key, Label, Pipeline, Stream, Windows, count, mean
from sluice.declare.durations import HOUR
from sluice.engine.sizes import Entity, Sizes, sizes
from sluice.engine.store import MemoryStore
from tests.sluice.engine.folding import fold_all
from tests.sluice.engine.oracle import Version
from tests.sluice.engine.stores import Opened, every_store
from tests.sluice.engine.worlds import START, digest

on_every_store = every_store(pytest.mark.unit, server=pytest.mark.integration)

SALES = Stream("sales", id="sale_id", time="sold_at", columns={"stall": Key(), "price": Decimal(scale=2)})
STALL = Windows("stall", of="stall", over=SALES, leaf=2, features=[count("1d"), mean("price", "1d")])
FAIR = Pipeline("fair", views=[STALL], label=Label("bad", of=SALES, column="bad", known_after="1d"))
ROW, HEADER, LEAF = 4 * 8, 3 * 8, 8
"""Time, id, flags and price; what a head begins with; what a chunk does."""


def sold(number: int, stall: int) -> Version:
    time, values = START + number * HOUR, {"stall": stall, "price": 100}
    return Version("sales", number, time, values, digest(time, values), known=time)


@on_every_store
def test_events_and_bytes_of_a_view_and_of_its_largest_entities(opened: Opened) -> None:
    with opened() as store:
        fold_all(FAIR, store, [[sold(0, 1), sold(1, 2), sold(2, 2)]])
        small, larger = Entity(1, 1, HEADER + ROW, 0), Entity(2, 2, HEADER + 2 * ROW, 0)
        assert sizes(STALL, [store], 5) == Sizes("stall", 2, 3, small.bytes + larger.bytes, [larger, small])
        assert sizes(STALL, [store], 1).largest == [larger]
        assert sizes(STALL, [store], 0).largest == []


@on_every_store
def test_an_entity_with_tiles_is_as_large_as_its_head_and_all_of_them(opened: Opened) -> None:
    with opened() as store:
        fold_all(FAIR, store, [[sold(number, 7) for number in range(5)]])
        (head,) = [body for _, body in store.scan("stall")]
        (one,) = sizes(STALL, [store], 5).largest
        assert (one.key, one.events) == (7, 5)
        assert one.bytes == len(head) + one.tiles * LEAF + 5 * ROW
        assert one.tiles >= 3


@pytest.mark.unit
def test_shards_are_told_together_and_an_empty_store_keeps_nothing() -> None:
    stores = [MemoryStore(), MemoryStore()]
    assert sizes(STALL, stores, 5) == Sizes("stall", 0, 0, 0, [])
    for place, store in enumerate(stores):
        fold_all(FAIR, store, [[sold(number, place) for number in range(place + 1)]])
    found = sizes(STALL, stores, 5)
    assert (found.entities, found.events) == (2, 3)
    assert [one.key for one in found.largest] == [1, 0]
