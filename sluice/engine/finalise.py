"""The one finaliser: exact integers in, float64 out, rounded once to nearest-even; every path calls it, and only it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sluice.engine.encode import Ints, Mask

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
_EXACT = 2**53


def quotient(numerator: Ints, denominator: Ints) -> Floats:
    """`numerator / denominator` rounded once; the denominator is positive.

    Both are exact as float64 below 2^53, where one IEEE division is correctly rounded; the rest goes through
    exact rationals.
    """
    small = (np.abs(numerator) < _EXACT) & (denominator < _EXACT)
    result = np.asarray(numerator, np.float64) / np.asarray(denominator, np.float64)
    for index in np.flatnonzero(~small):
        result[index] = float(Fraction(int(numerator[index]), int(denominator[index])))
    return result


def counted(weights: Ints) -> tuple[Floats, Mask]:
    """A count; never null."""
    return np.asarray(weights, np.float64), np.ones(len(weights), bool)


def averaged(totals: Ints, numbers: Ints, unit: int, fill: float | None) -> tuple[Floats, Mask]:
    """Total / (number * unit): a mean, or a share with unit 1; null (or fill) where the number is 0."""
    empty = numbers == 0
    return _filled(quotient(totals, np.where(empty, 1, numbers) * np.int64(unit)), empty, fill)


def summed(totals: Ints, numbers: Ints, unit: int, fill: float | None) -> tuple[Floats, Mask]:
    """Total / unit; null (or fill) where no event has a value."""
    return _filled(quotient(totals, np.full(len(totals), unit, np.int64)), numbers == 0, fill)


def elapsed(at: Ints, last: Ints, seen: Mask) -> tuple[Floats, Mask]:
    """Seconds from the last event to the request; null where there was none."""
    seconds = quotient(np.where(seen, at - last, 0), np.full(len(at), 1_000_000, np.int64))
    return _filled(seconds, ~seen, None)


def divided(over: Floats, under: Floats, valid: Mask) -> tuple[Floats, Mask]:
    """Over / under in float64; null where either is null or the divisor is zero."""
    usable = valid & (under != 0)
    return _filled(over / np.where(usable, under, 1.0), ~usable, None)


def _filled(values: Floats, empty: Mask, fill: float | None) -> tuple[Floats, Mask]:
    if fill is None:
        return np.where(empty, 0.0, values), ~empty
    return np.where(empty, float(fill), values), np.ones(len(values), bool)
