"""Events given as whole tables under the names of their source: typed and judged column by column, and encoded.

The same typing and the same rules as the contract's, without bronze in between: for values computed once from a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label, Stream
from sluice.engine.cores import cores
from sluice.engine.encode import Ints, encode_column, integers, invalid, row_hashes
from sluice.engine.facts import encoded_schema, id_type
from sluice.engine.versions import PUT, are_distinct
from sluice.errors import DataError
from sluice.lake.rules import Problem, problems_of
from sluice.lake.typing import Typed, flags, id_of, type_column


@dataclass(frozen=True)
class Entered:
    """What of a table enters history, encoded, and why each other row does not."""

    events: pa.Table
    refused: list[Problem]

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many rows were refused by which rule of which column."""
        return Counter(f"{problem.rule} {problem.column}".strip() for problem in self.refused)


def enter(stream: Stream, rows: pa.Table, *, alone: bool = True) -> Entered:
    """The events of a table whose columns are called as at the stream's source.

    What is not `alone` may have versions elsewhere, so that the hashes which decide between them are needed.
    """
    _check_columns(stream, rows)
    with ThreadPoolExecutor(cores(len(rows))) as threads:
        names = stream.all_columns
        read = threads.map(lambda name: type_column(stream, name, _column(rows, stream.source(name))), names)
        typed = dict(zip(names, read, strict=True))
        own = _own(stream, rows, typed, alone=alone)
        waiting = threads.submit(problems_of, stream, typed, own, [])
        values = threads.map(lambda item: encode_column(typed[item[0]].values, item[1]), stream.columns.items())
        encoded = dict(zip(stream.columns, values, strict=True))
        problems = waiting.result()
    events = pa.table({**own, **encoded}, schema=encoded_schema(stream))
    if problems:
        kept = np.ones(len(rows), bool)
        kept[[problem.index for problem in problems]] = False
        events = events.filter(pa.array(kept))
    return Entered(events, problems)


def enter_labels(label: Label, rows: pa.Table, entered: Entered, *, alone: bool = True) -> Entered:
    """The events that tell a label which is a column of the rows; rows that were refused, or without it, tell none."""
    refused = np.zeros(len(rows), bool)
    refused[[problem.index for problem in entered.refused]] = True
    told = flags(_column(rows, str(label.column)))
    values, valid = integers(told.values)
    strange = ~refused & (told.wrong | (valid & (values != 0) & (values != 1)))
    problems = [Problem(int(index), "type", label.name, "0 or 1") for index in np.flatnonzero(strange)]
    here = (valid & ~strange)[~refused]
    events = entered.events if here.all() else entered.events.filter(pa.array(here))
    ids = events.column("_id").combine_chunks()
    flag = pa.array(values[~refused][here])
    known = pa.array(integers(events.column("_time"))[0] + int(label.known_after))
    digest = pa.array(_digest([ids], [flag], alone=alone))
    own = {"_revision": events.column("_revision"), "_op": events.column("_op"), "_hash": digest}
    link = label.told_by.id_columns[0]
    mark = events.column("_watermark")
    columns = {"_id": ids, "_time": known, **own, "_known": known, "_watermark": mark, link: ids, label.name: flag}
    return Entered(pa.table(columns, schema=encoded_schema(label.told_by)), problems)


def enter_all(pipeline: Pipeline, tables: Mapping[str, pa.Table], *, alone: bool = True) -> dict[str, Entered]:
    """The events of the streams in some tables; a label that is a column comes out of the scored events' rows."""
    label, scored = pipeline.label, pipeline.events.name
    found = {name: enter(pipeline.stream(name), table, alone=alone) for name, table in tables.items()}
    if label.column is not None and scored in tables:
        found[label.told_by.name] = enter_labels(label, tables[scored], found[scored], alone=alone)
    return found


def _digest(ids: list[pa.Array], payload: list[pa.Array], *, alone: bool) -> Ints:
    """The hash that decides between versions of one event, and names one that has no id; 0 where there are none."""
    single = len(ids) == 1 and pa.types.is_integer(ids[0].type) and ids[0].null_count == 0
    if alone and single and are_distinct(integers(ids[0])[0]):
        return np.zeros(len(ids[0]), np.int64)
    return row_hashes(payload)


def _own(stream: Stream, rows: pa.Table, typed: Mapping[str, Typed], *, alone: bool) -> dict[str, pa.Array]:
    count = len(rows)
    ids = [typed[name].values for name in stream.id_columns]
    digest = _digest(ids, [typed[name].values for name in stream.all_columns], alone=alone)
    time = typed[stream.time].values.cast(pa.int64())
    control = {
        "_revision": (pa.int32(), np.zeros(count, np.int32)),
        "_op": (pa.int8(), np.full(count, PUT, np.int8)),
    }
    given = {
        name: _column(rows, name).cast(kind) if name in rows.column_names else pa.array(usual, kind)
        for name, (kind, usual) in control.items()
    }
    return {
        "_id": id_of(stream, dict(typed), digest, np.arange(count)).cast(id_type(stream)),
        "_time": time,
        **given,
        "_hash": pa.array(digest),
        "_known": pa.array(integers(time)[0] + stream.known_after, mask=invalid(time)),
        "_watermark": pa.nulls(count, pa.int64()),
    }


def _column(rows: pa.Table, name: str) -> pa.Array:
    return rows.column(name).combine_chunks()


def _check_columns(stream: Stream, rows: pa.Table) -> None:
    missing = [stream.source(name) for name in stream.all_columns if stream.source(name) not in rows.column_names]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)}",
            where=f"rows of {stream}",
            allowed=rows.column_names,
            next_step=f"say in `sources` of stream {stream.name} what its columns are called",
        )
