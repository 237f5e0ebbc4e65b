"""The request's own features: its time, its columns, and what they are beside what is known at that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from sluice.declare.columns import Category
from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import Operand, RequestFeature, ViewFeature
from sluice.engine.batch import Column
from sluice.engine.encode import Ints, Mask, integers, row_hashes
from sluice.engine.finalise import divided, quotient

Codes = tuple[Ints, Mask]


@dataclass(frozen=True)
class Moment:
    """Encoded requests beside the view features already computed for them (by vector name)."""

    pipeline: Pipeline
    requests: pa.Table
    known: Mapping[str, Column]
    _read: dict[str, Codes] = field(default_factory=dict)
    _numbers: dict[str, Column] = field(default_factory=dict)

    def compute(self, feature: RequestFeature) -> Column:
        """One feature for every request: float64 values, or int64 codes for a category."""
        match feature.function:
            case "value":
                return self._value(str(feature.operands[0]))
            case "cross":
                return self._cross(feature)
            case "ratio" | "difference" | "zscore":
                return self._arithmetic(feature)
            case _:
                return self._calendar(feature)

    def _calendar(self, feature: RequestFeature) -> Column:
        whole = _CALENDAR[feature.function](self._column("_time")[0], *feature.parameters)
        every = np.ones(len(whole), bool)
        return (whole, every) if feature.function == "season" else (whole.astype(np.float64), every)

    def _value(self, column: str) -> Column:
        if isinstance(self.pipeline.events.columns[column], Category):
            return self._column(column)
        return self._number(column)

    def _arithmetic(self, feature: RequestFeature) -> Column:
        """One float64 operation after the other, as the declaration writes them."""
        operands = [self._number(operand) for operand in feature.operands]
        valid = np.logical_and.reduce([there for _, there in operands])
        first, second, *rest = [values for values, _ in operands]
        with np.errstate(over="ignore", invalid="ignore"):  # what leaves float64 is infinite, as IEEE says
            if feature.function == "ratio":
                return divided(first, second, valid)
            less = np.where(valid, first - second, 0.0)
            return divided(less, rest[0], valid) if rest else (less, valid)

    def _number(self, operand: Operand) -> Column:
        if not isinstance(operand, str):
            values, valid = self._held(operand)
            return values.astype(np.float64, copy=False), valid
        if operand not in self._numbers:
            values, valid = self._column(operand)
            scale = getattr(self.pipeline.events.columns[operand], "scale", 0)
            self._numbers[operand] = quotient(values, np.full(len(values), 10**scale, np.int64)), valid
        return self._numbers[operand]

    def _cross(self, feature: RequestFeature) -> Codes:
        columns = [
            self._column(operand) if isinstance(operand, str) else self._held(operand) for operand in feature.operands
        ]
        valid = np.logical_and.reduce([there for _, there in columns])
        hashes = row_hashes([pa.array(values.astype(np.int64, copy=False), mask=~there) for values, there in columns])
        return np.where(valid, hashes, 0), valid

    def _held(self, operand: ViewFeature | RequestFeature) -> Column:
        return self.known[operand.name] if isinstance(operand, ViewFeature) else self.compute(operand)

    def _column(self, name: str) -> Codes:
        if name not in self._read:
            self._read[name] = integers(self.requests.column(name))
        return self._read[name]


def _hour(time: Ints) -> Ints:
    hour: Ints = time % DAY // HOUR
    return hour


def _minutes(time: Ints) -> Ints:
    minutes: Ints = time % DAY // MINUTE
    return minutes


def _weekday(time: Ints) -> Ints:
    # 1970-01-01 was a Thursday
    weekday: Ints = (time // DAY + 3) % 7
    return weekday


def _month(time: Ints) -> Ints:
    """1 to 12; numpy counts whole months from January 1970, downwards before it."""
    months: Ints = time.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return months % 12 + 1


def _season(time: Ints, later: int) -> Ints:
    """Three months each from December on, `later` by so many."""
    season: Ints = (_month(time) + later) % 12 // 3
    return season


def _weekend(time: Ints) -> Ints:
    return (_weekday(time) >= 5).astype(np.int64)


def _night(time: Ints, first: int, last: int) -> Ints:
    hour = _hour(time)
    inside = (hour >= first) & (hour <= last) if first <= last else (hour >= first) | (hour <= last)
    return inside.astype(np.int64)


_CALENDAR: dict[str, Callable[..., Ints]] = {
    "hour": _hour,
    "minutes_since_midnight": _minutes,
    "weekday": _weekday,
    "month": _month,
    "season": _season,
    "is_weekend": _weekend,
    "is_night": _night,
}
