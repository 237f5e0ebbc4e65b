"""A dozen sales of one stall around the edges of a request's windows, and what features of that request come to.

 id    before the request    price   pieces   kind    paid   buyer
  1    40 min                 8.00      5     fruit    1      a
  2    30 min                 null      2     cloth    null   b
  3    14 min                 3.00      1     cloth    0      a
  4    12 min                 6.00      4     spice    1      b
  5    10 min                 9.00      7     fruit    0      c       out of 10 min
  6    10 min - 1 µs          2.00      3     fruit    1      a       in
  7     7 min                 4.00      2     cloth    null   b
  8     5 min                 null      6     null     0      b       in, when 5 min late
  9     5 min - 1 µs          4.00      3     fruit    1      d       out
 10     2 min                -1.00      1     cloth    0      a
 11     0                     7.00      8     spice    null   a       in: its id is smaller
100     the request itself    5.00      4     cloth    1      e
101     0                    50.00      9     spice    1      z       out: its id is greater
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sluice import Category, Decimal, Flag, Integer, Key, Label, Pipeline, Stream, Windows, col
from sluice.declare.durations import MINUTE
from sluice.declare.functions import Windowed
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import as_values, pack, vectors
from tests.sluice.engine.folding import answered, assert_same_bits, fold_all
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.worlds import START, asked_table, digest, tables

Features = Sequence[tuple[Windowed, ...]]
Found = dict[str, float | int | None]

T = START + 60 * MINUTE
"""The request's moment: a whole hour, so that slots and half-lives begin there."""
FRUIT, CLOTH, SPICE = 0, 1, 2
SALES = Stream(
    "sales",
    id="sale_id",
    time="sold_at",
    columns={
        "stall": Key(),
        "buyer": Key("text"),
        "price": Decimal(scale=2, min=-1_000, max=1_000, nullable=True),
        "pieces": Integer(max=1_000),
        "kind": Category("fruit", "cloth", "spice", nullable=True),
        "paid": Flag(nullable=True),
    },
    accept_late="1h",
)
RETURNED = Label("returned", of=SALES, column="returned", known_after="1d")
_BEFORE = (40 * MINUTE, 30 * MINUTE, 14 * MINUTE, 12 * MINUTE, 10 * MINUTE, 10 * MINUTE - 1, 7 * MINUTE)
_BEFORE += (5 * MINUTE, 5 * MINUTE - 1, 2 * MINUTE, 0, 0, 0)
_PRICES = (800, None, 300, 600, 900, 200, 400, None, 400, -100, 700, 5_000, 500)
_PIECES = (5, 2, 1, 4, 7, 3, 2, 6, 3, 1, 8, 9, 4)
_KINDS = (FRUIT, CLOTH, CLOTH, SPICE, FRUIT, FRUIT, CLOTH, None, FRUIT, CLOTH, SPICE, SPICE, CLOTH)
_PAID = (1, None, 0, 1, 0, 1, None, 0, 1, 0, None, 1, 1)
_ROWS = zip([*range(1, 12), 101, 100], _BEFORE, _PRICES, _PIECES, _KINDS, _PAID, "ababcabbdaaze", strict=True)


def sale(id_: int | str, time: int, **values: Any) -> Version:
    """One sale of stall 1, known as it happened."""
    values = {"stall": 1, "buyer": "a", "price": 100, "pieces": 1, "kind": FRUIT, "paid": 1} | values
    return Version("sales", id_, time, values, digest(time, values), known=time)


_SALES = [
    sale(id_, T - before, price=price, pieces=pieces, kind=kind, paid=paid, buyer=buyer)
    for id_, before, price, pieces, kind, paid, buyer in _ROWS
]
EVENTS = _SALES[:-1]
REQUEST = Asked(T, 100, _SALES[-1].values)


FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "filtered": {},
    "lifetime": {},
    "included": {"include_request": True},
    "delayed": {"delay": "5min"},
    "slots": {"edge": "slot", "slot": "5min"},
}
"""What is said of the view in each form of a feature; windows are of ten minutes, but for a lifetime."""
NO_CLOTH = col("kind") != "cloth"
"""The filter of the filtered form: kinds that are not known do not pass."""


def worked(makers: Mapping[str, Callable[..., tuple[Windowed, ...]]], form: str) -> Found:
    """What features of the request come to in one form, by name."""
    windows = ["lifetime" if form == "lifetime" else "10min"]
    filtered = {"where": NO_CLOTH} if form == "filtered" else {}
    return found([make(*windows, name=name, **filtered) for name, make in makers.items()], **FORMS[form])


def found(features: Features, events: Sequence[Version] = EVENTS, request: Asked = REQUEST, **view: Any) -> Found:
    """What features of stalls come to for one request, by name; batch, cold and hot entities say the same."""
    stalls = [
        Windows("stall", **({"of": "stall", "over": SALES, "features": features, "leaf": leaf} | view))
        for leaf in (1, 512)
    ]
    return on_every_path([Pipeline("stalls", views=[view], label=RETURNED) for view in stalls], events, request)


def on_every_path(pipelines: Sequence[Pipeline], events: Sequence[Version], request: Asked) -> Found:
    """The first view's features of a request by pipelines that mean the same: computed at once, and folded and read."""
    one = pipelines[0]
    whole = vectors(one, tables(one, events), asked_table(one, [request]))
    bits = pack(one, as_values(one, whole))
    for pipeline in pipelines:
        store = MemoryStore()
        fold_all(pipeline, store, [events[:5], events[5:]])
        assert_same_bits(pipeline, answered(pipeline, store, [request]), bits)
    (row,) = whole.to_pylist()
    return {name.removeprefix(f"{one.windows[0].name}__"): value for name, value in row.items()}
