"""Features of the moment of the request: its time, its columns, and what they are next to the entity's own past."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from sluice.declare.checks import named
from sluice.errors import DeclarationError

Moment = Literal["value", "hour", "weekday", "is_weekend", "is_night", "ratio", "cross"]


@dataclass(frozen=True)
class ViewFeature:
    """A feature of a view, as an operand: `spend["mean_amount_7d"]`."""

    view: str
    feature: str

    @property
    def name(self) -> str:
        """Its name in a vector."""
        return f"{self.view}__{self.feature}"


Operand = str | ViewFeature


@dataclass(frozen=True)
class RequestFeature:
    """One feature of the request: a function of its time, its columns or of view features."""

    function: Moment
    operands: tuple[Operand, ...] = ()
    name: str = ""
    parameters: tuple[int, ...] = field(default=())

    def describe(self) -> dict[str, object]:
        """Everything that changes the value."""
        operands = [item if isinstance(item, str) else item.name for item in self.operands]
        return {
            "function": self.function,
            "operands": operands,
            "name": self.name,
            "parameters": list(self.parameters),
        }


def value(column: str, *, name: str | None = None) -> RequestFeature:
    """A column of the request as it is: a number, or the code of a category."""
    return RequestFeature("value", (column,), named(name or column, where="value(name)"))


def hour(*, name: str = "hour") -> RequestFeature:
    """The hour of the request's event time in UTC, 0 to 23."""
    return RequestFeature("hour", name=named(name, where="hour(name)"))


def weekday(*, name: str = "weekday") -> RequestFeature:
    """The weekday of the request's event time in UTC, Monday 0 to Sunday 6."""
    return RequestFeature("weekday", name=named(name, where="weekday(name)"))


def is_weekend(*, name: str = "is_weekend") -> RequestFeature:
    """Whether the request falls on a Saturday or Sunday in UTC, 1 or 0."""
    return RequestFeature("is_weekend", name=named(name, where="is_weekend(name)"))


def is_night(first_hour: int = 0, last_hour: int = 6, *, name: str = "is_night") -> RequestFeature:
    """Whether the request's hour in UTC lies between two hours, both included, 1 or 0."""
    if not (0 <= first_hour <= 23 and 0 <= last_hour <= 23):
        raise DeclarationError(f"hours {first_hour} to {last_hour}", where="is_night", allowed="0 to 23")
    return RequestFeature("is_night", (), named(name, where="is_night(name)"), (first_hour, last_hour))


def ratio(over: Operand, under: Operand, *, name: str | None = None) -> RequestFeature:
    """One value divided by another in float64; null when either is null or the divisor is zero."""
    return RequestFeature("ratio", (over, under), named(name or _joined(over, "per", under), where="ratio(name)"))


def cross(*columns: str, name: str | None = None) -> RequestFeature:
    """Two or more categories as one: a frozen 64-bit hash of their codes; null when one is null."""
    if len(columns) < 2:
        raise DeclarationError(f"a cross of {len(columns)}", where="cross", allowed="two categories or more")
    return RequestFeature("cross", columns, named(name or "_x_".join(columns), where="cross(name)"))


def _joined(left: Operand, word: str, right: Operand) -> str:
    names = [item if isinstance(item, str) else f"{item.view}_{item.feature}" for item in (left, right)]
    return f"_{word}_".join(names)
