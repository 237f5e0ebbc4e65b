"""Entities whose events have texts for ids: their rows keep the order of the texts, however alike these begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice import Decimal, Key, Label, Pipeline, Stream, Windows, count, last
from sluice.engine.layout import VALUES
from sluice.engine.store import MemoryStore
from sluice.engine.tiles import read_head
from tests.sluice.engine.folding import fold_all
from tests.sluice.engine.oracle import DELETE, Version
from tests.sluice.engine.worlds import START, digest

pytestmark = pytest.mark.unit

SALES = Stream("sales", id="sale", id_type="text", time="sold_at", columns={"stall": Key(), "price": Decimal()})
STALL = Windows("stall", of="stall", over=SALES, features=[count("1d"), last("price", "1d")])
FAIR = Pipeline("fair", views=[STALL], label=Label("bad", of=SALES, column="bad", known_after="1d"))


def sold(sale: str, price: int, time: int = START) -> Version:
    values = {"stall": 1, "price": price}
    return Version("sales", sale, time, values, digest(time, values), known=time)


def kept(*batches: list[Version]) -> list[tuple[str, int]]:
    """The ids and prices of stall 1 as they are stored."""
    store = MemoryStore()
    fold_all(FAIR, store, batches)
    rows = read_head(STALL, dict(store.scan("stall"))[1]).rows
    return list(zip(rows.ids, rows.matrix[:, VALUES].tolist(), strict=True))


THREE = [sold("sale of today 3", 10), sold("sale of today 1", 30), sold("sale of today 2", 20)]


def test_of_one_moment_ids_that_begin_alike_are_in_the_order_of_their_texts() -> None:
    expected = [("sale of today 1", 30), ("sale of today 2", 20), ("sale of today 3", 10)]
    assert kept(THREE) == kept(THREE[:1], THREE[1:]) == kept(THREE[1:], THREE[:1]) == expected


def test_it_is_the_deleted_one_that_leaves_also_if_only_the_end_of_its_id_says_which_it_is() -> None:
    same = [replace(one, values={"stall": 1, "price": 5}, hash=7) for one in THREE]
    gone = replace(same[2], op=DELETE, revision=1)
    assert kept(same, [gone]) == [("sale of today 1", 5), ("sale of today 3", 5)]


def test_time_comes_before_the_id() -> None:
    later = [sold("a", 1, START + 2), sold("b", 2, START + 1), sold("c", 3, START)]
    assert kept(later[:2], later[2:]) == [("c", 3), ("b", 2), ("a", 1)]


@pytest.mark.parametrize(
    "second",
    [[(7, START + 1)], [(8, START)], [(6, START)], [(1, START - 1)], [(9, START + 2), (1, START - 1)]],
    ids=["later", "the next id", "an id before", "earlier", "on both sides"],
)
def test_rows_that_come_later_leave_the_bytes_of_all_at_once(second: list[tuple[int, int]]) -> None:
    stream = replace(SALES, id_type="integer")
    view = Windows("stall", of="stall", over=stream, features=STALL.features)
    fair = Pipeline("fair", views=[view], label=Label("bad", of=stream, column="bad", known_after="1d"))
    first, then = ([sold(sale, 10 * sale, time) for sale, time in part] for part in ([(7, START)], second))
    apart, whole = MemoryStore(), MemoryStore()
    fold_all(fair, apart, [first, then])
    fold_all(fair, whole, [[*then, *first]])
    assert dict(apart.scan("stall")) == dict(whole.scan("stall"))
