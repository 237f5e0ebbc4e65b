"""The rules of a contract: why a row may not enter history.

Types come from `lake.typing`, ranges and categories are pandera's checks. Each row is judged by itself alone.
"""

from __future__ import annotations

import decimal
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.columns import Category, Column, Decimal
from sluice.declare.durations import duration_text
from sluice.declare.streams import Stream
from sluice.engine.encode import Mask, integers, invalid, scaled
from sluice.engine.versions import DELETE, PUT
from sluice.lake.control import CONTROL, GREATEST_REVISION
from sluice.lake.typing import Typed, in_words

RULES = ("json", "format", "type", "scale", "missing", "category", "range", "future", "pattern")
"""The row rules, in the order in which one column's problems are told."""

_AHEAD = "_ahead"
"""By how much an event lies after the moment it is known, as a column beside the declared ones."""


@dataclass(frozen=True)
class Problem:
    """Why a row was refused."""

    index: int
    rule: str
    column: str
    allowed: str


@dataclass(frozen=True)
class _Checks:
    """What a column's values must be, as pandera's checks; its report on a whole frame takes five times as long."""

    nullable: bool
    checks: tuple[Any, ...]


def problems_of(
    stream: Stream, typed: dict[str, Typed], own: dict[str, pa.Array], broken: list[Problem]
) -> list[Problem]:
    """One problem for each row that may not enter, by row; `broken` are the rows that nobody can read."""
    found = [*broken, *_control_problems(own), *_type_problems(stream, typed), *_rule_problems(stream, typed, own)]
    found += _pattern_problems(stream, typed)
    return _first(stream, own, found)


def _control_problems(own: dict[str, pa.Array]) -> list[Problem]:
    """Revisions and operations that are none."""
    revision, numbered = integers(own["_revision"])
    operation, named = integers(own["_op"])
    wrong = {
        "_revision": (~numbered | (revision < 0), f"a whole number from 0 to {GREATEST_REVISION}"),
        "_op": (~named | ((operation != PUT) & (operation != DELETE)), "put, delete"),
    }
    return [
        Problem(int(index), "type", name, allowed)
        for name, (mask, allowed) in wrong.items()
        for index in np.flatnonzero(mask)
    ]


def _type_problems(stream: Stream, typed: dict[str, Typed]) -> list[Problem]:
    return [
        Problem(int(index), rule, name, allowed(stream, name, rule))
        for name, item in typed.items()
        for rule, mask in (("type", item.wrong), ("scale", item.inexact))
        for index in np.flatnonzero(mask)
    ]


def _rule_problems(stream: Stream, typed: dict[str, Typed], own: dict[str, pa.Array]) -> list[Problem]:
    ahead = pa.array(integers(own["_time"])[0] - integers(own["_known"])[0])
    columns = {name: item.values for name, item in typed.items()} | {_AHEAD: ahead}
    return [
        Problem(int(index), rule, stream.time if name == _AHEAD else name, allowed(stream, name, rule))
        for name, values in columns.items()
        for rule, mask in _broken(stream, name, values)
        for index in np.flatnonzero(mask)
    ]


def _pattern_problems(stream: Stream, typed: dict[str, Typed]) -> list[Problem]:
    """Texts that do not look as declared, the whole of them."""
    patterns = {name: column.like for name, column in stream.columns.items()}
    return [
        Problem(int(index), "pattern", name, allowed(stream, name, "pattern"))
        for name, pattern in patterns.items()
        if pattern is not None
        for index in np.flatnonzero(unlike(typed[name].values, pattern))
    ]


def unlike(values: pa.Array, pattern: str) -> Mask:
    """Which texts do not look like a pattern, the whole of each; a null looks like any."""
    whole = pc.match_substring_regex(values, rf"\A(?:{pattern})\z").fill_null(fill_value=True)
    return ~np.asarray(whole.to_numpy(zero_copy_only=False), bool)


def _broken(stream: Stream, name: str, values: pa.Array) -> Iterator[tuple[str, Mask]]:
    """For each rule of a column the rows that break it; a null breaks none but that it may not be there."""
    asked = _checks(stream)[name]
    if values.null_count and not asked.nullable:
        yield "missing", invalid(values)
    if asked.checks:
        numbers = pd.Series(_checkable(stream, name, values))
        for check in asked.checks:
            passed = check(numbers).check_output.reindex(numbers.index, fill_value=True)
            yield check.error, ~passed.to_numpy(bool)


@functools.cache
def _checks(stream: Stream) -> dict[str, _Checks]:
    """The pandera checks of a stream's typed columns."""
    import pandera.pandas as pandera

    columns = {}
    for name in stream.all_columns:
        column = stream.columns.get(name)
        checks = []
        if column is not None and column.bounds is not None:
            checks.append(pandera.Check.in_range(*(_steps(column, bound) for bound in column.bounds), error="range"))
        if column is not None and column.categories:
            checks.append(pandera.Check.ge(0, error="category"))
        nullable = column is not None and column.nullable and name not in stream.id_columns
        columns[name] = _Checks(nullable, tuple(checks))
    columns[_AHEAD] = _Checks(nullable=False, checks=(pandera.Check.le(stream.micros("max_skew"), error="future"),))
    return columns


def _checkable(stream: Stream, name: str, values: pa.Array) -> Any:
    """A column as pandera compares it: decimals in whole steps, categories as their place in the list."""
    column, null = stream.columns.get(name), invalid(values)
    if isinstance(column, Category):
        places = pc.index_in(values, value_set=pa.array(column.categories, pa.string())).fill_null(-1)
    elif name in stream.id_columns:
        return np.where(null, np.nan, 0.0)  # it names its event, and measures nothing
    else:
        places = scaled(values) if isinstance(column, Decimal) else values
    numbers = places.cast(pa.float64(), safe=False)
    if not null.any():
        return numbers.to_numpy(zero_copy_only=False)
    return np.where(null, np.nan, numbers.fill_null(0).to_numpy(zero_copy_only=False))


def _first(stream: Stream, own: dict[str, pa.Array], problems: list[Problem]) -> list[Problem]:
    """One problem for each refused row: that of the first column in declared order, and of its first rule.

    What cannot be read, revision and operation come before the columns. A delete needs only its id and time.
    """
    deleted = integers(own["_op"])[0] == DELETE
    needed = {"", *CONTROL, *stream.id_columns, stream.time}
    order = {name: place for place, name in enumerate(["", *CONTROL, *stream.all_columns])}
    first: dict[int, Problem] = {}
    for problem in sorted(problems, key=lambda item: (order[item.column], RULES.index(item.rule))):
        if problem.column in needed or not deleted[problem.index]:
            first.setdefault(problem.index, problem)
    return [first[index] for index in sorted(first)]


def allowed(stream: Stream, name: str, rule: str) -> str:
    """What a rule asks of a column, as a person says it; ingest and serving say the same."""
    column = stream.columns.get(name)
    if rule == "future":
        return f"at most {duration_text(stream.micros('max_skew'))} after it is known"
    if rule == "missing":
        return "a value"
    if rule == "range" and column is not None and column.bounds is not None:
        return f"{column.bounds[0]} to {column.bounds[1]}"
    if rule == "pattern" and column is not None:
        return f"a text like {column.like}"
    if rule == "category" and column is not None:
        return ", ".join(column.categories)
    return in_words(stream, name)


def _steps(column: Column, bound: float) -> float:
    """A bound in whole steps of the column, without the error of 0.07 * 100."""
    return float(decimal.Decimal(repr(bound)).scaleb(column.scale)) if isinstance(column, Decimal) else bound
