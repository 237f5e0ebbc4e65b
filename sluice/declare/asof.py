"""As-of views: features looked up in a slowly changing table, as of the request's time."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from sluice.declare.arguments import JUDGED, check_fields
from sluice.declare.checks import distinct, named, one_of
from sluice.declare.columns import Category, Column, Decimal, Flag, Integer, Key, check_columns
from sluice.declare.durations import Duration, duration, duration_text
from sluice.declare.operands import Feature, column_feature
from sluice.declare.request import ViewFeature
from sluice.errors import DeclarationError

VALID_FROM = "valid_from"
"""The column of an as-of table that says from when on a row holds."""
_VALUES = (Category, Decimal, Flag, Integer)


@dataclass(frozen=True, eq=False)
class AsOf:
    """Features of the row of a slowly changing table that held at the request: calendar, weather, an index, a price.

    For a request at time t it is the row of its key with the greatest `valid_from` such that
    `valid_from + known_after <= t`. Without such a row, without a key, or past `valid_for`, every feature is null.
    """

    name: str
    table: str = field(kw_only=True)
    """The table in the lake, `asof/<table>`; `sluice tables load` writes it."""
    on: Annotated[str | Sequence[str] | Mapping[str, str], JUDGED] = field(default=(), kw_only=True)
    """The request's columns that are the key of the table, categories or keys; {column: its name in the table}."""
    features: Annotated[Mapping[str, Column], JUDGED] = field(kw_only=True)
    """The columns of the table that become features: `Flag()`, `Integer()`, `Decimal()` or `Category()`."""
    known_after: Duration = field(default="0s", kw_only=True)
    """How long after a row begins to hold it is known; until then the one before it stands."""
    valid_for: Duration | None = field(default=None, kw_only=True)
    """How long after its `valid_from` a row holds at most; for ever by default."""
    keys: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        where = f"AsOf({self.name!r})"
        named(self.name, where="AsOf(name)")
        named(self.table, where=f"{where}.table")
        check_fields(self, where=where)
        object.__setattr__(self, "keys", _keys(self.on, where))
        object.__setattr__(self, "known_after", duration(self.known_after, where=f"{where}.known_after"))
        if self.valid_for is not None:
            object.__setattr__(self, "valid_for", duration(self.valid_for, where=f"{where}.valid_for"))
        self._check_features(where)
        distinct([*self.keys.values(), VALID_FROM, *self.features], where=where, kind="column")
        if self.span is not None and self.span <= self.lag:
            raise DeclarationError(
                f"valid_for {duration_text(self.span)} ends before a row is known",
                where=where,
                allowed=f"more than known_after, {duration_text(self.lag)}",
            )

    @functools.cached_property
    def lag(self) -> int:
        """The declared `known_after` in microseconds."""
        return int(self.known_after)

    @functools.cached_property
    def span(self) -> int | None:
        """The declared `valid_for` in microseconds."""
        return None if self.valid_for is None else int(self.valid_for)

    @functools.cached_property
    def places(self) -> tuple[Feature, ...]:
        """The places of the vector that it fills."""
        return tuple(column_feature(f"{self.name}__{name}", column) for name, column in self.features.items())

    def __getitem__(self, feature: str) -> ViewFeature:
        one_of(feature, self.features, where=f"AsOf({self.name!r})", kind="feature")
        return ViewFeature(self.name, feature)

    def describe(self) -> dict[str, object]:
        """Everything that changes the values."""
        return {
            "name": self.name,
            "table": self.table,
            "on": dict(self.keys),
            "features": [{"name": name, **column.describe()} for name, column in self.features.items()],
            "known_after": self.lag,
            "valid_for": self.span,
        }

    def _check_features(self, where: str) -> None:
        if not isinstance(self.features, Mapping) or not self.features:
            raise DeclarationError(
                f"features={self.features!r}", where=where, allowed='a mapping such as {"is_holiday": Flag()}'
            )
        check_columns(self.features, where=f"{where}.features")
        for name, column in self.features.items():
            named(name, where=f"{where}.features")
            if not isinstance(column, _VALUES):
                raise DeclarationError(
                    f"{column.kind} {name!r} is no value",
                    where=f"{where}.features",
                    allowed=[f"{kind.__name__}()" for kind in _VALUES],
                )


@dataclass(frozen=True)
class AsOfTable:
    """What a table in the lake holds for the views that look it up: for one key at most one row per `valid_from`."""

    name: str
    keys: Mapping[str, Column]
    values: Mapping[str, Column]

    @property
    def columns(self) -> Mapping[str, Column]:
        """The declared columns besides `valid_from`."""
        return {**self.keys, **self.values}


def tables_of(views: Sequence[AsOf], columns: Mapping[str, Column], where: str) -> dict[str, AsOfTable]:
    """The tables of some views over events with these columns; DeclarationError where they do not fit or agree."""
    found: dict[str, AsOfTable] = {}
    for view in views:
        at = f"{where}.{view.name}"
        keys = {in_table: _key(name, columns, f"{at}.on") for name, in_table in view.keys.items()}
        before = found.get(view.table, AsOfTable(view.table, keys, {}))
        _check_agree(before, AsOfTable(view.table, keys, view.features), at)
        found[view.table] = AsOfTable(view.table, keys, {**before.values, **view.features})
    return found


def _key(name: str, columns: Mapping[str, Column], where: str) -> Column:
    """A key column as the table has it: never null."""
    usable = [name for name, column in columns.items() if isinstance(column, Category | Key)]
    if name in columns and name not in usable:
        raise DeclarationError(f"{columns[name].kind} {name!r} is no key", where=where, allowed=usable)
    column = columns[one_of(name, usable, where=where, kind="category or key of the scored events")]
    return Category(*column.categories) if isinstance(column, Category) else replace(column, nullable=False)


def _check_agree(before: AsOfTable, after: AsOfTable, where: str) -> None:
    """DeclarationError where two views declare one table differently."""
    if before.keys != after.keys:
        raise DeclarationError(
            f"table {after.name!r} has other keys here", where=f"{where}.on", allowed=sorted(before.keys)
        )
    for name, column in after.values.items():
        if before.columns.get(name, column) != column:
            raise DeclarationError(
                f"column {name!r} of table {after.name!r} is declared otherwise by another view",
                where=f"{where}.features",
                allowed=repr(before.columns[name]),
            )


def _keys(on: object, where: str) -> Mapping[str, str]:
    """Request column → table column."""
    if isinstance(on, str):
        return {on: on}
    if isinstance(on, Mapping):
        found = dict(on)
    elif isinstance(on, Sequence):
        distinct(on, where=f"{where}.on", kind="column")
        found = {name: name for name in on}
    else:
        raise DeclarationError(
            f"on={on!r}", where=where, allowed="a column, several, or {column: its name in the table}"
        )
    for name in found.values():
        named(name, where=f"{where}.on")
    return found
