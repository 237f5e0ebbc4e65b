"""What a request feature may be made from, and what it holds: checked by the pipeline that knows columns and views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sluice.declare.checks import one_of
from sluice.declare.columns import Category, Column, Decimal, Flag, Integer
from sluice.declare.request import SEASONS, Operand, RequestFeature, ViewFeature
from sluice.errors import DeclarationError

_NUMBERS = (Decimal, Integer, Flag)
_TAKES = {"cross": (Category,), "value": (*_NUMBERS, Category)}
"""The kinds of columns that a function takes; numbers where it is not named."""
_COUNTED = ("hour", "weekday", "month", "is_weekend", "is_night")
"""Numbers of a few whole values, which stand for categories in a cross."""


@dataclass(frozen=True)
class Feature:
    """One place of a vector: its name `<view>__<feature>`, and whether it holds a number or a category's code."""

    name: str
    kind: Literal["number", "category"]
    size: int | None = None
    """How many codes a closed category has; None for a number and for an open category."""


@dataclass(frozen=True)
class Operands:
    """The columns of the scored events, and the features of each view that may be an operand."""

    columns: Mapping[str, Column]
    views: Mapping[str, Mapping[str, Feature]]

    def feature(self, view: str, feature: RequestFeature) -> Feature:
        """The place that a checked request feature fills."""
        name = f"{view}__{feature.name}"
        if feature.function == "season":
            return Feature(name, "category", len(SEASONS))
        if feature.function == "cross":
            return Feature(name, "category")
        if feature.function == "value":
            return column_feature(name, self.columns[str(feature.operands[0])])
        return Feature(name, "number")

    def check(self, feature: RequestFeature, where: str) -> None:
        """DeclarationError unless every operand is there and of a kind that the function takes."""
        for operand in feature.operands:
            self._check(feature, operand, where)

    def _check(self, feature: RequestFeature, operand: Operand, where: str) -> None:
        if isinstance(operand, str):
            self._check_column(feature, operand, where)
            return
        counted = isinstance(operand, RequestFeature) and operand.function in _COUNTED
        kind = "category" if feature.function == "cross" else "number"
        if self._held(operand, where).kind != kind and not (kind == "category" and counted):
            raise DeclarationError(f"{feature.function} of {operand.name!r}", where=where, allowed=_wanted(kind))

    def _held(self, operand: ViewFeature | RequestFeature, where: str) -> Feature:
        """What an operand holds; DeclarationError when there is no such thing."""
        if isinstance(operand, RequestFeature):
            self.check(operand, where)
            return self.feature("", operand)
        one_of(operand.view, self.views, where=where, kind="view")
        features = self.views[operand.view]
        return features[one_of(operand.feature, features, where=where, kind="feature")]

    def _check_column(self, feature: RequestFeature, name: str, where: str) -> None:
        kinds = _TAKES.get(feature.function, _NUMBERS)
        allowed = [name for name, column in self.columns.items() if isinstance(column, kinds)]
        if name in self.columns and name not in allowed:
            raise DeclarationError(f"{feature.function} of {name!r}", where=where, allowed=allowed)
        one_of(name, allowed, where=where, kind="column")


def column_feature(name: str, column: Column) -> Feature:
    """The place that the values of a column fill."""
    if isinstance(column, Category):
        return Feature(name, "category", len(column.categories) or None)
    return Feature(name, "number")


def _wanted(kind: str) -> str:
    return "numbers" if kind == "number" else f"categories, season, {', '.join(_COUNTED)}"
