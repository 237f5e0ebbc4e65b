"""The values of a pipeline for the events of some tables, in one call: what a notebook and a test want.

    >>> values(pipeline, {"payments": payments, "disputes": disputes}).table  # doctest: +SKIP

Tables are as at the source. Rows are typed and judged as in the lake; those that may not enter are listed with the
reason, every other event gets its vector as of its own moment, and every row is accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.asof import NOTHING, Lookups
from sluice.engine.facts import encoded_schema
from sluice.engine.vectors import vectors
from sluice.engine.versions import fates, settled
from sluice.lake.control import CONTROL
from sluice.lake.event_tables import check_columns, enter_all
from sluice.lake.rowfiles import plain_values
from sluice.lake.rules import Problem

_REFUSED = pa.schema(
    {
        "stream": pa.string(),
        "row": pa.int64(),
        "column": pa.string(),
        "rule": pa.string(),
        "value": pa.string(),
        "allowed": pa.string(),
    }
)


@dataclass(frozen=True)
class Values:
    """Every event's values, and what became of every row."""

    table: pa.Table
    """The id of each event, then a column for each feature."""
    refused: pa.Table
    """The rows that may not enter: stream, row (from 0), column, rule, value, and what is allowed."""
    reasons: Mapping[str, Mapping[str, int]]
    """How many rows of a stream were refused for which reason."""
    fates: Mapping[str, Mapping[str, int]]
    """How many of the others met which of `engine.versions.FATES`."""


def values(pipeline: Pipeline, tables: Mapping[str, pa.Table], lookups: Lookups = NOTHING) -> Values:
    """The values of every event of the scored stream from tables by stream, each as of its own moment.

    Streams without a table have no events. `lookups` are the as-of tables. DataError for a table that lacks a declared
    column.
    """
    for name, table in tables.items():
        check_columns(pipeline.stream(name), table.column_names, label=label_column(pipeline, name))
    found = enter_all(pipeline, tables)
    events = {stream.name: encoded_schema(stream).empty_table() for stream in pipeline.streams}
    events |= {name: one.events for name, one in found.items()}
    scored = settled(events[pipeline.events.name])
    table = as_values_table(pipeline, scored, vectors(pipeline, events, scored, lookups))
    # what tells a label inside the row is refused with the row's own value
    rows = {name: tables.get(name, tables.get(pipeline.events.name)) for name in found}
    refused = [refusals(pipeline.stream(name), one.refused, rows[name]) for name, one in found.items()]
    reasons = {name: dict(one.reasons) for name, one in found.items() if one.refused}
    return Values(
        table, pa.concat_tables([_REFUSED.empty_table(), *refused]), reasons, fates_of(pipeline, events, scored)
    )


def wanted(pipeline: Pipeline, stream: str) -> list[str]:
    """The columns of a stream's files that are read, as far as they are there."""
    declared, label = pipeline.stream(stream), label_column(pipeline, stream)
    return [*map(declared.source, declared.all_columns), *CONTROL, *([label] if label else [])]


def label_column(pipeline: Pipeline, stream: str) -> str | None:
    """The column of a stream's rows that tells the label, if it is one of theirs."""
    return pipeline.label.column if stream == pipeline.events.name else None


def fates_of(pipeline: Pipeline, events: Mapping[str, pa.Table], scored: pa.Table) -> dict[str, dict[str, int]]:
    """What became of the rows of each stream; `scored` are the scored events that stand."""
    told = {name: fates(one, settled(one)) for name, one in events.items() if name != pipeline.events.name}
    return {pipeline.events.name: fates(events[pipeline.events.name], scored), **told}


def as_values_table(pipeline: Pipeline, scored: pa.Table, values: pa.Table) -> pa.Table:
    """Values beside the id of their event."""
    ids = pipeline.events.id_columns
    head = {ids[0] if len(ids) == 1 else "event_id": scored.column("_id")}
    return pa.table({**head, **{name: values.column(name) for name in values.column_names}})


def refusals(stream: Stream, problems: Sequence[Problem], table: pa.Table, first: int = 0) -> pa.Table:
    """The refused rows of a table with the value that is at fault; rows are numbered from `first`."""
    rows = []
    for problem in problems:
        column = stream.source(problem.column) if problem.column else ""
        there = (
            table.column(column).slice(problem.index, 1) if column in table.column_names else pa.chunked_array([[None]])
        )
        (value,) = plain_values(there.combine_chunks())
        where = {"stream": stream.name, "row": problem.index + first, "column": column}
        seen = None if value is None else str(value)
        rows.append({**where, "rule": problem.rule, "value": seen, "allowed": problem.allowed})
    return pa.Table.from_pylist(rows, schema=_REFUSED)
