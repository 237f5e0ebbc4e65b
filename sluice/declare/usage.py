"""Whether the functions of a view can be what they are declared: their columns, filters, bounds and windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sluice.declare.checks import one_of
from sluice.declare.columns import Category, Column, Decimal, Flag
from sluice.declare.conditions import check_condition
from sluice.declare.durations import duration_text
from sluice.declare.functions import LIFETIME, OF_LABELS, Windowed
from sluice.errors import DeclarationError

if TYPE_CHECKING:
    from sluice.declare.views import Windows

ENOUGH = 1024
"""How many values at the declared bounds every window must be able to hold."""
DECAY_BITS = 17
"""The weights of decayed functions are below two to this power."""
_FLAGS = 60
"""Columns and filters together have a bit each in a word of every row."""


def check_functions(view: Windows, where: str) -> None:
    """DeclarationError for the first function of a view that cannot be."""
    if not any(feature.window for feature in view.functions):
        named = ", ".join(feature.name for feature in view.functions)
        raise DeclarationError(
            f"no feature has a window for {named} to look back through" if named else "there are no features",
            where=where,
            allowed="at least one feature with a window",
            next_step="add one that reaches as far back as they should, such as count('30d')"
            if named
            else "declare one, such as count('30d')",
        )
    if view.include_request and view.label is not None:
        raise DeclarationError("a request has no label yet", where=f"{where}.include_request", allowed="False")
    for feature in view.functions:
        at = f"{where}.{feature.name}"
        _check_window(view, feature, at)
        _check_label(view, feature, at)
        _check_filter(view, feature, at)
        if feature.column is not None:
            _check_column(view, feature, feature.column, at)
    if len(view.value_columns) + len(view.conditions) > _FLAGS:
        raise DeclarationError(f"more than {_FLAGS} columns and filters", where=where, next_step="divide the view")


def largest_step(column: Column) -> int:
    """The greatest magnitude of a column in whole steps; 1 for what has no bounds."""
    scale = column.scale if isinstance(column, Decimal) else 0
    return max(1, math.ceil(max(abs(bound) for bound in column.bounds or (1,)) * int(10**scale)))


def most_values(view: Windows, feature: Windowed) -> int:
    """How many values at the declared bounds one window can hold without leaving 64 bits."""
    largest: int = 1 if feature.column is None else largest_step(view.column(feature.column))
    if feature.function == "std":
        # squares are added up in two words of 32 bits and of what is above
        largest = max(1, largest**2 >> 32)
    if feature.function.startswith("decayed"):
        largest <<= DECAY_BITS
    return int((2**63 - 1) // largest)


def _check_window(view: Windows, feature: Windowed, where: str) -> None:
    if view.slot is None or feature.window in {None, LIFETIME} or feature.window % int(view.slot) == 0:
        return
    raise DeclarationError(
        f"window {duration_text(feature.window)} is no multiple of the slot",
        where=where,
        allowed=f"multiples of {duration_text(int(view.slot))}",
    )


def _check_label(view: Windows, feature: Windowed, where: str) -> None:
    if view.label is None:
        return
    if feature.function not in OF_LABELS:
        raise DeclarationError(f"{feature.function} over a label", where=where, allowed=sorted(OF_LABELS))
    if view.label.absent is None and feature.function in {"since_last", "since_first"}:
        # a label taken back would leave the time of an event that no longer counts, and a maximum cannot be subtracted
        raise DeclarationError(
            f"{feature.function} over a label that may be unknown",
            where=where,
            allowed="a stream, or a label with absent=0 or absent=1",
        )


def _check_filter(view: Windows, feature: Windowed, where: str) -> None:
    if feature.where is not None:
        check_condition(feature.where, dict(view.stream.columns), where=where)


def _check_column(view: Windows, feature: Windowed, column: str, where: str) -> None:
    columns: dict[str, Column] = dict(view.stream.columns) if view.label is None else {view.label.name: Flag()}
    allowed = [name for name, column in columns.items() if isinstance(column, feature.columns)]
    if column in columns and column not in allowed:
        raise DeclarationError(f"{feature.function} of {columns[column].kind} {column!r}", where=where, allowed=allowed)
    one_of(column, allowed, where=where, kind="column")
    if feature.fill is not None and isinstance(columns[column], Category):
        raise DeclarationError(f"fill={feature.fill} for a category", where=where, allowed="None: it stays null")
    if most_values(view, feature) < ENOUGH:
        raise DeclarationError(
            f"{feature.function} of {column!r} does not fit exact arithmetic at its bounds",
            where=where,
            next_step="declare narrower bounds for the column",
        )
