"""The one finaliser: exact integers in, float64 out, rounded once to nearest-even; every path calls it, and only it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from sluice.declare.columns import Decimal
from sluice.declare.functions import Windowed
from sluice.declare.usage import most_values
from sluice.declare.views import Windows
from sluice.engine.compiled import compiled
from sluice.engine.decay import TOO_MANY
from sluice.engine.encode import Ints, Mask
from sluice.engine.evaluate import Sums
from sluice.engine.layout import Matrix
from sluice.errors import DataError

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
_EXACT = 2**53
_SPLIT = float(2**27 + 1)
_AVERAGED = frozenset({"mean", "share", "top_share", "distinct", "decayed_count", "decayed_sum", "decayed_mean"})
_ADDED = frozenset({"count", "sum", "mean", "share", "std"})


@dataclass(frozen=True)
class Places:
    """How exact sums become the values of a view's features, with one entry for each feature.

    `unit` is how many integer steps make one of the value. An `averaged` value is divided by the number too. A
    `nullable` one whose number is 0 is null, or `fill` where `filled`. `most` is how many values fit an exact sum.
    `roots` are the features that are standard deviations, `coded` those whose total is a category's code.
    """

    names: tuple[str, ...]
    unit: Ints
    averaged: Mask
    nullable: Mask
    fill: Floats
    filled: Mask
    most: Ints
    roots: Ints
    coded: Mask


@functools.cache
def places(*views: Windows) -> Places:
    """The entries of the features of some views, in their order."""
    pairs = [(view, feature) for view in views for feature in view.functions]
    features = [feature for _, feature in pairs]
    return Places(
        tuple(f"{view.name}.{feature.name}" for view, feature in pairs),
        np.array([_unit(view, feature) for view, feature in pairs], np.int64),
        np.array([feature.function in _AVERAGED for feature in features], bool),
        np.array([feature.function != "count" for feature in features], bool),
        np.array([feature.fill or 0.0 for feature in features], np.float64),
        np.array([feature.fill is not None for feature in features], bool),
        np.array([_most(view, feature) for view, feature in pairs], np.int64),
        np.flatnonzero([feature.function == "std" for feature in features]),
        np.array([view.category(feature) is not None for view, feature in pairs], bool),
    )


def finalise(places: Places, sums: Sums) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values and their validity, one row for each request and one column for each feature.

    A count is the total of events over 1, a time since the last event is microseconds over 1,000,000.
    DataError if so many values were added up that the sum could have left 64 bits.
    """
    values = np.empty(sums.number.shape, np.float64)
    valid = np.empty(sums.number.shape, np.bool_)
    rule = places.unit, places.averaged, places.nullable, places.fill, places.filled, places.most, places.coded
    large, refused = _divided(sums.number, sums.total, *rule, values, valid)
    if refused:
        _refuse(places, sums.number)
    if large:
        _divide_exactly(places, sums, values)
    for place, at in enumerate(places.roots.tolist()):
        count, unit = sums.number[:, at], int(places.unit[at])
        found = deviation(count, sums.total[:, at], sums.high[:, place], sums.low[:, place], unit)
        values[:, at] = np.where(count > 0, found, places.fill[at])
    return values, valid


@compiled
def _divided(
    number: Matrix,
    total: Matrix,
    unit: Ints,
    averaged: Mask,
    nullable: Mask,
    fill: Floats,
    filled: Mask,
    most: Ints,
    coded: Mask,
    values: NDArray[np.float64],
    valid: NDArray[np.bool_],
) -> tuple[bool, bool]:
    """One division each where numerator and divisor are exact as floats; whether some are not, and some too many."""
    large = refused = False
    for r in range(number.shape[0]):
        for f in range(number.shape[1]):
            count = number[r, f]
            if nullable[f] and count == 0:
                values[r, f], valid[r, f] = fill[f], filled[f]
                continue
            valid[r, f] = True
            if coded[f]:
                values[r, f] = 0.0
                continue
            divisor = count * unit[f] if averaged[f] else unit[f]
            large |= not (_is_exact(total[r, f]) and _is_exact(divisor))
            refused |= count > most[f]
            values[r, f] = np.float64(total[r, f]) / np.float64(divisor)
    return large, refused


@compiled
def _is_exact(number: int) -> bool:
    """Whether a whole number is a float."""
    return abs(number) < _EXACT or np.int64(np.float64(number)) == number


def _divide_exactly(places: Places, sums: Sums, values: NDArray[np.float64]) -> None:
    """The quotients whose parts are no exact floats."""
    seen = (~places.nullable | (sums.number != 0)) & ~places.coded
    divisor = np.where(places.averaged & seen, sums.number * places.unit, places.unit)
    for at in zip(*np.nonzero(seen & ((np.abs(sums.total) >= _EXACT) | (divisor >= _EXACT))), strict=True):
        values[at] = float(Fraction(int(sums.total[at]), int(divisor[at])))


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


def deviation(count: Ints, total: Ints, high: Ints, low: Ints, unit: int) -> Floats:
    """The standard deviation of `count` values from their sum and their sum of squares, rounded once; 0 for none.

    With p = count * Σx² - (Σx)² it is √p / (count * unit). The quotient and what it leaves over are computed in pairs
    of floats (Dekker 1971); where that cannot tell the nearest float, whole numbers can (Ziv's strategy, 1991).
    """
    result, unsure = np.zeros(len(count)), np.zeros(len(count), np.bool_)
    _deviate(count, total, high, low, unit, result, unsure)
    for i in np.flatnonzero(unsure).tolist():
        exact = int(count[i]) * ((int(high[i]) << 32) + int(low[i])) - int(total[i]) ** 2
        result[i] = exact_root(exact, int(count[i]) * unit)
    return result


@compiled
def _deviate(count: Ints, total: Ints, high: Ints, low: Ints, unit: int, result: Floats, unsure: Mask) -> None:
    for i in range(len(count)):
        if count[i] == 0:
            continue
        unsure[i] = count[i] >= 2**20 or abs(total[i]) >= 2**31 or high[i] >= 2**10 or low[i] >= 2**42
        squares = 0 if unsure[i] else high[i] * 2**32 + low[i]
        if unsure[i] or squares >= 2**42 or count[i] * unit >= _EXACT:
            unsure[i] = True
            continue
        spread = count[i] * squares - total[i] * total[i]
        near, rest = _root(spread, np.float64(count[i] * unit))
        up, down = near + rest * (1 + 2.0**-40), near + rest * (1 - 2.0**-40)
        result[i], unsure[i] = up, up != down


def exact_root(radicand: int, divisor: int) -> float:
    """√radicand / divisor, rounded once to nearest-even."""
    if radicand == 0:
        return 0.0
    # enough bits that what is cut off only decides between two floats, and a last one that says whether anything was
    shift = max(0, 60 - (radicand.bit_length() // 2 - divisor.bit_length()))
    shifted, squared = radicand << (2 * shift), divisor * divisor
    root = math.isqrt(shifted // squared)
    sticky = root * root * squared != shifted
    return float(Fraction(2 * root + sticky, 2 << shift))


def divided(over: Floats, under: Floats, valid: Mask) -> tuple[Floats, Mask]:
    """Over / under in float64; null where either is null or the divisor is zero."""
    usable = valid & (under != 0)
    return np.where(usable, over / np.where(usable, under, 1.0), 0.0), usable


@compiled
def _root(radicand: int, divisor: float) -> tuple[float, float]:
    """√radicand / divisor as the nearest float and the rest, good to about 100 bits."""
    if radicand == 0:
        return 0.0, 0.0
    whole = np.float64(radicand)
    left = np.float64(radicand - np.int64(whole))
    root = np.sqrt(whole)
    square, error = _product(root, root)
    more = ((whole - square) - error + left) / (2 * root)
    near = root / divisor
    product, error = _product(near, divisor)
    return near, ((root - product) - error + more) / divisor


@compiled
def _product(left: float, right: float) -> tuple[float, float]:
    """A product and its rounding error, exactly."""
    product = left * right
    a, b = _halves(left)
    c, d = _halves(right)
    return product, ((a * c - product) + a * d + b * c) + b * d


@compiled
def _halves(value: float) -> tuple[float, float]:
    scaled = value * _SPLIT
    upper = scaled - (scaled - value)
    return upper, value - upper


def _unit(view: Windows, feature: Windowed) -> int:
    if feature.function.startswith("since"):
        return 1_000_000
    declared = None if feature.column is None else view.column(feature.column)
    valued = feature.function not in {"distinct", "top", "top_share"}
    return 10**declared.scale if valued and isinstance(declared, Decimal) else 1


def _most(view: Windows, feature: Windowed) -> int:
    return most_values(view, feature) if feature.function in _ADDED else TOO_MANY - 1


def _refuse(places: Places, number: NDArray[np.int64]) -> None:
    where = tuple(int(axis[0]) for axis in np.nonzero(number > places.most))
    many, most = int(number[where]), int(places.most[where[-1]])
    shown = f"{many:,} values" if many < TOO_MANY else "as many values"
    raise DataError(
        f"{shown} at the declared bounds do not fit an exact sum",
        where=places.names[where[-1]],
        allowed=f"at most {most:,} values in a window" if many < TOO_MANY else None,
        next_step="declare narrower bounds for the column, or a shorter window",
    )
