"""The windowed functions: what is computed over an entity's events inside a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sluice.declare.checks import distinct, named
from sluice.declare.durations import MINUTE, duration, duration_text
from sluice.errors import DeclarationError

Function = Literal["count", "sum", "mean", "share", "since_last"]


@dataclass(frozen=True)
class Windowed:
    """One function over one column and one window: a feature. `window` is None for the view's longest window."""

    function: Function
    column: str | None
    window: int | None
    fill: float | None
    name: str

    def describe(self) -> dict[str, object]:
        """Everything that changes the value."""
        return {
            "function": self.function,
            "column": self.column,
            "window": self.window,
            "fill": self.fill,
            "name": self.name,
        }


def count(*windows: str, name: str | None = None) -> tuple[Windowed, ...]:
    """How many events the window holds; 0 for an empty one."""
    return _each("count", None, windows, fill=None, name=name)


def sum_(column: str, *windows: str, fill: float | None = None, name: str | None = None) -> tuple[Windowed, ...]:
    """The sum of a column over the window's events; null (or `fill`) when none has a value."""
    return _each("sum", column, windows, fill=fill, name=name)


def mean(column: str, *windows: str, fill: float | None = None, name: str | None = None) -> tuple[Windowed, ...]:
    """The mean of a column over the window's events that have a value, rounded once; null (or `fill`) when none has."""
    return _each("mean", column, windows, fill=fill, name=name)


def share(column: str, *windows: str, fill: float | None = None, name: str | None = None) -> tuple[Windowed, ...]:
    """The share of the window's events whose flag is 1, rounded once; null (or `fill`) when there are none."""
    return _each("share", column, windows, fill=fill, name=name)


def since_last(*, name: str = "since_last") -> tuple[Windowed, ...]:
    """Seconds since the entity's last event within the view's longest window; null when there is none."""
    return (Windowed("since_last", None, None, None, named(name, where="since_last(name)")),)


def flatten(features: Sequence[Sequence[Windowed]], *, where: str) -> tuple[Windowed, ...]:
    """The features of a view in declared order; DeclarationError for a name used twice."""
    for group in features:
        if not isinstance(group, tuple):
            allowed = "a list such as [count('7d'), since_last()]"
            raise DeclarationError(f"{type(group).__name__} in it", where=f"{where}.features", allowed=allowed)
    flat = tuple(feature for group in features for feature in group)
    distinct([feature.name for feature in flat], where=where, kind="feature")
    return flat


def _each(
    function: Function, column: str | None, windows: Sequence[str], *, fill: float | None, name: str | None
) -> tuple[Windowed, ...]:
    where = f"{function}({column!r})" if column else f"{function}()"
    if not windows:
        raise DeclarationError("no window is given", where=where, next_step="say how far back, like '7d'")
    return tuple(_one(function, column, text, fill, name, where) for text in windows)


def _one(
    function: Function, column: str | None, text: str, fill: float | None, name: str | None, where: str
) -> Windowed:
    window = duration(text, where=where)
    if window <= 0 or window % MINUTE:
        raise DeclarationError(f"window {text!r} is impossible", where=where, allowed="whole minutes, 1min or more")
    stem = "_".join(part for part in (function, column) if part)
    label = duration_text(window)
    chosen = f"{stem}_{label}" if name is None else name.replace("{window}", label)
    return Windowed(function, column, window, _filling(fill, where), named(chosen, where=f"{where}.name"))


def _filling(fill: float | None, where: str) -> float | None:
    if fill is None or (isinstance(fill, int | float) and math.isfinite(fill)):
        return None if fill is None else float(fill)
    raise DeclarationError(f"fill={fill!r}", where=where, allowed="a finite number, or None for null")
