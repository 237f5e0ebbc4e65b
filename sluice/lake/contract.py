"""What enters history, row by row: a pure function of an event's bytes, its known_at and the contract's version.

The same code runs on files in Spark, on the stream before the fold, and in an audit. Types come from `lake.typing`;
pandera checks nullability, ranges and categories. A refused row is a return value with the rule and the value.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from sluice.declare.columns import Category, Column, Decimal, ForeignKey, Key
from sluice.declare.durations import duration_text
from sluice.declare.pipeline import hash_of
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, integers, row_hashes, scaled
from sluice.engine.facts import id_type
from sluice.engine.history import DELETE
from sluice.lake.typing import Typed, id_of, silver_type, type_columns

BRONZE = pa.schema(
    {
        "payload": pa.binary(),
        "source": pa.string(),
        "partition": pa.int32(),
        "position": pa.int64(),
        "known": pa.int64(),
        "revision": pa.int32(),
        "op": pa.int8(),
        "batch": pa.string(),
    }
)
"""Raw events: `known` in microseconds, null for history in files, which has a declared rule."""

QUARANTINE = pa.schema(
    {
        "payload": pa.binary(),
        "rule": pa.string(),
        "column": pa.string(),
        "value": pa.string(),
        "allowed": pa.string(),
        "source": pa.string(),
        "partition": pa.int32(),
        "position": pa.int64(),
        "known": pa.int64(),
        "_batch": pa.string(),
    }
)

_OWN = {
    "_time": pa.int64(),
    "_revision": pa.int32(),
    "_op": pa.int8(),
    "_hash": pa.int64(),
    "_known": pa.int64(),
    "_watermark": pa.int64(),
    "_source": pa.string(),
    "_partition": pa.int32(),
    "_position": pa.int64(),
    "_batch": pa.string(),
}


@dataclass(frozen=True)
class Checked:
    """The rows that may enter history (`silver_schema`), and those that may not (`QUARANTINE`)."""

    accepted: pa.Table
    rejected: pa.Table


@dataclass(frozen=True)
class Problem:
    """Why a row was refused."""

    index: int
    rule: str
    column: str
    value: str
    allowed: str


def silver_schema(stream: Stream) -> pa.Schema:
    """The declared columns as people read them, then Sluice's own."""
    declared = {name: silver_type(stream, name) for name in stream.all_columns}
    return pa.schema({**declared, "_id": id_type(stream), **_OWN})


def contract_version(stream: Stream) -> str:
    """The hash of everything that decides which rows enter."""
    return hash_of(stream.describe())


def check(stream: Stream, bronze: pa.Table, *, batch: str) -> Checked:
    """Split raw events into accepted and rejected ones; each row is judged by itself alone.

    `bronze` has the columns of `BRONZE`. `_watermark` of accepted rows is null: who knows a partition's order sets it.
    """
    rows, broken = _parsed(bronze.column("payload").to_pylist())
    typed = type_columns(stream, rows)
    own = _own_columns(stream, bronze, typed, batch)
    problems = _first([*broken, *_type_problems(stream, typed, rows), *_rule_problems(stream, typed, own)], own, stream)
    refused = np.zeros(len(rows), bool)
    refused[[problem.index for problem in problems]] = True
    accepted = pa.table({**{name: item.values for name, item in typed.items()}, **own}, schema=silver_schema(stream))
    return Checked(accepted.filter(pa.array(~refused)), _quarantined(stream, bronze, problems, batch))


def lateness(accepted: pa.Table) -> Ints:
    """Microseconds between an event and the moment it was known."""
    late: Ints = integers(accepted.column("_known"))[0] - integers(accepted.column("_time"))[0]
    return late


def _parsed(payloads: list[bytes]) -> tuple[list[dict[str, Any]], list[Problem]]:
    try:
        rows = orjson.loads(b"[" + b",".join(payloads) + b"]")
    except orjson.JSONDecodeError:
        return _parsed_slowly(payloads)
    if len(rows) == len(payloads) and all(type(row) is dict for row in rows):
        return rows, []
    return _parsed_slowly(payloads)


def _parsed_slowly(payloads: list[bytes]) -> tuple[list[dict[str, Any]], list[Problem]]:
    rows: list[dict[str, Any]] = []
    problems = []
    for index, payload in enumerate(payloads):
        try:
            row = orjson.loads(payload)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            problems.append(Problem(index, "json", "", payload[:80].decode(errors="replace"), "a JSON object"))
            row = {}
        rows.append(row)
    return rows, problems


def _own_columns(stream: Stream, bronze: pa.Table, typed: dict[str, Typed], batch: str) -> dict[str, pa.Array]:
    count = len(bronze)
    positions, _ = integers(bronze.column("position"))
    digest = row_hashes([typed[name].values for name in stream.all_columns])
    time = typed[stream.time].values.cast(pa.int64())
    known, stamped = integers(bronze.column("known"))
    ruled = integers(time)[0] + stream.known_after
    return {
        "_id": id_of(stream, typed, digest, positions).cast(id_type(stream)),
        "_time": time,
        "_revision": bronze.column("revision").combine_chunks(),
        "_op": bronze.column("op").combine_chunks(),
        "_hash": pa.array(digest),
        "_known": pa.array(np.where(stamped, known, ruled)),
        "_watermark": pa.nulls(count, pa.int64()),
        "_source": bronze.column("source").combine_chunks(),
        "_partition": bronze.column("partition").combine_chunks(),
        "_position": bronze.column("position").combine_chunks(),
        "_batch": pa.array([batch] * count, pa.string()),
    }


def _type_problems(stream: Stream, typed: dict[str, Typed], rows: list[dict[str, Any]]) -> list[Problem]:
    found = []
    for name, item in typed.items():
        for rule, mask in (("type", item.wrong), ("scale", item.inexact)):
            allowed = _allowed(stream, name, rule)
            for index in np.flatnonzero(mask):
                value = repr(rows[index].get(stream.source(name)))[:80]
                found.append(Problem(int(index), rule, name, value, allowed))
    return found


def _rule_problems(stream: Stream, typed: dict[str, Typed], own: dict[str, pa.Array]) -> list[Problem]:
    from pandera.errors import SchemaErrors

    frame = pd.DataFrame({name: _checkable(stream, name, item.values) for name, item in typed.items()})
    frame["_ahead"] = integers(own["_time"])[0] - integers(own["_known"])[0]
    try:
        _schema(stream).validate(frame, lazy=True)
    except SchemaErrors as errors:
        return [_problem(stream, case) for case in errors.failure_cases.to_dict("records")]
    return []


@functools.cache
def _schema(stream: Stream) -> Any:
    """The pandera schema of a stream's typed columns."""
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
        columns[name] = pandera.Column(None, checks=checks, nullable=nullable)
    columns["_ahead"] = pandera.Column(None, checks=[pandera.Check.le(stream.micros("max_skew"), error="future")])
    return pandera.DataFrameSchema(columns)


def _checkable(stream: Stream, name: str, values: pa.Array) -> Any:
    """A column as pandera compares it: decimals in whole steps, categories as their place in the list."""
    column = stream.columns.get(name)
    if isinstance(column, Category):
        known = pa.compute.index_in(values, value_set=pa.array(column.categories, pa.string()))
        places = known.cast(pa.float64()).fill_null(-1.0) if column.categories else pa.array(np.zeros(len(values)))
        return np.where(_null(values), np.nan, places.to_numpy(zero_copy_only=False))
    if isinstance(column, Decimal):
        values = scaled(values)
    if pa.types.is_string(values.type):
        return np.where(_null(values), np.nan, 0.0)
    if isinstance(column, Key | ForeignKey) or name in (*stream.id_columns, stream.time):
        return np.where(_null(values), np.nan, 0.0)
    return np.where(
        _null(values), np.nan, values.cast(pa.float64(), safe=False).fill_null(0).to_numpy(zero_copy_only=False)
    )


def _problem(stream: Stream, case: dict[str, Any]) -> Problem:
    rule = {"not_nullable": "missing"}.get(str(case["check"]), str(case["check"]))
    name = stream.time if case["column"] == "_ahead" else str(case["column"])
    return Problem(int(case["index"]), rule, name, "", _allowed(stream, name, rule))


def _first(problems: list[Problem], own: dict[str, pa.Array], stream: Stream) -> list[Problem]:
    """One problem for each refused row: broken JSON, then the first column in declared order, then the first rule.

    A delete needs only its id and time.
    """
    deleted = integers(own["_op"])[0] == DELETE
    needed = {"", *stream.id_columns, stream.time}
    order = {name: place for place, name in enumerate(["", *stream.all_columns])}
    rules = ("json", "type", "scale", "missing", "category", "range", "future")
    first: dict[int, Problem] = {}
    for problem in sorted(problems, key=lambda item: (order[item.column], rules.index(item.rule))):
        if problem.column in needed or not deleted[problem.index]:
            first.setdefault(problem.index, problem)
    return [first[index] for index in sorted(first)]


def _quarantined(stream: Stream, bronze: pa.Table, problems: list[Problem], batch: str) -> pa.Table:
    raw = bronze.take(pa.array([problem.index for problem in problems], pa.int64()))
    payloads = raw.column("payload").to_pylist()
    return pa.table(
        {
            "payload": raw.column("payload"),
            "rule": [problem.rule for problem in problems],
            "column": [problem.column for problem in problems],
            "value": [p.value or _raw_value(stream, payload, p) for payload, p in zip(payloads, problems, strict=True)],
            "allowed": [problem.allowed for problem in problems],
            "source": raw.column("source"),
            "partition": raw.column("partition"),
            "position": raw.column("position"),
            "known": raw.column("known"),
            "_batch": [batch] * len(problems),
        },
        schema=QUARANTINE,
    )


def _raw_value(stream: Stream, payload: bytes, problem: Problem) -> str:
    if problem.rule == "missing":
        return "null"
    return repr(orjson.loads(payload).get(stream.source(problem.column)))[:80]


def _allowed(stream: Stream, name: str, rule: str) -> str:
    column = stream.columns.get(name)
    if rule == "future":
        return f"at most {duration_text(stream.micros('max_skew'))} after it is known"
    if rule == "missing":
        return "a value"
    if rule == "range" and column is not None and column.bounds is not None:
        return f"{column.bounds[0]} to {column.bounds[1]}"
    if rule == "category" and column is not None:
        return ", ".join(column.categories)
    if rule == "scale" and isinstance(column, Decimal):
        return f"{column.scale} digits after the point"
    return str(silver_type(stream, name))


def _steps(column: Column, bound: float) -> float:
    return bound * 10**column.scale if isinstance(column, Decimal) else bound


def _null(values: pa.Array) -> Mask:
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False), bool)
