"""What the loops have to compute for a view, made once: one table of whole numbers for each of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import cast

import numpy as np

from sluice.declare.functions import Windowed
from sluice.declare.usage import most_values
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask
from sluice.engine.layout import Matrix, known_word, mask, value_word, weight_word, width
from sluice.engine.sketches import DISTINCT, TOP, TOP_SHARE

_KINDS = {"distinct": DISTINCT, "top": TOP, "top_share": TOP_SHARE}
_SIGNS = {"min": -1, "max": 1, "first": -1, "last": 1, "since_first": -1, "since_last": 1}
_LOOPS = {
    "sums": ("count", "sum", "mean", "share", "std"),
    "extremes": ("min", "max"),
    "ends": ("first", "last", "since_first", "since_last"),
    "ranks": ("percentile",),
    "kinds": ("distinct", "top", "top_share"),
    "decays": ("decayed_count", "decayed_sum", "decayed_mean"),
}
_WIDTHS = {"sums": 4, "squares": 4, "extremes": 5, "ends": 5, "ranks": 8, "kinds": 6, "decays": 7}
LOOP_OF = {function: loop for loop, functions in _LOOPS.items() for function in functions}
"""Which loop computes each function."""


Tables = tuple[Matrix, Matrix, Matrix, Matrix, Matrix, Matrix, Matrix]


@dataclass(frozen=True)
class Plan:
    """What there is to compute for a view: its different windows in microseconds, and the tables of the loops."""

    windows: Ints
    tables: Tables
    """Of `sums`, `squares`, `extremes`, `ends`, `ranks`, `kinds` and `decays`, whose modules tell what they say."""
    first: int
    """Where its features begin in the row of sums."""
    root: int
    """Where its deviations begin among the sums of squares."""
    width: int
    known: int
    weight: int
    texts: bool
    """Whether the ids of its rows are texts."""
    blind: Mask
    """The features that mean the same without a request of their own."""

    @property
    def sums(self) -> Matrix:
        """The table of counts and sums."""
        return self.tables[0]

    @property
    def squares(self) -> Matrix:
        """The table of sums of squares."""
        return self.tables[1]


@functools.cache
def plan_of(view: Windows, first: int = 0, root: int = 0) -> Plan:
    """The plan of a view whose features stand in a row of several from `first` on, its deviations from `root` on."""
    windows = sorted({view.window(feature) for feature in view.functions})
    rows: dict[str, list[list[int]]] = {name: [] for name in _WIDTHS}
    for place, feature in enumerate(view.functions):
        row = [first + place, windows.index(view.window(feature)), value_word(view, feature), mask(view, feature)]
        rows[LOOP_OF[feature.function]].append([*row, *_more(view, feature)])
        if feature.function == "std":
            rows["squares"].append([root + len(rows["squares"]), *row[1:]])
    rows["sums"].sort(key=lambda row: (row[2], row[3], row[1]))  # as their loop wants them
    blind = [not view.include_request or not feature.counts_request for feature in view.functions]
    tables = {name: np.array(rows[name], np.int64).reshape(-1, size) for name, size in _WIDTHS.items()}
    return Plan(
        np.array(windows, np.int64),
        cast("Tables", tuple(tables.values())),
        first,
        root,
        width(view),
        known_word(view),
        weight_word(view),
        has_texts(view),
        np.array(blind, bool),
    )


@functools.cache
def plans_of(views: tuple[Windows, ...]) -> tuple[Plan, ...]:
    """The plans of some views whose features stand in one row."""
    found, first, root = [], 0, 0
    for view in views:
        found.append(plan_of(view, first, root))
        first += len(view.functions)
        root += len(found[-1].squares)
    return tuple(found)


def has_texts(view: Windows) -> bool:
    """Whether the ids of a view's rows are texts."""
    return view.stream.id_type != "integer" or not view.stream.id_columns


def _more(view: Windows, feature: Windowed) -> list[int]:
    function = feature.function
    if function in _SIGNS:
        return [_SIGNS[function]]
    if function in _KINDS:
        return [_KINDS[function], *feature.parameters]
    if function.startswith("decayed"):
        return [*feature.parameters, int(function == "decayed_mean"), most_values(view, feature)]
    return list(feature.parameters)
