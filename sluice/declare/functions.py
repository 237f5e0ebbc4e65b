"""The windowed functions: what is computed over an entity's events inside a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from sluice.declare.arguments import check_argument, is_number
from sluice.declare.checks import distinct as distinct_names
from sluice.declare.checks import named
from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Integer, Key
from sluice.declare.conditions import Condition
from sluice.declare.durations import DAY, LIMIT, MINUTE, duration, duration_text
from sluice.errors import DeclarationError

Function = Literal[
    "count", "sum", "mean", "share", "min", "max", "std", "percentile", "distinct", "first", "last", "top", "top_share",
    "decayed_count", "decayed_sum", "decayed_mean", "since_last", "since_first",
]  # fmt: skip
LIFETIME = LIMIT
"""The window that reaches back to an entity's first event, in microseconds: further than any calendar."""
LONGEST_HALF_LIFE = 2**51 // DAY * DAY
"""An age below a half-life is multiplied by the 4,096 steps of the table of weights, which has to fit 64 bits."""

_NUMBERS: tuple[type[Column], ...] = (Decimal, Integer, Flag)
_COLUMNS: Mapping[str, tuple[type[Column], ...]] = {
    "share": (Flag,),
    "distinct": (Key, ForeignKey, Category, Decimal, Integer, Flag),
    "first": (*_NUMBERS, Category),
    "last": (*_NUMBERS, Category),
    "top": (Category,),
    "top_share": (Category,),
}
OF_LABELS = frozenset({"count", "sum", "mean", "share", "since_last", "since_first"})
"""What can be counted of labels: a label told later changes a sum by a difference, but no smallest or latest value."""
_OF_EVENTS = frozenset({"count", "decayed_count", "since_last", "since_first"})
"""What asks only whether there are events; every other function reads a column."""
_BEFORE = frozenset({"first", "last", "since_last", "since_first"})


@dataclass(frozen=True)
class Windowed:
    """One function over one column and one window: a feature. `window` is None for the view's longest window."""

    function: Function
    column: str | None
    window: int | None
    fill: float | None
    name: str
    where: Condition | None = None
    parameters: tuple[int, ...] = ()
    """percentile: numerator, denominator, bits, exact; distinct: exact; top: cardinality; decayed: half-life."""

    @property
    def counts_request(self) -> bool:
        """Whether `include_request` changes it; what asks for the first or last event looks at those before."""
        return self.function not in _BEFORE

    @property
    def columns(self) -> tuple[type[Column], ...]:
        """The kinds of column that it can read."""
        return _COLUMNS.get(self.function, _NUMBERS)

    def describe(self) -> dict[str, object]:
        """Everything that changes the value."""
        described: dict[str, object] = {
            "function": self.function,
            "column": self.column,
            "window": self.window,
            "fill": self.fill,
            "name": self.name,
        }
        if self.where is not None:
            described["where"] = self.where.describe()
        if self.parameters:
            described["parameters"] = list(self.parameters)
        return described


Features = tuple[Windowed, ...]


def count(*windows: str, where: Condition | None = None, name: str | None = None) -> Features:
    """How many events the window holds; 0 for an empty one."""
    return _Maker("count", None, where, None, name).each(windows)


def sum_(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The sum of a column over the window's events; null (or `fill`) when none has a value."""
    return _Maker("sum", column, where, fill, name).each(windows)


def mean(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The mean of a column over the window's events that have a value, rounded once; null (or `fill`) when none has."""
    return _Maker("mean", column, where, fill, name).each(windows)


def share(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The share of the window's events whose flag is 1, rounded once; null (or `fill`) when there are none."""
    return _Maker("share", column, where, fill, name).each(windows)


def min_(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The least value of a column over the window's events; null (or `fill`) when none has a value."""
    return _Maker("min", column, where, fill, name).each(windows)


def max_(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The greatest value of a column over the window's events; null (or `fill`) when none has a value."""
    return _Maker("max", column, where, fill, name).each(windows)


def std(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The standard deviation of a column's values in the window (of the values as they are, divided by their number).

    The square root of an exact fraction, rounded once; 0 for one value, null (or `fill`) when there is none.
    """
    return _Maker("std", column, where, fill, name).each(windows)


def percentile(
    column: str,
    p: float,
    *windows: str,
    error: float = 0.01,
    exact: int = 128,
    where: Condition | None = None,
    fill: float | None = None,
    name: str | None = None,
) -> Features:
    """The least value that at least the share `p` of the window's values do not exceed; null (or `fill`) for none.

    Exact up to `exact` values in the window; with more, off by at most the relative `error` (buckets in the manner of
    DDSketch, Masson et al. 2019, but by whole numbers only).
    """
    where_ = f"percentile({column!r}, {p!r})"
    if not (is_number(p) and 0 < p <= 1):
        raise DeclarationError(f"p={p!r}", where=where_, allowed="above 0 and up to 1, such as 0.95")
    if not (is_number(error) and 0.001 <= error <= 0.25):
        raise DeclarationError(f"error={error!r}", where=where_, allowed="0.001 to 0.25")
    fraction = Fraction(str(p))
    bits = next(bits for bits in range(1, 12) if Fraction(1, 2 ** (bits + 1)) <= Fraction(str(error)))
    parameters = (fraction.numerator, fraction.denominator, bits, _few(exact, where_))
    stem = f"p{str(float(p * 100)).removesuffix('.0').replace('.', '_')}"
    return _Maker("percentile", column, where, fill, name, parameters, stem=stem).each(windows)


def distinct(
    column: str, *windows: str, exact: int = 256, where: Condition | None = None, name: str | None = None
) -> Features:
    """How many different values a column has in the window; 0 for an empty one.

    Exact up to `exact` of them; with more, an estimate from the `exact` smallest hashes (Bar-Yossef et al. 2002, the
    k-minimum-values sketch) with a standard error of about 1 / sqrt(exact - 2).
    """
    return _Maker("distinct", column, where, None, name, (_few(exact, f"distinct({column!r})"),)).each(windows)


def first(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """A column's value at the earliest of the window's events that has one, by (time, id); null (or `fill`) for none.

    Without a window the view's longest; the request's own event is none of them.
    """
    return _Maker("first", column, where, fill, name).each_or_longest(windows)


def last(
    column: str, *windows: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """A column's value at the latest of the window's events that has one, by (time, id); null (or `fill`) for none.

    Without a window the view's longest; the request's own event is none of them.
    """
    return _Maker("last", column, where, fill, name).each_or_longest(windows)


def top(
    column: str, *windows: str, cardinality: int = 64, where: Condition | None = None, name: str | None = None
) -> Features:
    """The commonest category in the window, as its code; of equals the least code; null when none has a value.

    A window with more than `cardinality` different categories gives null.
    """
    return _Maker("top", column, where, None, name, (_few(cardinality, f"top({column!r})"),)).each(windows)


def top_share(
    column: str, *windows: str, cardinality: int = 64, where: Condition | None = None, name: str | None = None
) -> Features:
    """The share of the commonest category among the window's values; null when there are none, or too many kinds."""
    return _Maker("top_share", column, where, None, name, (_few(cardinality, f"top_share({column!r})"),)).each(windows)


def decayed_count(*, half_life: str, where: Condition | None = None, name: str | None = None) -> Features:
    """The events of the view's longest window, each counted half as much for every half-life that it is old.

    Weights are those of `decayed_sum`; of an event 16 half-lives old nothing may be left.
    """
    return _decayed("decayed_count", None, half_life, where, None, name)


def decayed_sum(
    column: str, *, half_life: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The sum of a column over the view's longest window, each value halved for every half-life that it is old.

    Weights are whole numbers of a frozen table (forward decay, Cormode et al. 2009), within 0.02 % of the curve. What
    a half-life adds up to is rounded down to whole 2^-16 of the column's step when it is halved, so that of a small
    value nothing may be left after 16 half-lives. Null (or `fill`) when no event has a value.
    """
    return _decayed("decayed_sum", column, half_life, where, fill, name)


def decayed_mean(
    column: str, *, half_life: str, where: Condition | None = None, fill: float | None = None, name: str | None = None
) -> Features:
    """The mean of a column over the view's longest window, each value weighted as by `decayed_sum`.

    Null (or `fill`) when no event has a value, or when all are so old, 16 half-lives or more, that no weight is left.
    """
    return _decayed("decayed_mean", column, half_life, where, fill, name)


def since_last(*windows: str, where: Condition | None = None, name: str | None = None) -> Features:
    """Seconds since the entity's last event within a window, the view's longest without one; null when there is none.

    The request's own event is not its own last one.
    """
    return _Maker("since_last", None, where, None, name).each_or_longest(windows)


def since_first(*windows: str, where: Condition | None = None, name: str | None = None) -> Features:
    """Seconds since the entity's first event within a window; `since_first("lifetime")` is how long it is known."""
    return _Maker("since_first", None, where, None, name).each_or_longest(windows)


def flatten(features: Sequence[Sequence[Windowed]], *, where: str) -> Features:
    """The features of a view in declared order; DeclarationError for a name used twice."""
    for group in features:
        if not (isinstance(group, tuple) and all(isinstance(feature, Windowed) for feature in group)):
            allowed = "a list such as [count('7d'), since_last()]"
            raise DeclarationError(f"{type(group).__name__} in it", where=f"{where}.features", allowed=allowed)
    flat = tuple(feature for group in features for feature in group)
    distinct_names([feature.name for feature in flat], where=where, kind="feature")
    return flat


def window_text(window: int) -> str:
    """How a window is written: `7d`, `lifetime`."""
    return "lifetime" if window == LIFETIME else duration_text(window)


@dataclass(frozen=True)
class _Maker:
    """What the features of one call share."""

    function: Function
    column: str | None
    condition: Condition | None
    fill: float | None
    name: str | None
    parameters: tuple[int, ...] = ()
    stem: str = ""
    suffix: str = ""
    """What the name ends in, for want of a window."""

    def __post_init__(self) -> None:
        if self.function not in _OF_EVENTS:
            check_argument(self.column, str, name="column", where=self.where, allowed="the name of one column")
        check_argument(self.name, str | None, name="name", where=self.where)

    @property
    def where(self) -> str:
        """The call, for messages."""
        shown = self.stem or self.function
        return f"{shown}({self.column!r})" if self.column else f"{shown}()"

    def each(self, windows: Sequence[str]) -> Features:
        if not windows:
            raise DeclarationError("no window is given", where=self.where, next_step="say how far back, like '7d'")
        return tuple(self._one(_window(text, self.where)) for text in windows)

    def each_or_longest(self, windows: Sequence[str]) -> Features:
        return self.each(windows) if windows else (self._one(None),)

    def _one(self, window: int | None) -> Windowed:
        label = "" if window is None else window_text(window)
        return Windowed(
            self.function,
            self.column,
            window,
            _filling(self.fill, self.where),
            self._named(label),
            self._filter(),
            self.parameters,
        )

    def _named(self, label: str) -> str:
        if self.name is None and self.condition is not None:
            raise DeclarationError(
                "a filtered feature has no name of its own", where=self.where, next_step="give name='online_{window}'"
            )
        parts = (self.stem or self.function, self.column, label, self.suffix)
        chosen = self.name if self.name is not None else "_".join(part for part in parts if part)
        return named(chosen.replace("{window}", label), where=f"{self.where}.name")

    def _filter(self) -> Condition | None:
        if self.condition is None or isinstance(self.condition, Condition):
            return self.condition
        raise DeclarationError(
            f"where={self.condition!r}", where=self.where, allowed='a filter such as col("channel") == "online"'
        )


def _decayed(
    function: Function, column: str | None, half_life: str, condition: Any, fill: float | None, name: str | None
) -> Features:
    where = f"{function}({column!r})" if column else f"{function}()"
    length = duration(half_life, where=f"{where}.half_life")
    if not MINUTE <= length <= LONGEST_HALF_LIFE or length % MINUTE:
        raise DeclarationError(
            f"half_life {half_life!r} is impossible",
            where=where,
            allowed=f"whole minutes, 1min to {duration_text(LONGEST_HALF_LIFE)}",
        )
    maker = _Maker(function, column, condition, fill, name, (length,), suffix=duration_text(length))
    return maker.each_or_longest(())


def _window(text: str, where: str) -> int:
    if text == "lifetime":
        return LIFETIME
    window = duration(text, where=where)
    if window <= 0 or window % MINUTE:
        raise DeclarationError(
            f"window {text!r} is impossible", where=where, allowed="whole minutes, 1min or more, or lifetime"
        )
    return window


def _few(number: int, where: str) -> int:
    if isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= 1024:
        return number
    raise DeclarationError(f"{number!r} values to be kept one by one", where=where, allowed="1 to 1024")


def _filling(fill: float | None, where: str) -> float | None:
    if fill is None or is_number(fill):
        return None if fill is None else float(fill)
    raise DeclarationError(f"fill={fill!r}", where=where, allowed="a finite number, or None for null")
