"""Entities with many events: a read opens the tiles that a window cuts, however few events the others have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sluice import Category, Decimal, Key, Label, Pipeline, Stream, Windows, count, percentile, top
from sluice.declare.durations import DAY, MINUTE
from sluice.engine.layout import FLAGS, ID, PRESENT, TIME, VALUES, width
from sluice.engine.read import windowed
from sluice.engine.requests import Moment, Requests
from sluice.engine.store import Change, ChunkName, MemoryStore
from sluice.engine.tiles import Rows, lay_out, read_head
from tests.sluice.engine.worlds import START

pytestmark = pytest.mark.unit

SALES = Stream(
    "sales", id="sale", time="at", columns={"card": Key(), "price": Decimal(), "kind": Category("fruit", "cloth")}
)
BAD = Label("bad", of=SALES, column="bad", known_after="1d")
FEATURES = [count("30d"), percentile("price", 0.5, "30d"), top("kind", "30d")]
CARD = Windows("card", of="card", over=SALES, features=FEATURES)
NOW = START + 30 * DAY
STEADY = [START + number * (30 * DAY // 20_000) for number in range(1, 20_001)]
"""667 a day, 28 an hour."""
BUSY_HOUR = [
    *(START + number * (DAY // 10) for number in range(1, 301)),
    *(START + 15 * DAY + number * (MINUTE // 10) for number in range(600)),
]
"""Ten a day, and six hundred in one hour of the fifteenth."""


def rows(view: Windows, times: list[int]) -> Rows:
    matrix = np.zeros((len(times), width(view)), np.int64)
    matrix[:, TIME], matrix[:, ID] = sorted(times), np.arange(len(times))
    matrix[:, FLAGS] = PRESENT | 3  # both values are there
    matrix[:, VALUES:] = np.arange(len(times))[:, None] % 7
    return Rows(matrix, None)


class Counting(MemoryStore):
    """Notes which chunks are called for."""

    def read(self, names, call=None):
        found = super().read(names, call)
        self.called: list[ChunkName] = list(found.chunks)
        return found


def read(view: Windows, times: list[int], now: int) -> tuple[list[int], int, int]:
    """The words of the features of card 1, how many tiles were opened, and how many there are."""
    laid, store = lay_out(view, rows(view, times)), Counting()
    chunks = [(view.name, 1, start, body) for start, body in laid.chunks.items()]
    store.apply(Change(heads=[(view.name, 1, laid.head)], chunks=chunks))
    asked = Requests.of([Moment(now, None)], {"card": [1]}, lambda _: (np.zeros(1, np.int64), np.ones(1, bool)))
    found = windowed(Pipeline("cards", views=[view], label=BAD), store, asked)
    index = read_head(view, laid.head).leaves
    return found.words[0].tolist(), len(store.called), 0 if index is None else len(index.starts)


@pytest.mark.parametrize(
    ("times", "tiles"), [(STEADY, 121), (BUSY_HOUR, 16)], ids=["every two minutes", "a busy hour in quiet weeks"]
)
def test_a_read_opens_the_tiles_that_its_window_cuts_and_no_others(times: list[int], tiles: int) -> None:
    now = NOW + 1  # so that both ends of the window lie within a tile
    words, opened, found = read(CARD, times, now)
    assert (opened, found) == (2, tiles)
    together = replace(CARD, leaf=1_000_000)
    assert (words, 0, 0) == read(together, times, now)


def test_a_window_between_tiles_opens_none() -> None:
    days = [START + day * DAY + hour * 60 * MINUTE for day in range(40) for hour in range(24)]
    view = replace(CARD, leaf=24, features=[count("30d")], edge="slot", slot="1d")
    assert read(view, days, NOW + 5 * DAY)[1:] == (0, 40)
