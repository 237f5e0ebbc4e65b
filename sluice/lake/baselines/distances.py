"""How far the shape of a column is from another one: PSI, a difference of probability, and how likely chance is.

PSI (population stability index) is Σ (b - a) ln(b / a) over bins: tenths of the baseline's numbers, zero and missing;
or the texts. The distance is the greatest difference of the two cumulative distributions (Kolmogorov-Smirnov) or, of
texts, half the sum of differences of their shares (total variation); of numbers, which may be missing or zero more
often, the greater of the two that are no chance. The p-value is that of the Kolmogorov or of the chi-square
distribution; values that are expected fewer than five times are one (Cochran, 1954).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sluice.lake.baselines.shapes import Shape, frequent, quantiles

LEAST = 50
"""Rows that both have to have: of fewer even the asymptotic p-values say nothing."""
_PARTS, _FINE = 10, 100
_SKETCHED = 0.02
"""By how much each of two sketches may misplace a rank."""
_NONE = 1e-4
"""The share that an empty bin is taken to have."""
_OTHER = "other"
_COMMON = 0.005
_EXPECTED = 5
"""Values are looked at together that are a smaller share in both, or so few that chi-square does not hold of them."""
_SURE = 1e-4

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Distance(NamedTuple):
    """How far one shape is from another."""

    psi: float
    distance: float
    """A difference of probability, 0 to 1."""
    p_value: float


def distance(before: Shape, now: Shape) -> Distance | None:
    """How far a shape is from the one before; None where one of them has too few rows."""
    if min(before.rows, now.rows) < LEAST:
        return None
    parts = [_of_parts(*_masses(before, now))]
    if before.numbers is not None and now.numbers is not None:
        parts.append(_of_numbers(before, now))
    found = max(parts, key=lambda one: (one.p_value < _SURE, one.distance))
    return Distance(psi(*_bins(before, now)), found.distance, found.p_value)


def psi(before: Mapping[str, float], now: Mapping[str, float]) -> float:
    """The population stability index of counts by bin."""
    left, right = _shares(before, now)
    return float(np.sum((right - left) * np.log(right / left)))


class _Part(NamedTuple):
    distance: float
    p_value: float


def _of_parts(before: Mapping[str, float], now: Mapping[str, float]) -> _Part:
    """Of counts by value: total variation, and chi-square."""
    from scipy.special import chdtrc

    names = sorted({*before, *now})
    table = np.array([[counts.get(name, 0.0) for name in names] for counts in (before, now)])
    table = table[:, table.sum(axis=0) > 0]
    shares = table / table.sum(axis=1, keepdims=True)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic, freedom = float(((table - expected) ** 2 / expected).sum()), table.shape[1] - 1
    return _Part(float(np.abs(shares[0] - shares[1]).sum() / 2), float(chdtrc(freedom, statistic)) if freedom else 1.0)


def _of_numbers(before: Shape, now: Shape) -> _Part:
    """Of numbers other than zero: Kolmogorov-Smirnov, less what the sketches may err by."""
    from scipy.special import kolmogorov

    left, right = _there(before), _there(now)
    if min(left, right) < LEAST:
        return _Part(0.0, 1.0)
    one, other = (quantiles(shape.numbers or b"", _FINE) for shape in (before, now))
    at = np.unique(np.concatenate([one, other]))
    gap = max(float(np.abs(_below(one, at, side) - _below(other, at, side)).max()) for side in ("left", "right"))
    found = max(0.0, gap - 2 * _SKETCHED)
    return _Part(found, float(kolmogorov(math.sqrt(left * right / (left + right)) * found)))


def _below(bounds: Floats, at: Floats, side: Any) -> Floats:
    """The share of values below, or up to, some points, by the quantiles of the values."""
    places = np.searchsorted(bounds, at, side=side)
    low, high = np.clip(places - 1, 0, len(bounds) - 1), np.clip(places, 0, len(bounds) - 1)
    width = np.where(bounds[high] > bounds[low], bounds[high] - bounds[low], 1.0)
    inside = np.where((places > 0) & (places < len(bounds)), (at - bounds[low]) / width, 0.0)
    return np.clip((np.maximum(places - 1, 0) + inside) / (len(bounds) - 1), 0.0, 1.0)


def _there(shape: Shape) -> int:
    return shape.rows - shape.nulls - shape.zeros


def _masses(before: Shape, now: Shape) -> tuple[dict[str, float], dict[str, float]]:
    """How often a value is missing, zero, or one of those that are counted; in both by the same bins."""
    if before.numbers is not None:
        return _numbered(before), _numbered(now)
    least = max(_COMMON, _EXPECTED / min(before.rows, now.rows))
    counted = [(one, dict(one.counts) if one.texts is None else frequent(one.texts)) for one in (before, now)]
    common = sorted({name for one, counts in counted for name, count in counts.items() if count >= least * one.rows})
    both = [_counted(one, {name: counts.get(name, 0) for name in common}) for one, counts in counted]
    return both[0], both[1]


def _numbered(shape: Shape) -> dict[str, float]:
    return {"null": shape.nulls, "zero": shape.zeros, "number": _there(shape)}


def _counted(shape: Shape, common: Mapping[str, float]) -> dict[str, float]:
    rest = max(0.0, shape.rows - shape.nulls - sum(common.values()))
    return {"null": shape.nulls, **{f"={name}": count for name, count in common.items()}, _OTHER: rest}


def _bins(before: Shape, now: Shape) -> tuple[dict[str, float], dict[str, float]]:
    """Counts by bin; numbers in the tenths of those before."""
    left, right = _masses(before, now)
    if before.numbers is None or now.numbers is None or not _there(before) or not _there(now):
        return left, right
    bounds = np.unique(quantiles(before.numbers, _PARTS))[1:-1]
    cuts = [
        np.concatenate([[0.0], _below(quantiles(one.numbers or b"", _FINE), bounds, "right"), [1.0]])
        for one in (before, now)
    ]
    for counts, cut, shape in ((left, cuts[0], before), (right, cuts[1], now)):
        del counts["number"]
        shares = np.diff(cut) * _there(shape)
        counts |= {f"tenth {place}": float(share) for place, share in enumerate(shares)}
    return left, right


def _shares(before: Mapping[str, float], now: Mapping[str, float]) -> tuple[Floats, Floats]:
    names = [name for name in sorted({*before, *now}) if before.get(name, 0) or now.get(name, 0)]
    both = np.array([[counts.get(name, 0.0) for name in names] for counts in (before, now)], np.float64)
    shares = np.maximum(both / np.maximum(both.sum(axis=1, keepdims=True), 1), _NONE)
    return shares[0], shares[1]
