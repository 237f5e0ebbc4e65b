"""Events of one's own: parquet files cut into history, which is ingested, and live days, which are produced.

A file has the rows of one stream under the names of its source. A label inside the row is split off as at ingest: the
live event goes without it, and the label follows as a message of its own when it is known.
"""

from __future__ import annotations

import functools
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.errors import DataError, UserError
from sluice.lake.typing import times
from sluice.local.messages import Message, by_arrival, json_values

_CHUNK = 8_192
_NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class LiveDays:
    """What files hold from `start` on, as messages; the file of each stream by its name."""

    pipeline: str
    files: tuple[tuple[str, str], ...]
    start: int
    """Event-clock microseconds."""

    def between(self, first: int, until: int) -> Iterator[Message]:
        """The messages that arrive from one live day to before another, in order of arrival."""
        span = self.start + first * DAY, self.start + until * DAY
        return heapq.merge(*(_messages(feed, *span) for feed in _feeds(self)), key=by_arrival)


def find_files(pipeline: Pipeline, path: Path) -> dict[str, Path]:
    """The file of each stream: a file holds the scored events, a folder `<stream>.parquet` of each.

    UserError when one is missing; DataError when one has not the columns that the declaration names.
    """
    needed = [stream for stream in pipeline.streams if not _told_inside(pipeline, stream)]
    if path.is_dir():
        files = {stream.name: path / f"{stream.name}.parquet" for stream in needed}
    elif len(needed) == 1:
        files = {needed[0].name: path}
    else:
        wanted = ", ".join(f"{stream.name}.parquet" for stream in needed)
        raise UserError("one file is not enough", where=str(path), next_step=f"name a folder with {wanted}")
    for name, file in files.items():
        _check_columns(pipeline, pipeline.stream(name), file)
    return files


def first_live_moment(pipeline: Pipeline, files: Mapping[str, Path], live_days: int) -> int:
    """The midnight from which the last `live_days` days of the scored events are live; DataError without history."""
    stream = pipeline.events
    happened = event_times(pq.read_table(files[stream.name], columns=[stream.source(stream.time)]).column(0))
    dated = happened[happened != _NO_TIME]
    if not len(dated):
        raise DataError(
            f"no {stream.source(stream.time)} can be read as a time",
            where=str(files[stream.name]),
            allowed="instants, or their text",
        )
    if dated.max() // DAY - dated.min() // DAY < live_days:
        raise DataError(
            f"there is no history before the last {live_days} days",
            where=str(files[stream.name]),
            next_step="fewer live days",
        )
    return (int(dated.max()) // DAY + 1 - live_days) * DAY


def write_history_file(stream: Stream, file: Path, until: int, path: Path) -> Path:
    """Write the rows of a file that happened before `until`, and those without a time, as they are."""
    source = pq.ParquetFile(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, source.schema_arrow) as writer:
        for group in range(source.metadata.num_row_groups):
            rows = source.read_row_group(group)
            writer.write_table(rows.filter(pa.array(event_times(rows.column(stream.source(stream.time))) < until)))
    return path


def event_times(column: pa.ChunkedArray) -> np.ndarray:
    """Microseconds of a column of instants or of text, the least number where there is none."""
    whole = column.combine_chunks()
    if not pa.types.is_timestamp(whole.type):
        whole = times(whole.to_pylist()).values
    found: np.ndarray = (
        whole.cast(pa.timestamp("us", whole.type.tz), safe=False).cast(pa.int64()).fill_null(_NO_TIME).to_numpy()
    )
    return found


def _told_inside(pipeline: Pipeline, stream: Stream) -> bool:
    return pipeline.label.column is not None and stream.name == pipeline.label.told_by.name


def _check_columns(pipeline: Pipeline, stream: Stream, file: Path) -> None:
    if not file.is_file():
        raise UserError("there is no such file", where=str(file), next_step=f"a parquet file of stream {stream.name}")
    try:
        named = pq.ParquetFile(file).schema_arrow.names
    except pa.ArrowInvalid as error:
        raise DataError(f"it is no parquet file ({error})", where=str(file)) from None
    inside = [pipeline.label.column] if pipeline.label.column and stream.name == pipeline.events.name else []
    missing = [name for name in (*map(stream.source, stream.all_columns), *inside) if name not in named]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)}",
            where=str(file),
            allowed=named,
            next_step=f"say in `sources` of stream {stream.name} what its columns are called",
        )


@dataclass(frozen=True, eq=False)
class _Feed:
    """The live rows of one stream in order of arrival, under the names of the source."""

    stream: Stream
    rows: pa.Table
    arrivals: np.ndarray


@functools.cache
def _feeds(live: LiveDays) -> list[_Feed]:
    pipeline, feeds = load_pipeline(live.pipeline), []
    for name, file in live.files:
        stream = pipeline.stream(name)
        rows = pq.read_table(file)
        happened = event_times(rows.column(stream.source(stream.time)))
        order = np.argsort(happened, kind="stable")
        order = order[happened[order] >= live.start]
        rows, happened = rows.take(pa.array(order)), happened[order]
        own = rows.select([stream.source(column) for column in stream.all_columns])
        feeds.append(_Feed(stream, own, happened + stream.known_after))
        if stream.name == pipeline.events.name and pipeline.label.column is not None:
            feeds.append(_told(pipeline, rows, happened))
    return feeds


def _told(pipeline: Pipeline, rows: pa.Table, happened: np.ndarray) -> _Feed:
    """The labels inside the rows, as the events that tell them: known some time after the event."""
    label, stream = pipeline.label, pipeline.label.told_by
    known = happened + int(label.known_after)
    identity = stream.source(stream.id_columns[0])
    told = pa.table(
        {
            identity: rows.column(identity),
            stream.source(stream.time): pa.array(known).cast(pa.timestamp("us", "UTC")),
            stream.source(label.name): rows.column(str(label.column)),
        }
    )
    given = np.asarray(pc.is_valid(told.column(stream.source(label.name))))
    return _Feed(stream, told.filter(pa.array(given)), known[given])


def _messages(feed: _Feed, since: int, until: int) -> Iterator[Message]:
    first, last = np.searchsorted(feed.arrivals, [since, until])
    rows, stream, at = feed.rows.slice(first, last - first), feed.stream, int(first)
    identity = [stream.source(name) for name in stream.id_columns]
    for chunk in rows.to_batches(max_chunksize=_CHUNK):
        columns = [json_values(column) for column in chunk.columns]
        for values in zip(*columns, strict=True):
            row = dict(zip(chunk.schema.names, values, strict=True))
            yield Message(stream.name, int(feed.arrivals[at]), orjson.dumps(row), _id(row, identity))
            at += 1


def _id(row: Mapping[str, object], names: list[str]) -> int | str | None:
    if not names:
        return None
    parts = [row[name] for name in names]
    if any(part is None for part in parts):
        return None
    return parts[0] if len(parts) == 1 and isinstance(parts[0], int) else "|".join(map(str, parts))
