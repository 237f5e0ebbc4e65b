"""Features of the moment of the request: its time, its columns, and what they are next to the entity's own past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from sluice.declare.arguments import check_argument
from sluice.declare.checks import named, one_of
from sluice.errors import DeclarationError

Moment = Literal[
    "value",
    "hour",
    "weekday",
    "month",
    "season",
    "minutes_since_midnight",
    "is_weekend",
    "is_night",
    "ratio",
    "difference",
    "zscore",
    "cross",
]
SEASONS = ("winter", "spring", "summer", "autumn")
"""The categories of `season`, in the order of their codes."""


@dataclass(frozen=True)
class ViewFeature:
    """A feature of a view, as an operand: `spend["mean_amount_7d"]`."""

    view: str
    feature: str

    @property
    def name(self) -> str:
        """Its name in a vector."""
        return f"{self.view}__{self.feature}"


@dataclass(frozen=True)
class RequestFeature:
    """One feature of the request: a function of its time, its columns, view features or other request features."""

    function: Moment
    operands: tuple[Operand, ...] = ()
    name: str = ""
    parameters: tuple[int, ...] = field(default=())

    @property
    def leaves(self) -> Iterator[str | ViewFeature]:
        """The columns and view features that it is made from, through whatever it is made of."""
        for operand in self.operands:
            if isinstance(operand, RequestFeature):
                yield from operand.leaves
            else:
                yield operand

    def describe(self) -> dict[str, object]:
        """Everything that changes the value."""
        return {
            "function": self.function,
            "operands": [_described(operand) for operand in self.operands],
            "name": self.name,
            "parameters": list(self.parameters),
        }


Operand = str | ViewFeature | RequestFeature


def value(column: str, *, name: str | None = None) -> RequestFeature:
    """A column of the request as it is: a number, or the code of a category."""
    check_argument(column, str, name="column", where="value()", allowed="the name of one column")
    return RequestFeature("value", (column,), named(column if name is None else name, where="value(name)"))


def hour(*, name: str = "hour") -> RequestFeature:
    """The hour of the request's event time in UTC, 0 to 23."""
    return RequestFeature("hour", name=named(name, where="hour(name)"))


def weekday(*, name: str = "weekday") -> RequestFeature:
    """The weekday of the request's event time in UTC, Monday 0 to Sunday 6."""
    return RequestFeature("weekday", name=named(name, where="weekday(name)"))


def month(*, name: str = "month") -> RequestFeature:
    """The month of the request's event time in UTC, 1 to 12."""
    return RequestFeature("month", name=named(name, where="month(name)"))


def season(*, hemisphere: Literal["north", "south"] = "north", name: str = "season") -> RequestFeature:
    """The meteorological season in UTC, a closed category: winter, spring, summer, autumn.

    In the north winter is December to February, spring March to May, and so on; in the south it is half a year later.
    """
    one_of(hemisphere, ["north", "south"], where="season(hemisphere)", kind="hemisphere")
    return RequestFeature("season", (), named(name, where="season(name)"), (0 if hemisphere == "north" else 6,))


def minutes_since_midnight(*, name: str = "minutes_since_midnight") -> RequestFeature:
    """Whole minutes since the request's midnight in UTC, 0 to 1439."""
    return RequestFeature("minutes_since_midnight", name=named(name, where="minutes_since_midnight(name)"))


def is_weekend(*, name: str = "is_weekend") -> RequestFeature:
    """Whether the request falls on a Saturday or Sunday in UTC, 1 or 0."""
    return RequestFeature("is_weekend", name=named(name, where="is_weekend(name)"))


def is_night(first_hour: int = 0, last_hour: int = 6, *, name: str = "is_night") -> RequestFeature:
    """Whether the request's hour in UTC lies between two hours, both included, 1 or 0."""
    check_argument(first_hour, int, name="first_hour", where="is_night()")
    check_argument(last_hour, int, name="last_hour", where="is_night()")
    if not (0 <= first_hour <= 23 and 0 <= last_hour <= 23):
        raise DeclarationError(f"hours {first_hour} to {last_hour}", where="is_night", allowed="0 to 23")
    return RequestFeature("is_night", (), named(name, where="is_night(name)"), (first_hour, last_hour))


def ratio(over: Operand, under: Operand, *, name: str | None = None) -> RequestFeature:
    """One value divided by another in float64; null when either is null or the divisor is zero."""
    return _of("ratio", (over, under), name, f"{_called(over)}_per_{_called(under)}")


def difference(left: Operand, right: Operand, *, name: str | None = None) -> RequestFeature:
    """One value minus another in float64; null when either is null."""
    return _of("difference", (left, right), name, f"{_called(left)}_minus_{_called(right)}")


def zscore(value: Operand, *, mean: Operand, std: Operand, name: str | None = None) -> RequestFeature:
    """How many `std` a value lies above `mean`: `(value - mean) / std` in float64; null when one is, or std is 0."""
    return _of("zscore", (value, mean, std), name, f"zscore_{_called(value)}")


def cross(*categories: Operand, name: str | None = None) -> RequestFeature:
    """Two or more categories as one: a frozen 64-bit hash of their codes; null when one is null.

    Hour, weekday, month, season, weekend and night of the request count as categories, as do those of `AsOf` views.
    """
    if len(categories) < 2:
        raise DeclarationError(f"a cross of {len(categories)}", where="cross", allowed="two categories or more")
    return _of("cross", categories, name, "_x_".join(_called(item) for item in categories))


def _of(function: Moment, operands: tuple[Operand, ...], name: str | None, otherwise: str) -> RequestFeature:
    for operand in operands:
        _called(operand)
    return RequestFeature(function, operands, named(otherwise if name is None else name, where=f"{function}(name)"))


def _called(operand: object) -> str:
    """What an operand is called within the name of what is made from it."""
    if isinstance(operand, ViewFeature):
        return f"{operand.view}_{operand.feature}"
    if isinstance(operand, str | RequestFeature):
        return operand if isinstance(operand, str) else operand.name
    raise DeclarationError(
        f"{operand!r} is no value",
        where="an operand of ratio, difference, zscore or cross",
        allowed="a column, a view's feature such as spend['mean_amount_7d'], or another feature of the request",
    )


def _described(operand: Operand) -> object:
    """An operand as it changes the value: what another feature of the request is called does not."""
    if isinstance(operand, RequestFeature):
        return {name: part for name, part in operand.describe().items() if name != "name"}
    return operand if isinstance(operand, str) else operand.name
