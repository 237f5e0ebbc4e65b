"""The one finaliser: exact integers in, float64 out, rounded once to nearest-even; every path calls it, and only it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sluice.declare.columns import Decimal
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask
from sluice.errors import DataError

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
_EXACT = 2**53
_WORD = 2**63


@dataclass(frozen=True)
class Places:
    """How exact sums become the values of a view's features, with one entry for each feature.

    `unit` is how many integer steps make one of the value. An `averaged` value is divided by the number of values
    too. A `nullable` one without values is null, or `fill` where `filled`. `most` is how many values fit an exact sum.
    """

    names: tuple[str, ...]
    unit: Ints
    averaged: Mask
    nullable: Mask
    fill: Floats
    filled: Mask
    most: Ints

    def only(self, index: int) -> Places:
        """The entry of one feature."""
        one = slice(index, index + 1)
        return Places(
            self.names[one],
            self.unit[one],
            self.averaged[one],
            self.nullable[one],
            self.fill[one],
            self.filled[one],
            self.most[one],
        )


@functools.cache
def places(*views: Windows) -> Places:
    """The entries of the features of some views, in their order."""
    pairs = [(view, feature) for view in views for feature in view.functions]
    features = [feature for _, feature in pairs]
    return Places(
        tuple(f"{view.name}.{feature.name}" for view, feature in pairs),
        np.array([_unit(view, feature.function, feature.column) for view, feature in pairs], np.int64),
        np.array([feature.function in {"mean", "share"} for feature in features], bool),
        np.array([feature.function != "count" for feature in features], bool),
        np.array([feature.fill or 0.0 for feature in features], np.float64),
        np.array([feature.fill is not None for feature in features], bool),
        np.array([_most(view, feature.column) for view, feature in pairs], np.int64),
    )


def finalise(
    places: Places, number: NDArray[np.int64], total: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values and their validity from how many values there are and what they add up to; the last axis is the feature.

    A count is the total of events over 1, a time since the last event is microseconds over 1,000,000.
    DataError if so many values were added up that the sum could have left 64 bits.
    """
    if (number > places.most).any():
        _refuse(places, number)
    empty = places.nullable & (number == 0)
    divisor = np.where(places.averaged & ~empty, number * places.unit, places.unit)
    return np.where(empty, places.fill, quotient(total, divisor)), ~empty | places.filled


def quotient(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    """`numerator / denominator` rounded once; the denominator is positive.

    Both are exact as float64 below 2^53, where one IEEE division is correctly rounded; the rest goes through
    exact rationals.
    """
    result: NDArray[np.float64] = np.true_divide(numerator, denominator)
    large = (np.abs(numerator) >= _EXACT) | (denominator >= _EXACT)
    if large.any():
        for index in zip(*np.nonzero(large), strict=True):
            result[index] = float(Fraction(int(numerator[index]), int(denominator[index])))
    return result


def divided(over: Floats, under: Floats, valid: Mask) -> tuple[Floats, Mask]:
    """Over / under in float64; null where either is null or the divisor is zero."""
    usable = valid & (under != 0)
    return np.where(usable, over / np.where(usable, under, 1.0), 0.0), usable


def _unit(view: Windows, function: str, column: str | None) -> int:
    if column is None:
        return 1_000_000 if function == "since_last" else 1
    declared = view.column(column)
    return 10**declared.scale if isinstance(declared, Decimal) else 1


def _most(view: Windows, column: str | None) -> int:
    bounds = view.column(column).bounds if column else None
    largest = math.ceil(max(abs(bound) for bound in bounds or (1,)) * _unit(view, "sum", column))
    return (_WORD - 1) // max(largest, 1)


def _refuse(places: Places, number: NDArray[np.int64]) -> None:
    most = np.broadcast_to(places.most, number.shape)
    where = tuple(int(axis[0]) for axis in np.nonzero(number > most))
    raise DataError(
        f"{int(number[where]):,} values at the declared bounds do not fit an exact sum",
        where=places.names[where[-1]],
        allowed=f"at most {int(most[where]):,} values in a window",
        next_step="declare narrower bounds for the column, or a shorter window",
    )
