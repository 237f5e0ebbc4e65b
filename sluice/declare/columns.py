"""What a column of a stream may hold: its type, its bounds, and whether it may be missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from sluice.declare.arguments import check_argument, check_fields
from sluice.declare.checks import distinct, one_of
from sluice.errors import DeclarationError

if TYPE_CHECKING:
    from sluice.declare.streams import Stream

_NOT_IN_RE2 = re.compile(r"\(\?(?:[=!]|<[=!])|\\[1-9]|\(\?P=")

# Sums of values stay exact in 64 bits for 2**63 / 2**53 = 1,024 events at the bound, and the engine checks beyond that.
_LARGEST = 2**53


@dataclass(frozen=True)
class Column:
    """A column of a stream."""

    kind: ClassVar[str] = "column"
    nullable: bool = field(default=False, kw_only=True)
    """Whether an event without it may enter history."""

    def __post_init__(self) -> None:
        check_fields(self, where=type(self).__name__)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The least and greatest value allowed, where that means something."""
        return None

    @property
    def categories(self) -> tuple[str, ...]:
        """The values allowed, where they are listed."""
        return ()

    @property
    def like(self) -> str | None:
        """What the whole of a text looks like, where that is declared: a regular expression of RE2."""
        return None

    def describe(self) -> dict[str, object]:
        """What the definition hash and the reference page say of this column."""
        return {"kind": self.kind, "nullable": self.nullable}


@dataclass(frozen=True)
class Key(Column):
    """An entity's key, `integer` or `text`; a row without one belongs to no entity and reads the empty state."""

    kind: ClassVar[str] = "key"
    type: Literal["integer", "text"] = "integer"
    nullable: bool = field(default=True, kw_only=True)
    pattern: str | None = field(default=None, kw_only=True)
    """What the whole of a text key looks like, as a regular expression of RE2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.type, ["integer", "text"], where="Key(type)", kind="key type")
        _check_pattern(self.pattern, where="Key(pattern)", texts=self.type == "text")

    @property
    def like(self) -> str | None:
        """What the whole of a key looks like, where that is declared."""
        return self.pattern

    def describe(self) -> dict[str, object]:
        """What the definition hash and the reference page say of this column."""
        return {**super().describe(), "type": self.type, **_told(self.pattern)}


@dataclass(frozen=True)
class Decimal(Column):
    """A decimal of `scale` digits after the point, kept as an integer; a value over 1e-6 away from one is refused."""

    kind: ClassVar[str] = "decimal"
    scale: int = 2
    min: float = 0
    max: float = 100_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.scale <= 6:
            raise DeclarationError(f"scale {self.scale} is out of range", where="Decimal(scale)", allowed="0 to 6")
        _check_bounds(self.min, self.max, 10**self.scale, where="Decimal(min, max)")
        for name, bound in (("min", self.min), ("max", self.max)):
            # as written: 0.29 means 29 hundredths and not the float nearest to it
            if (Fraction(str(bound)) * 10**self.scale).denominator != 1:
                raise DeclarationError(
                    f"{name}={bound} lies between two values of the column",
                    where="Decimal(min, max)",
                    allowed=f"at most {self.scale} digits after the point, as scale={self.scale} says",
                    next_step="declare a larger scale, or a bound that a value can have",
                )

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and greatest value allowed."""
        return (self.min, self.max)

    def describe(self) -> dict[str, object]:
        """What the definition hash and the reference page say of this column."""
        return {**super().describe(), "scale": self.scale, "min": float(self.min), "max": float(self.max)}


@dataclass(frozen=True)
class Integer(Column):
    """A whole number between `min` and `max`."""

    kind: ClassVar[str] = "integer"
    min: int = 0
    max: int = 1_000_000_000

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_bounds(self.min, self.max, 1, where="Integer(min, max)")

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and greatest value allowed."""
        return (self.min, self.max)

    def describe(self) -> dict[str, object]:
        """What the definition hash and the reference page say of this column."""
        return {**super().describe(), "min": self.min, "max": self.max}


@dataclass(frozen=True)
class Flag(Column):
    """Yes or no, as 1 or 0."""

    kind: ClassVar[str] = "flag"

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and greatest value allowed."""
        return (0, 1)


class Category(Column):
    """One of the listed texts (closed: its position), or any text when none are listed (open: a frozen 64-bit hash).

    `pattern` is what the whole of a text of an open one looks like, as a regular expression of RE2.
    """

    kind: ClassVar[str] = "category"

    def __init__(self, *values: str, nullable: bool = False, pattern: str | None = None) -> None:
        check_argument(nullable, bool, name="nullable", where="Category")
        check_argument(pattern, str | None, name="pattern", where="Category")
        for value in values:
            if not isinstance(value, str):
                raise DeclarationError(
                    f"{value!r} is no text",
                    where="Category",
                    allowed='texts one after another, such as Category("pos", "online")',
                    next_step="write numbers as texts, and a list as Category(*values)",
                )
        distinct(values, where="Category", kind="value")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "nullable", nullable)
        object.__setattr__(self, "pattern", pattern)
        _check_pattern(pattern, where="Category(pattern)", texts=not values)

    values: tuple[str, ...]
    pattern: str | None

    @property
    def categories(self) -> tuple[str, ...]:
        """The values allowed; empty for an open category."""
        return self.values

    @property
    def like(self) -> str | None:
        """What the whole of a text looks like, where that is declared."""
        return self.pattern

    def describe(self) -> dict[str, object]:
        """What the definition hash and the reference page say of this column."""
        return {**super().describe(), "values": list(self.values), **_told(self.pattern)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Category) and self.describe() == other.describe()

    def __hash__(self) -> int:
        return hash((self.values, self.nullable, self.pattern))

    def __repr__(self) -> str:
        given = [*map(repr, self.values), *(["nullable=True"] if self.nullable else [])]
        given += [f"pattern={self.pattern!r}"] if self.pattern is not None else []
        return f"Category({', '.join(given)})"


@dataclass(frozen=True)
class ForeignKey(Column):
    """The id of an event of another stream, its parent; a row may arrive before its parent and then waits."""

    kind: ClassVar[str] = "foreign_key"
    to: Stream

    def __post_init__(self) -> None:
        check_argument(self.nullable, bool, name="nullable", where="ForeignKey")
        if not getattr(self.to, "id_columns", ()):
            raise DeclarationError(
                f"{self.to!r} cannot be pointed at", where="ForeignKey(to)", allowed="a Stream whose events have an id"
            )

    def describe(self) -> dict[str, object]:
        """What the definition hash and the reference page say of this column."""
        return {**super().describe(), "to": self.to.name}


def check_columns(columns: Mapping[str, Column], *, where: str) -> None:
    """DeclarationError unless every value is a column."""
    if not isinstance(columns, Mapping):
        raise DeclarationError(f"columns={columns!r}", where=where, allowed='a mapping such as {"amount": Decimal()}')
    for name, column in columns.items():
        if not isinstance(column, Column):
            raise DeclarationError(
                f"column {name!r} is a {type(column).__name__}",
                where=where,
                allowed=["Category()", "Decimal()", "Flag()", "ForeignKey(stream)", "Integer()", "Key()"],
            )


def _told(pattern: str | None) -> dict[str, object]:
    """A pattern where there is one: a declaration without means what it did before there were any."""
    return {} if pattern is None else {"pattern": pattern}


def _check_pattern(pattern: str | None, *, where: str, texts: bool) -> None:
    """DeclarationError for a pattern of what is no free text, or one that RE2 does not know."""
    if pattern is None:
        return
    if not texts:
        raise DeclarationError(
            "only free text has a pattern", where=where, allowed='Key("text", pattern=…), Category(pattern=…)'
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise DeclarationError(
            f"{pattern!r} is no regular expression ({error})", where=where, next_step="write it like r'[A-Z]{2}'"
        ) from None
    if _NOT_IN_RE2.search(pattern):
        raise DeclarationError(
            f"{pattern!r} looks around or back",
            where=where,
            allowed="what RE2 knows, whose time is bounded: no lookahead, no lookbehind, no \\1",
        )


def _check_bounds(low: float, high: float, unit: int, *, where: str) -> None:
    if low > high:
        raise DeclarationError(f"min {low} is above max {high}", where=where, allowed="min up to max")
    if max(abs(low), abs(high)) * unit >= _LARGEST:
        raise DeclarationError(
            f"{low}…{high} in steps of 1/{unit} does not fit exact arithmetic",
            where=where,
            allowed=f"magnitudes below 2^53 steps ({_LARGEST // unit:,})",
        )
