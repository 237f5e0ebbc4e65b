"""Values of more rows than one task can hold: files in slices, entities in buckets, and the slices again.

    enter     slices of the files   → rows and requests of every view by entity, where no event can have two versions;
                                      elsewhere versions by id, and then as in a backfill: relate, count
    value     rows by entity        → values by slice
    gather    values by slice       → a parquet file for each slice, in the order of its rows

A task holds one slice or one bucket, whatever the size of the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import NOTHING
from sluice.engine.batch import Column
from sluice.engine.encode import Ints, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.vectors import as_table, complete
from sluice.engine.versions import settled
from sluice.errors import DataError, UserError
from sluice.lake import dealing, pieces
from sluice.lake.asof import load
from sluice.lake.event_tables import Entered, enter_all
from sluice.lake.files import write_parquet
from sluice.lake.handing import handed_over
from sluice.lake.pieces import Piece, Rows
from sluice.lake.tables import Lake
from sluice.lake.values import as_values_table, fates_of, refusals, wanted

_PLACE = "_place"


class Stretch(NamedTuple):
    """Rows of a row group of a parquet file that follow each other."""

    path: str
    group: int
    begin: int
    rows: int


@dataclass(frozen=True)
class Slice:
    """Some rows of a stream's files that follow each other."""

    number: int
    stream: str
    first: int
    """The number of its first row among all of the stream's."""
    rows: int
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True)
class Job:
    """What every task needs to know; small, and sent to the workers."""

    pipeline: str
    lake: str
    tables: tuple[tuple[str, int], ...]
    folder: str
    """Where tasks leave what others need."""
    slices: tuple[Slice, ...]
    parts: int
    direct: bool
    """Whether rows can be counted where they are read: one file tells all, and no event has two versions."""

    def declared(self) -> Pipeline:
        """The pipeline, loaded where it is needed."""
        return load_pipeline(self.pipeline)

    def work(self, *names: object) -> str:
        """A place for what tasks hand to each other."""
        return "/".join(map(str, (self.folder, *names)))

    @property
    def scored(self) -> list[Slice]:
        """The slices of the scored stream, which values are written for."""
        name = self.declared().events.name
        return [one for one in self.slices if one.stream == name]


class Counts(NamedTuple):
    """What a task counted: rows of each view in each bucket, and what became of the rows of each stream."""

    rows: Rows
    fates: dict[str, dict[str, int]]


def enter_slice(job: Job, piece: Slice) -> tuple[dict[str, Mapping[str, int]], Counts]:
    """Type and judge the rows of a slice, and deal what enters; why how many of each stream do not.

    And the counts of what enters, as far as it is counted here.
    """
    counts = Counts({}, {})
    pipeline = job.declared()
    table = read_slice(piece, wanted(pipeline, piece.stream))
    found = enter_all(pipeline, {piece.stream: table}, alone=job.direct, first=piece.first)
    events = {name: one.events for name, one in found.items()}
    if piece.stream == pipeline.events.name:
        events[piece.stream] = _placed(found[piece.stream], piece)
    if job.direct:
        scored = settled(events[pipeline.events.name])
        about = {name: one for name, one in events.items() if pipeline.stream(name).parent is not None}
        rows = dealing.count_views(job, events, about, scored, piece.number)
        counts = Counts(rows, fates_of(pipeline, events, scored))
        dealing.hand(job, scored, "scored", piece.number, 0)
    else:
        for name, one in events.items():
            dealing.deal(job, one, one.column("_id"), ("facts", name), piece.number)
    for name, one in found.items():
        told = refusals(pipeline.stream(name), one.refused, table, piece.first)
        dealing.hand(job, told, "refused", f"{piece.number:06}-{name}")
    return {name: one.reasons for name, one in found.items() if one.refused}, counts


def count_part(job: Job, part: int) -> Counts:
    """The rows and requests of every view from the versions of some events; the events that stand, by slice."""
    by_id, about = dealing.related(job, part)
    pipeline = job.declared()
    scored = settled(by_id[pipeline.events.name])
    counts = Counts(dealing.count_views(job, by_id, about, scored, part), fates_of(pipeline, by_id, scored))
    if not len(scored):
        return counts
    slices = _slice_of(job, scored.column(_PLACE))
    for number in np.unique(slices).tolist():
        dealing.hand(job, scored.filter(pa.array(slices == number)), "scored", number, part)
    return counts


def value_piece(job: Job, piece: Piece) -> None:
    """The values of one view for some entities and times, dealt by slice."""
    view, asked = job.declared().view(piece.view), pieces.requests(job, piece)
    if asked is None:
        return
    found = dealing.values_of(view, pieces.counted(job, piece), asked)
    values = pa.table({_PLACE: asked.column(_PLACE), **found})
    numbers = _slice_of(job, values.column(_PLACE))
    if (np.diff(numbers) < 0).any():
        order = np.argsort(numbers, kind="stable")
        values, numbers = values.take(pa.array(order)), numbers[order]
    bounds = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for begin, end in pairwise(bounds):
        dealing.hand(job, values.slice(begin, end - begin), "values", view.name, int(numbers[begin]), piece.name)


def gather_slice(job: Job, folder: str, piece: Slice) -> int:
    """Write the values of the rows of a slice; how many there are."""
    pipeline = job.declared()
    scored = handed_over(job.work("scored", piece.number))
    if scored is None:
        scored = encoded_schema(pipeline.events).append(pa.field(_PLACE, pa.int64())).empty_table()
    if not job.direct:
        scored = scored.sort_by(_PLACE)
    windowed: dict[str, Column] = {}
    places = scored.column(_PLACE).combine_chunks()
    for view in pipeline.windows:
        values = handed_over(job.work("values", view.name, piece.number))
        windowed |= dealing.aligned(places, values, view, _PLACE)
    lookups = load(Lake(job.lake, pipeline.name), pipeline, dict(job.tables)) if job.tables else NOTHING
    table = as_values_table(pipeline, scored, as_table(pipeline, complete(pipeline, scored, windowed, lookups)))
    write_parquet(f"{folder}/{piece.number:06}.parquet", [table], table.schema, repeated=[])
    return len(table)


def ascending(piece: Slice, ids: tuple[str, ...]) -> tuple[bool, int, int]:
    """Whether the ids of a slice ascend, as whole numbers do that name each event once; the first and the last."""
    column = read_slice(piece, list(ids)).column(0) if len(ids) == 1 else None
    signed = column is not None and pa.types.is_signed_integer(column.type)
    if column is None or not signed or column.null_count or not len(column):
        return False, 0, 0
    values = integers(column)[0]
    return bool((np.diff(values) > 0).all()), int(values[0]), int(values[-1])


def read_slice(piece: Slice, columns: list[str]) -> pa.Table:
    """The rows of a slice, with those of the columns that are there; DataError for a file that is no parquet."""
    tables = []
    for path, group, begin, rows in piece.stretches:
        with _opened(path) as file:
            tables.append(file.read_row_group(group, columns=columns).slice(begin, rows))
    return pa.concat_tables(tables)


def columns_of(path: str) -> list[str]:
    """What the columns of a parquet file are called; DataError for another file."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def stretches(path: str, most: int) -> list[Stretch]:
    """The row groups of a parquet file, those with more than `most` rows in equal parts; DataError for another file."""
    with _opened(path) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
    return [
        Stretch(path, group, begin, end - begin)
        for group, rows in enumerate(sizes)
        for begin, end in pairwise(rows * part // -(-rows // most) for part in range(-(-rows // most) + 1))
    ]


def _opened(path: str) -> Any:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"it is no parquet file ({error})", where=path) from None
    except OSError as error:
        raise UserError(
            f"it cannot be read ({error.strerror})", where=path, next_step="name one you may read"
        ) from None


def _placed(found: Entered, piece: Slice) -> pa.Table:
    """The events of a slice with the number of the row that each came in."""
    places = np.delete(np.arange(piece.rows), [problem.index for problem in found.refused]) + piece.first
    return found.events.append_column(_PLACE, pa.array(places))


def _slice_of(job: Job, places: pa.ChunkedArray) -> Ints:
    """The number of the slice that each row of the scored stream lies in."""
    scored = job.scored
    firsts = np.array([piece.first for piece in scored], np.int64)
    numbers = np.array([piece.number for piece in scored], np.int64)
    return numbers[np.searchsorted(firsts, integers(places)[0], "right") - 1]
