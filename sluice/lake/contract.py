"""What enters history, row by row: a pure function of an event's bytes, its known_at and the contract's version.

The same code runs on files in Spark, on the stream before the fold, and in an audit. A refused row is a return value
with the rule and the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import hash_of
from sluice.declare.streams import Stream
from sluice.engine.encode import integers, row_hashes
from sluice.engine.facts import id_type
from sluice.lake.control import CONTROL
from sluice.lake.decoding import Broken, Schema, decode, json_rows
from sluice.lake.rules import Problem, problems_of
from sluice.lake.typing import Typed, id_of, silver_type, type_columns

TOPIC = "kafka:"
"""What the source of an event of a topic begins with; what follows is the topic's name."""
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
"""Raw events: `known` in microseconds, null for history in files, which has a declared rule.

A revision or operation that cannot be read is null, and the row is refused.
"""
ERASED = 2
"""The operation of a raw event that was erased: it keeps its place, so that nothing is missing, and has no content.

Of a topic's event `known` is then the time of the event, by which it is measured how late those after it came.
"""
PRESENT = ds.field("op").is_null() | (ds.field("op") != ERASED)
"""The raw events that were not erased, as a filter of bronze."""

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
        "_run": pa.string(),
    }
)
"""Refused rows: the rule, the value as it came, where the row is from, and the run that judged it."""

_SHOWN = 80
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
    parsed: Sequence[Mapping[str, Any]]
    """Every row as its payload has it, accepted or not; empty where that cannot be read."""


def silver_schema(stream: Stream) -> pa.Schema:
    """The declared columns as people read them, then Sluice's own."""
    declared = {name: silver_type(stream, name) for name in stream.all_columns}
    return pa.schema({**declared, "_id": id_type(stream), **_OWN})


def conflicts_schema(stream: Stream) -> pa.Schema:
    """The arriving version of an event, the hash of the payload that stands after it, and of the one it displaced.

    They are equal where the same bytes are put and deleted at one revision: the delete stands.
    """
    own = {name: _OWN[name] for name in ("_revision", "_hash", "_source", "_partition", "_position", "_batch")}
    return pa.schema({"_id": id_type(stream), **own, "_kept": pa.int64(), "_dropped": pa.int64()})


def format_of(stream: Stream, source: str) -> str:
    """What the payloads of a source are: in the format of the topic, and JSON from anywhere else."""
    return stream.format if source.startswith(TOPIC) else "json"


def contract_version(stream: Stream) -> str:
    """The hash of everything that decides which rows enter."""
    return hash_of(stream.describe())


def check(
    stream: Stream,
    bronze: pa.Table,
    *,
    batch: str,
    run: str | None = None,
    schemas: Mapping[int, Schema] = MappingProxyType({}),
) -> Checked:
    """Split raw events into accepted and rejected ones; each row is judged by itself alone.

    `bronze` has the columns of `BRONZE`; rows that were erased are neither. `_watermark` of accepted rows is null: who
    knows a partition's order sets it.
    `run` is told of rejected rows. `schemas` are those that messages of a topic name, if its format has any; Outage
    where one is missing.
    """
    bronze = present(bronze)
    rows, broken = _parsed(stream, bronze, schemas)
    typed = type_columns(stream, rows)
    own = _own_columns(stream, bronze, typed, batch)
    problems = problems_of(stream, typed, own, broken)
    refused = np.zeros(len(rows), bool)
    refused[[problem.index for problem in problems]] = True
    accepted = pa.table({**{name: item.values for name, item in typed.items()}, **own}, schema=silver_schema(stream))
    return Checked(
        accepted.filter(pa.array(~refused)), _quarantined(stream, bronze, rows, problems, (batch, run)), rows
    )


def present(bronze: pa.Table) -> pa.Table:
    """The raw events that were not erased."""
    erased = pc.fill_null(pc.equal(bronze.column("op"), ERASED), fill_value=False)
    return bronze.filter(pc.invert(erased)) if pc.any(erased).as_py() else bronze


def _parsed(
    stream: Stream, bronze: pa.Table, schemas: Mapping[int, Schema]
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The row of each payload, empty where nobody can read one."""
    payloads, sources = bronze.column("payload").to_pylist(), bronze.column("source").to_pylist()
    forms = {source: format_of(stream, source) for source in set(sources)}
    if set(forms.values()) == {"json"}:
        plain = json_rows(payloads)
        if plain is not None:
            return plain, []
    rows: list[dict[str, Any]] = []
    problems = []
    for index, (payload, source) in enumerate(zip(payloads, sources, strict=True)):
        row = decode(forms[source], payload or b"", schemas)
        if isinstance(row, Broken):
            problems.append(Problem(index, row.rule, "", row.allowed))
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


def _quarantined(
    stream: Stream, bronze: pa.Table, rows: list[dict[str, Any]], problems: list[Problem], by: tuple[str, str | None]
) -> pa.Table:
    raw = bronze.take(pa.array([problem.index for problem in problems], pa.int64()))
    payloads = raw.column("payload").to_pylist()
    return pa.table(
        {
            "payload": raw.column("payload"),
            "rule": [problem.rule for problem in problems],
            "column": [problem.column for problem in problems],
            "value": [_shown(stream, rows[p.index], payload, p) for p, payload in zip(problems, payloads, strict=True)],
            "allowed": [problem.allowed for problem in problems],
            "source": raw.column("source"),
            "partition": raw.column("partition"),
            "position": raw.column("position"),
            "known": raw.column("known"),
            "_batch": [by[0]] * len(problems),
            "_run": [by[1]] * len(problems),
        },
        schema=QUARANTINE,
    )


def _shown(stream: Stream, row: dict[str, Any], payload: bytes | None, problem: Problem) -> str:
    """The value as it came, as JSON; the beginning of the payload when there is no reading it, of bytes in digits."""
    raw = payload or b""
    if problem.rule == "format":
        return f"0x{raw[: _SHOWN // 2].hex()}"
    if problem.rule != "json":
        name = problem.column if problem.column in CONTROL else stream.source(problem.column)
        raw = orjson.dumps(row.get(name))
    return raw[:_SHOWN].decode(errors="replace")
