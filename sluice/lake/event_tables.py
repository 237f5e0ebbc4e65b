"""Events given as whole tables under the names of their source: typed and judged column by column, and encoded.

The same typing and the same rules as the contract's, without bronze in between: for values computed once from a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label, Stream
from sluice.engine.cores import cores
from sluice.engine.encode import Ints, encode_column, integers, invalid, row_hashes
from sluice.engine.facts import encoded_schema, id_type
from sluice.engine.versions import DELETE, PUT, are_distinct
from sluice.errors import DataError
from sluice.lake.control import control_column
from sluice.lake.rules import Problem, problems_of
from sluice.lake.typing import Typed, flags, id_of, in_words, silver_type, type_column

_SLICE = 131_072
"""Rows that are judged at a time: what is made of them on the way takes little memory, and is used again."""


@dataclass(frozen=True)
class Entered:
    """What of a table enters history, encoded, and why each other row does not."""

    events: pa.Table
    refused: list[Problem]

    @property
    def reasons(self) -> Mapping[str, int]:
        """How many rows were refused by which rule of which column."""
        return Counter(f"{problem.rule} {problem.column}".strip() for problem in self.refused)


def enter(stream: Stream, rows: pa.Table, *, alone: bool = True, first: int = 0) -> Entered:
    """The events of a table whose columns are called as at the stream's source; `first` is its first row's number.

    What is not `alone` may have versions elsewhere, so that the hashes which decide between them are needed.
    """
    check_columns(stream, rows.column_names)
    judge = partial(_entered, stream, rows, first, hashed=not (alone and _once_each(stream, rows)))
    with ThreadPoolExecutor(cores(len(rows))) as threads:
        parts = list(threads.map(judge, range(0, max(1, len(rows)), _SLICE)))
    return Entered(pa.concat_tables(part.events for part in parts), [one for part in parts for one in part.refused])


def _entered(stream: Stream, rows: pa.Table, first: int, start: int, *, hashed: bool) -> Entered:
    """The events of a slice, whose problems keep the numbers of their rows in the table."""
    part = rows.slice(start, _SLICE)
    typed = {name: type_column(stream, name, _column(part, stream.source(name))) for name in stream.all_columns}
    positions = np.arange(first + start, first + start + len(part))
    own = _own(stream, part, typed, positions, hashed=hashed)
    problems = problems_of(stream, typed, own, [])
    encoded = {name: encode_column(typed[name].values, column) for name, column in stream.columns.items()}
    events = pa.table({**own, **encoded}, schema=encoded_schema(stream))
    if problems:
        kept = np.ones(len(part), bool)
        kept[[problem.index for problem in problems]] = False
        events = events.filter(pa.array(kept))
    return Entered(events, [replace(problem, index=start + problem.index) for problem in problems])


def enter_labels(label: Label, rows: pa.Table, entered: Entered, *, alone: bool = True) -> Entered:
    """The events that tell a label which is a column of the rows; rows that were refused, or without it, tell none.

    A deleted event takes its label with it, whatever its row says.
    """
    check_columns(label.of, rows.column_names, label=label.column)
    kept = np.ones(len(rows), bool)
    kept[[problem.index for problem in entered.refused]] = False
    deleted = np.zeros(len(rows), bool)
    deleted[kept] = integers(entered.events.column("_op"))[0] == DELETE
    told = flags(_column(rows, str(label.column)))
    values, valid = integers(told.values)
    strange = kept & ~deleted & (told.wrong | (valid & (values != 0) & (values != 1)))
    allowed = in_words(label.told_by, label.name)
    problems = [Problem(int(index), "type", label.name, allowed) for index in np.flatnonzero(strange)]
    here = kept & (deleted | (valid & ~strange))
    events = entered.events if here[kept].all() else entered.events.filter(pa.array(here[kept]))
    ids = events.column("_id").combine_chunks()
    flag = pa.array(values[here], mask=~valid[here])
    known = pa.array(integers(events.column("_time"))[0] + int(label.known_after))
    digest = pa.array(_digest([flag], hashed=not (alone and _distinct(ids))))
    own = {"_revision": events.column("_revision"), "_op": events.column("_op"), "_hash": digest}
    link = label.told_by.id_columns[0]
    mark = events.column("_watermark")
    columns = {"_id": ids, "_time": known, **own, "_known": known, "_watermark": mark, link: ids, label.name: flag}
    return Entered(pa.table(columns, schema=encoded_schema(label.told_by)), problems)


def enter_all(
    pipeline: Pipeline, tables: Mapping[str, pa.Table], *, alone: bool = True, first: int = 0
) -> dict[str, Entered]:
    """The events of the streams in some tables; a label that is a column comes out of the scored events' rows."""
    label, scored = pipeline.label, pipeline.events.name
    found = {name: enter(pipeline.stream(name), table, alone=alone, first=first) for name, table in tables.items()}
    if label.column is not None and scored in tables:
        found[label.told_by.name] = enter_labels(label, tables[scored], found[scored], alone=alone)
    return found


def _once_each(stream: Stream, rows: pa.Table) -> bool:
    """Whether no two rows can be of one event: then nothing has to decide between them."""
    name = stream.id_columns[0] if len(stream.id_columns) == 1 else None
    if name is None or not pa.types.is_integer(silver_type(stream, name)):
        return False
    return _distinct(type_column(stream, name, _column(rows, stream.source(name))).values)


def _distinct(ids: pa.Array) -> bool:
    whole = pa.types.is_integer(ids.type) and ids.null_count == 0
    return whole and are_distinct(integers(ids)[0])


def _digest(payload: list[pa.Array], *, hashed: bool) -> Ints:
    """The hash that decides between versions of one event, and names one that has no id; 0 where none is needed."""
    return row_hashes(payload) if hashed else np.zeros(len(payload[0]), np.int64)


def _own(
    stream: Stream, rows: pa.Table, typed: Mapping[str, Typed], positions: Ints, *, hashed: bool
) -> dict[str, pa.Array]:
    count = len(rows)
    digest = _digest([typed[name].values for name in stream.all_columns], hashed=hashed)
    time = typed[stream.time].values.cast(pa.int64())
    control = {
        "_revision": (pa.int32(), np.zeros(count, np.int32)),
        "_op": (pa.int8(), np.full(count, PUT, np.int8)),
    }
    given = {
        name: control_column(name, _column(rows, name)) if name in rows.column_names else pa.array(usual, kind)
        for name, (kind, usual) in control.items()
    }
    return {
        "_id": id_of(stream, dict(typed), digest, positions).cast(id_type(stream)),
        "_time": time,
        **given,
        "_hash": pa.array(digest),
        "_known": pa.array(integers(time)[0] + stream.known_after, mask=invalid(time)),
        "_watermark": pa.nulls(count, pa.int64()),
    }


def _column(rows: pa.Table, name: str) -> pa.Array:
    return rows.column(name).combine_chunks()


def check_columns(stream: Stream, names: Sequence[str], *, label: str | None = None, where: str | None = None) -> None:
    """DataError unless a table with these columns tells a stream's events, and the label that is one of its columns."""
    where = where or f"rows of {stream}"
    missing = [name for name in map(stream.source, stream.all_columns) if name not in names]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)}",
            where=where,
            allowed=names,
            next_step=f"say in `sources` of stream {stream.name} what its columns are called",
        )
    if label is not None and label not in names:
        raise DataError(
            f"no column {label}, which tells the label",
            where=where,
            allowed=names,
            next_step="say in `column` of the label what it is called; it may hold nulls where nothing is known yet",
        )
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(
            f"more than one column is called {', '.join(twice)}",
            where=where,
            allowed="each name once",
            next_step="leave out all of them but one",
        )
