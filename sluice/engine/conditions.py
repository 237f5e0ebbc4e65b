"""Which events pass a filter, on encoded columns and in the three values of SQL: true, false, unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sluice.declare.columns import Category, Column, Decimal, Flag, Integer
from sluice.declare.conditions import Condition, Constant, steps_of
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, text_hash

Words = Callable[[str], tuple[Ints, Mask]]
"""A column by name as whole numbers (a text by its hash) and where it is not null."""


class _Truth(NamedTuple):
    true: Mask
    false: Mask


def passes(condition: Condition, stream: Stream, words: Words) -> Mask:
    """Which of a stream's events a filter is true of."""
    return _truth(condition, stream, words).true


def _truth(condition: Condition, stream: Stream, words: Words) -> _Truth:
    if condition.operator == "~":
        inner = _truth(condition.parts[0], stream, words)
        return _Truth(inner.false, inner.true)
    if condition.parts:
        left, right = (_truth(part, stream, words) for part in condition.parts)
        if condition.operator == "&":
            return _Truth(left.true & right.true, left.false | right.false)
        return _Truth(left.true | right.true, left.false & right.false)
    values, valid = words(condition.column)
    if condition.operator == "is_null":
        return _Truth(~valid, valid)
    found = _compared(condition, stream.columns[condition.column], values)
    return _Truth(found & valid, ~found & valid)


def _compared(condition: Condition, column: Column, values: Ints) -> Mask:
    constants = np.array([_encoded(constant, column) for constant in condition.constants], np.int64)
    if condition.operator == "<":
        return np.asarray(values < constants[0], bool)
    if condition.operator == "<=":
        return np.asarray(values <= constants[0], bool)
    return np.isin(values, constants)


def _encoded(constant: Constant, column: Column) -> int:
    """A constant as the whole number that stands for it in the column."""
    if isinstance(column, Category) and column.categories:
        return column.categories.index(str(constant))
    if isinstance(column, Decimal | Integer | Flag) or (isinstance(constant, int) and not _is_text(column)):
        return steps_of(constant, column)
    return text_hash(str(constant))


def _is_text(column: Column) -> bool:
    return isinstance(column, Category) or column.describe().get("type") == "text"
