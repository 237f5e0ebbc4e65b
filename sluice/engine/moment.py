"""The request's own features: its time, its columns, and ratios and crosses of what is known at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from sluice.declare.columns import Category
from sluice.declare.durations import DAY, HOUR
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import Operand, RequestFeature, ViewFeature
from sluice.engine.batch import Column
from sluice.engine.encode import Ints, Mask, integers, row_hashes
from sluice.engine.finalise import divided, quotient

Codes = tuple[Ints, Mask]


@dataclass(frozen=True)
class Moment:
    """Encoded requests beside the windowed values already computed for them (by vector name)."""

    pipeline: Pipeline
    requests: pa.Table
    known: Mapping[str, Column]
    _read: dict[str, Codes] = field(default_factory=dict)
    _numbers: dict[str, Column] = field(default_factory=dict)

    def compute(self, feature: RequestFeature) -> Column:
        """One feature for every request: float64 values, or int64 codes for a category."""
        if feature.function == "value":
            return self._value(str(feature.operands[0]))
        if feature.function == "cross":
            return self._cross([str(operand) for operand in feature.operands])
        if feature.function == "ratio":
            over, under = (self._number(operand) for operand in feature.operands)
            return divided(over[0], under[0], over[1] & under[1])
        whole = _calendar(feature, self._column("_time")[0])
        return whole.astype(np.float64), np.ones(len(whole), bool)

    def _value(self, column: str) -> Column:
        if isinstance(self.pipeline.events.columns[column], Category):
            return self._column(column)
        return self._number(column)

    def _number(self, operand: Operand) -> Column:
        if isinstance(operand, ViewFeature):
            return self.known[operand.name]
        if operand not in self._numbers:
            values, valid = self._column(operand)
            scale = getattr(self.pipeline.events.columns[operand], "scale", 0)
            self._numbers[operand] = quotient(values, np.full(len(values), 10**scale, np.int64)), valid
        return self._numbers[operand]

    def _cross(self, columns: list[str]) -> Codes:
        arrays = [self.requests.column(name).combine_chunks() for name in columns]
        valid = np.logical_and.reduce([self._column(name)[1] for name in columns])
        return np.where(valid, row_hashes(arrays), 0), valid

    def _column(self, name: str) -> Codes:
        if name not in self._read:
            self._read[name] = integers(self.requests.column(name))
        return self._read[name]


def _calendar(feature: RequestFeature, time: Ints) -> Ints:
    hour: Ints = time % DAY // HOUR
    match feature.function:
        case "hour":
            return hour
        case "weekday":
            return _weekday(time)
        case "is_weekend":
            return (_weekday(time) >= 5).astype(np.int64)
        case _:
            return _night(hour, *feature.parameters)


def _weekday(time: Ints) -> Ints:
    # 1970-01-01 was a Thursday
    weekday: Ints = (time // DAY + 3) % 7
    return weekday


def _night(hour: Ints, first: int, last: int) -> Ints:
    inside = (hour >= first) & (hour <= last) if first <= last else (hour >= first) | (hour <= last)
    return inside.astype(np.int64)
