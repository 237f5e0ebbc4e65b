"""A column as the parts that can be compared: whether it is missing, whether it is zero, and its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.drift.columns import MISSING, Codes, Column, Numbers
from sluice.monitor.drift.protocol import TestName

ZERO_INFLATED = 0.2
"""From this share of exact zeros a column is split into a zero flag and its other values: ties blunt the KS test."""
RARE = 0.01
"""Categories below this share of the reference, and new ones, are compared as one."""
OTHER = MISSING + 1
"""The code of that one category."""

_BINS = 512


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of a column take part, what is compared of them, and by which test."""

    name: str
    test: TestName
    rows: Callable[[Column], NDArray[np.bool_]]
    take: Callable[[Column], Numbers | Codes]
    fewer: str = ""
    """What it is called when the batch has less of what it flags, where that is another matter."""

    def told(self, before: Numbers | Codes, now: Numbers | Codes) -> str:
        """Its name for these values: values that turn up are no broken feed, values that go missing may be."""
        fell = bool(self.fewer) and len(before) > 0 and len(now) > 0 and now.mean() < before.mean()
        return self.fewer if fell else self.name

    def of(self, column: Column) -> Numbers | Codes:
        """The values to compare."""
        return self.take(column)[self.rows(column)]

    def binned(self, column: Column) -> tuple[Codes, int]:
        """Every row as a code from 0, -1 for rows outside the part, and how many codes; numbers fall into quantiles."""
        values = self.of(column)
        inner = np.linspace(0, 1, _BINS + 1)[1:-1]
        numeric = self.test == "ks" and len(values) > _BINS
        edges = np.unique(np.quantile(values, inner, method="inverted_cdf") if numeric else values)
        codes = np.full(len(column), -1, dtype=np.int64)
        codes[self.rows(column)] = np.searchsorted(edges, values, side="left")
        return codes, len(edges) + 1


def parts_of(reference: Column) -> tuple[Part, ...]:
    """The parts to compare, as the reference calls for; missing values are always one of them."""
    if reference.kind == "categorical":
        return (_MISSING, Part("categories", "chi2", _present, _lumped(reference)))
    present = reference.values[_present(reference)]
    if len(present) and float((present == 0).mean()) >= ZERO_INFLATED:
        return (_MISSING, _ZERO, _NONZERO)
    return (_MISSING, _VALUES)


def _everywhere(column: Column) -> NDArray[np.bool_]:
    return np.ones(len(column), dtype=np.bool_)


def _present(column: Column) -> NDArray[np.bool_]:
    return ~column.missing


def _is_nonzero(column: Column) -> NDArray[np.bool_]:
    return _present(column) & np.not_equal(column.values, 0)


def _missing_flag(column: Column) -> Codes:
    return column.missing.astype(np.int64)


def _zero_flag(column: Column) -> Codes:
    return np.equal(column.values, 0).astype(np.int64)


def _values(column: Column) -> Numbers | Codes:
    return column.values


def _lumped(reference: Column) -> Callable[[Column], Codes]:
    codes, counts = np.unique(reference.values[_present(reference)], return_counts=True)
    known = codes[counts >= RARE * counts.sum()]

    def lump(column: Column) -> Codes:
        return np.where(np.isin(column.values, known), column.values, OTHER).astype(np.int64)

    return lump


_MISSING = Part("null", "fet", _everywhere, _missing_flag, fewer="present")
_ZERO = Part("zero", "fet", _present, _zero_flag)
_NONZERO = Part("values", "ks", _is_nonzero, _values)
_VALUES = Part("values", "ks", _present, _values)
