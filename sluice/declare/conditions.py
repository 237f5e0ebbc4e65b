"""Filters of a windowed function: `count("7d", where=col("channel") == "online", name="online_7d")`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NoReturn

from sluice.declare.arguments import check_argument, is_number
from sluice.declare.checks import one_of
from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Integer, Key
from sluice.errors import DeclarationError

Constant = str | int | float
Compare = Literal["==", "<", "<=", "in", "is_null"]
"""`!=`, `>` and `>=` are the negations of `==`, `<=` and `<`."""


@dataclass(frozen=True)
class Condition:
    """What a filter asks of one event: a comparison, or `&`, `|` and `~` of others.

    A comparison with a null is neither true nor false, and so is its negation: the event does not pass. `is_null()` is
    always one of the two.
    """

    operator: Compare | Literal["&", "|", "~"]
    column: str = ""
    constants: tuple[Constant, ...] = ()
    parts: tuple[Condition, ...] = ()

    def __and__(self, other: Condition) -> Condition:
        return Condition("&", parts=(self, _condition(other)))

    def __or__(self, other: Condition) -> Condition:
        return Condition("|", parts=(self, _condition(other)))

    def __invert__(self) -> Condition:
        return self.parts[0] if self.operator == "~" else Condition("~", parts=(self,))

    def __bool__(self) -> NoReturn:
        raise DeclarationError(
            "a filter is no truth value",
            where=f"where={self}",
            allowed="&, | and ~ with a bracket around each comparison",
            next_step='write (col("a") == 1) & (col("b") < 2), and no `and`, `or`, `not` or chain of comparisons',
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it reads, in order of first use."""
        own = (self.column,) if self.column else ()
        return tuple(dict.fromkeys([*own, *(name for part in self.parts for name in part.columns)]))

    def describe(self) -> list[object]:
        """What it means, as lists that JSON can hold."""
        if self.parts:
            return [self.operator, *(part.describe() for part in self.parts)]
        return [self.operator, self.column, *self.constants]

    def __str__(self) -> str:
        if self.operator == "~":
            return f"~{self.parts[0]}"
        if self.parts:
            return f"({f' {self.operator} '.join(map(str, self.parts))})"
        if self.operator == "is_null":
            return f"{self.column}.is_null()"
        shown = self.constants[0] if self.operator != "in" else list(self.constants)
        return f"({self.column} {self.operator} {shown!r})"


class Col:
    """A column in a filter; compare it with constants."""

    __hash__ = None  # type: ignore[assignment] # == makes a filter, so it can be no key

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, constant: Constant) -> Condition:  # type: ignore[override]
        return self._compared("==", constant)

    def __ne__(self, constant: Constant) -> Condition:  # type: ignore[override]
        return ~self._compared("==", constant)

    def __lt__(self, constant: Constant) -> Condition:
        return self._compared("<", constant)

    def __le__(self, constant: Constant) -> Condition:
        return self._compared("<=", constant)

    def __gt__(self, constant: Constant) -> Condition:
        return ~self._compared("<=", constant)

    def __ge__(self, constant: Constant) -> Condition:
        return ~self._compared("<", constant)

    def isin(self, constants: Sequence[Constant]) -> Condition:
        """Whether it is one of several constants."""
        if isinstance(constants, str | bytes) or not isinstance(constants, Sequence) or not constants:
            raise DeclarationError(f"isin({constants!r})", where=f"col({self._name!r})", allowed="a list of constants")
        return Condition("in", self._name, tuple(_constant(item, self._name) for item in constants))

    def is_null(self) -> Condition:
        """Whether it is missing."""
        return Condition("is_null", self._name)

    def _compared(self, operator: Compare, constant: Constant) -> Condition:
        return Condition(operator, self._name, (_constant(constant, self._name),))


def col(name: str) -> Col:
    """A column of the counted events, to filter by: `where=(col("amount") > 100) & (col("channel") == "online")`."""
    check_argument(name, str, name="name", where="col()", allowed="the name of a column")
    return Col(name)


def check_condition(condition: Condition, columns: dict[str, Column], *, where: str) -> None:
    """DeclarationError for an unknown column, a comparison that it has no order for, or a constant it cannot hold."""
    for part in condition.parts:
        check_condition(part, columns, where=where)
    if condition.parts:
        return
    one_of(condition.column, columns, where=where, kind="column")
    column = columns[condition.column]
    if condition.operator in {"<", "<="} and not isinstance(column, Decimal | Integer):
        raise DeclarationError(
            f"{condition} compares the order of {column.kind} {condition.column!r}",
            where=where,
            allowed="==, !=, isin() and is_null()",
        )
    for constant in condition.constants:
        _check_constant(constant, column, f"{where}, {condition}")


def steps_of(constant: Constant, column: Column) -> int:
    """A number as the column's whole steps: 10.25 of a decimal with two digits is 1,025."""
    scale = column.scale if isinstance(column, Decimal) else 0
    # as written: 0.1 means a tenth and not the float nearest to it
    return int(Fraction(str(constant)) * 10**scale)


def _check_constant(constant: Constant, column: Column, where: str) -> None:
    if isinstance(column, Category):
        if not isinstance(constant, str):
            raise DeclarationError(f"{constant!r} is no text", where=where, allowed="a category's text")
        if column.categories:
            one_of(constant, column.categories, where=where, kind="category")
    elif isinstance(column, ForeignKey) or (isinstance(column, Key) and column.type == "text"):
        if not isinstance(constant, str | int):
            raise DeclarationError(f"{constant!r} is no id", where=where, allowed="a text or a whole number")
    else:
        _check_number(constant, column, where)


def _check_number(constant: Constant, column: Column, where: str) -> None:
    scale = column.scale if isinstance(column, Decimal) else 0
    allowed = f"a number with at most {scale} digits after the point" if scale else "a whole number"
    if isinstance(column, Flag):
        allowed = "0 or 1"
    if isinstance(constant, str) or (Fraction(str(constant)) * 10**scale).denominator != 1:
        raise DeclarationError(f"{constant!r} is no {column.kind}", where=where, allowed=allowed)
    low, high = column.bounds or (-(2**63), 2**63 - 1)
    if not low <= constant <= high:
        raise DeclarationError(f"{constant!r} lies outside the column's range", where=where, allowed=f"{low} to {high}")


def _condition(value: object) -> Condition:
    if isinstance(value, Condition):
        return value
    raise DeclarationError(
        f"{value!r} is no filter", where="where", allowed='comparisons such as col("amount") > 100, joined by & and |'
    )


def _constant(value: object, column: str) -> Constant:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) or is_number(value):
        return value
    raise DeclarationError(
        f"{value!r}",
        where=f"col({column!r})",
        allowed="a text or a finite number; is_null() for null",
    )
