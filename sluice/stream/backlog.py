"""A range of a topic into bronze by many workers: what the archive would write, and beside it, each record once.

The archive's own mark says how far a partition is in the lake. Workers read spans behind it and write them as files;
the driver names the files in the order of the offsets, in a commit that moves the mark from where it was. So a job that
dies goes on behind its last commit, offsets that are archived are not read, and an archive goes on behind the job.
Where an archive was faster, the rows that it has brought are taken out of a file before it is named.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import deltalake
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Stream
from sluice.engine.store import Partition
from sluice.errors import Outage, UserError
from sluice.lake.contract import BRONZE
from sluice.lake.files import actions_of, append_files, create_table, read_file, write_parquet
from sluice.lake.forgetting.erasures import forgotten, refuse_later
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.properties import properties
from sluice.lake.schemas import Registry, Schemas
from sluice.lake.tables import Lake
from sluice.lake.workers import Workers
from sluice.stream.archive import application_of, brought_by, without_forgotten
from sluice.stream.spans import Asked, Extent, Span, extents, rows_of
from sluice.stream.topics import stream_topic

SPAN = 250_000
"""Offsets that one worker reads, and that one file holds at most."""
_WAVE = 8
"""Spans that are read before any of them is named: what a job that dies has to read again."""


@dataclass(frozen=True)
class Backlog:
    """What is to be brought: a range of a stream's topic."""

    lake: Lake
    bootstrap: str
    stream: Stream
    asked: Asked
    span: int = SPAN
    registry: Registry | None = None
    """Has the schemas that messages name and the lake does not."""

    @property
    def topic(self) -> str:
        """The stream's topic."""
        return stream_topic(self.lake.pipeline, self.stream.name)

    @property
    def table(self) -> str:
        """Where its records go."""
        return f"events/{self.stream.name}"

    def reached(self, partition: Partition) -> int | None:
        """The last offset of a partition that is in the lake, as the archive's mark says; None for none."""
        return self.lake.reached_by(self.table, application_of(partition))


@dataclass
class Brought:
    """What a job has done."""

    rows: int = 0
    archived: int = 0
    """Offsets asked for that were in the lake before."""
    gaps: list[str] = field(default_factory=list)
    """Offsets at which there is no record, in words."""


def bring(workers: Workers, backlog: Backlog, tell: Callable[[str], None] = print) -> Brought:
    """Bring what is asked for and not in bronze yet; UserError for a range that would leave records out before it."""
    found = extents(backlog.bootstrap, backlog.topic, backlog.asked)
    done, total, begun = Brought(), 0, time.monotonic()
    for partition, extent in sorted(found.items()):
        after = _next(backlog, partition, extent)
        _refuse_hole(backlog, partition, extent, after)
        done.archived += max(0, min(after, extent.until) - max(extent.first, extent.begins))
        first = max(after, extent.begins)
        if min(first, extent.until) > after:
            gone = f"offsets {after:,} to {first - 1:,} of {partition[0]}/{partition[1]} are gone from the broker"
            done.gaps.append(gone)
        total += max(0, extent.until - first)
    left = total
    while wave := _wave(backlog, found):
        known = forgotten(backlog.lake)
        rows = sum(span.until - span.first for span in wave)
        folder = f"brought-{uuid.uuid4().hex}"
        counts = workers.each(partial(_write, backlog, known, folder), wave, rows=rows)
        refuse_later(backlog.lake, known.erasures)
        for span, count in zip(wave, counts, strict=True):
            done.gaps += _holes(span, count)
            path = f"{folder}/{span.name}.parquet"
            done.rows += backlog.lake.commit(backlog.table, partial(_name, backlog, span, path, found[span.partition]))
        left -= rows
        rate = (total - left) / (time.monotonic() - begun)
        tell(f"{total - left:,} of {total:,} offsets, {rate:,.0f} a second, {left / rate:,.0f} s left")
    return done


def _wave(backlog: Backlog, found: Mapping[Partition, Extent]) -> list[Span]:
    """The next spans of all partitions, as evenly as they have some; those of one follow each other."""
    each = {place: list(_spans(backlog, place, extent)) for place, extent in found.items()}
    share = max(1, _WAVE // max(1, sum(map(bool, each.values()))))
    return [span for place in sorted(each) for span in each[place][:share]]


def _spans(backlog: Backlog, partition: Partition, extent: Extent) -> Iterator[Span]:
    first = max(_next(backlog, partition, extent), extent.begins)
    for begin in range(first, extent.until, backlog.span)[:_WAVE]:
        yield Span(partition, begin, min(begin + backlog.span, extent.until))


def _next(backlog: Backlog, partition: Partition, extent: Extent) -> int:
    """The first offset of a partition that is not in the lake, and is to be."""
    return _after(backlog.reached(partition), extent)


def _after(reached: int | None, extent: Extent) -> int:
    if reached is not None:
        return reached + 1
    return extent.first if extent.is_asked else extent.begins


def _refuse_hole(backlog: Backlog, partition: Partition, extent: Extent, after: int) -> None:
    held = max(after, extent.begins)
    if extent.first > held and extent.until > extent.first:
        raise UserError(
            f"offsets {held:,} to {extent.first - 1:,} of {partition[0]}/{partition[1]} would be left out for ever",
            where=backlog.lake.uri(backlog.table),
            allowed=f"a range that begins at {held:,} or before: what is archived is passed over",
        )


def _write(backlog: Backlog, known: Forgotten, folder: str, span: Span) -> int:
    """Write a span as a file of the table, which no commit names yet; how many records it has.

    Of what was forgotten its place alone.
    """
    counted, schemas = 0, Schemas(backlog.lake, backlog.registry)

    def tables() -> Iterator[pa.Table]:
        nonlocal counted
        for rows in rows_of(backlog.bootstrap, span):
            counted += len(rows)
            yield without_forgotten(schemas, backlog.stream, rows, known)

    write_parquet(backlog.lake.uri(f"{backlog.table}/{folder}/{span.name}.parquet"), tables(), BRONZE)
    return counted


def _name(backlog: Backlog, span: Span, path: str, extent: Extent, held: deltalake.DeltaTable | None) -> int:
    """Name a span's file, and move the mark behind it; how many rows it has that no archive has brought meanwhile."""
    uri = backlog.lake.uri(backlog.table)
    stands = None if held is None else held.transaction_version(application_of(span.partition))
    after = _after(stands, extent)
    if after >= span.until:
        return 0
    if after < span.first and span.first > extent.begins:
        raise Outage(
            f"{span.partition[0]}/{span.partition[1]} has come to {stands} in the lake, and not to {span.first - 1:,}",
            where=uri,
            next_step="let one process do this work, and run it again",
        )
    kept = path if after <= span.first else _behind(uri, path, after)
    actions, schema = actions_of(uri, [kept])
    marks = [deltalake.Transaction(name(span.partition), span.until - 1) for name in (application_of, brought_by)]
    if held is None:
        create_table(uri, schema or BRONZE, actions, marks, properties(backlog.table))
    else:
        append_files(held, schema or BRONZE, actions, marks)
    return sum(json.loads(action.stats)["numRecords"] for action in actions)


def _behind(uri: str, path: str, first: int) -> str:
    """The same file without the rows before an offset."""
    rows = read_file(f"{uri}/{path}")
    kept = f"{path.removesuffix('.parquet')}-from-{first}.parquet"
    write_parquet(f"{uri}/{kept}", [rows.filter(pc.greater_equal(rows.column("position"), first))], BRONZE)
    return kept


def _holes(span: Span, count: int) -> list[str]:
    missing, place = span.until - span.first - count, f"{span.partition[0]}/{span.partition[1]}"
    return [f"{missing:,} of the offsets {span.first:,} to {span.until - 1:,} of {place} have no record"] * bool(
        missing
    )
