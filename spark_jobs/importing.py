"""Rows of a warehouse into the lake: from the watermark that was reached, in parts, as an ordinary delivery.

    read       the rows of every stream into parquet files of one import
    announce   which rows they are, in one commit
    deliver    land the files, judge them, publish: the same code as for any file

An import that dies is finished by the next, or its rows are read again: reached is what readers see.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.warehouse import Warehouse
from sluice.errors import DataError, GateStopped, UserError
from sluice.lake.delivery import Delivery
from sluice.lake.imports import (
    Import,
    announce,
    announced,
    files_of,
    origin_of,
    reached,
    rows_of,
    sources_of,
    unfinished,
)
from sluice.lake.tables import Lake
from sluice.lake.workers import Workers
from spark_jobs.ingest import ingest
from spark_jobs.jdbc import Jdbc
from spark_jobs.marks import TEXT, Source


@dataclass(frozen=True)
class Asked:
    """One import: of which streams, under which name, and where its files may lie until they are landed."""

    pipeline: str
    """A registered name or the path of a .py file, which every worker can read."""
    lake: str
    batch: str
    at: int
    folder: Path
    """Of this pipeline's imports; every worker writes there."""
    streams: Sequence[str] = ()
    """Those of the pipeline that have a warehouse, by default."""
    whole: bool = False
    """Read everything again, and not from where it was left."""

    def declared(self) -> Pipeline:
        """The pipeline, loaded where it is needed."""
        return load_pipeline(self.pipeline)

    def tables(self) -> Lake:
        """The pipeline's tables."""
        return Lake(self.lake, self.declared().name)

    def sources(self) -> list[tuple[Stream, Warehouse]]:
        """The streams that are read and where from; UserError when there is none."""
        return sources_of(self.declared(), self.streams)


def bring(workers: Workers, jdbc: Jdbc, asked: Asked) -> list[Import]:
    """Import what is new of every stream; what was read, none of a stream without news.

    What an import that died has left is finished first. GateStopped when a gate stopped a stream's rows: they have not
    arrived, and the next import reads them again.
    """
    lake = asked.tables()
    finish(workers, asked)
    if any(one.batch == asked.batch for one in announced(lake)):
        return []
    read = read_all(jdbc, asked)
    if not read:
        return []
    if not announce(lake, read):
        _remove(read)
        return []
    deliver(workers, asked, read)
    return read


def finish(workers: Workers, asked: Asked) -> None:
    """Deliver what other imports announced and did not live to see judged."""
    for imports in unfinished(asked.tables(), asked.declared()).values():
        deliver(workers, asked, imports)
    _remove(announced(asked.tables()))


def read_all(jdbc: Jdbc, asked: Asked) -> list[Import]:
    """Read what is new of every stream into files, all or none of them."""
    home = asked.folder / f"{asked.batch}-{uuid.uuid4().hex}"
    with jdbc.connect() as connection:
        sources = [Source.of(connection, stream.name, warehouse) for stream, warehouse in asked.sources()]
        found = [_read(jdbc, source, asked, home) for source in sources]
    return [one for one in found if one is not None]


def deliver(workers: Workers, asked: Asked, imports: Sequence[Import]) -> None:
    """Bring the files of one import through contract and gates; they are removed when they are judged."""
    batch, at = imports[0].batch, imports[0].at
    files = [(one.stream, path) for one in imports for path in files_of(one)]
    try:
        ingest(workers, Delivery(asked.pipeline, asked.lake, batch, at, files=files))
    except (GateStopped, UserError):
        # stopped, or the same bytes as a batch that is: the next import reads these rows again
        _remove(imports)
        raise
    _remove(imports)


def _remove(imports: Iterable[Import]) -> None:
    for folder in {Path(one.folder).parent for one in imports}:
        shutil.rmtree(folder, ignore_errors=True)


def _read(jdbc: Jdbc, source: Source, asked: Asked, home: Path) -> Import | None:
    """Read what is new of one stream; None when there is nothing."""
    _refuse_unmarked(source)
    before = None if asked.whole else reached(asked.tables(), source.stream, source.warehouse)
    low = None if before is None else source.back(source.mark(before.until))
    newest, count = source.asked(f"CAST(MAX({source.watermark}) AS {TEXT}), COUNT(*)", source.between(low, None))
    if newest is None:
        return None
    high = source.mark(newest)
    if before is not None and (str(high), int(count or 0)) == (before.until, before.again):
        return None
    # counted before it is read: a row that is committed in between is one more the next time, and read then
    (again,) = source.asked("COUNT(*)", source.between(source.back(high), high))
    folder = home / source.stream
    rows = _write(jdbc, source, source.between(low, high), asked.declared().stream(source.stream), folder)
    since, origin = None if low is None else str(low), origin_of(source.warehouse)
    return Import(asked.batch, source.stream, origin, since, str(high), rows, int(again or 0), str(folder), asked.at)


def _refuse_unmarked(source: Source) -> None:
    """DataError for rows without a watermark, which no import would ever read."""
    unmarked, name = int(source.asked("COUNT(*)", f"{source.watermark} IS NULL")[0] or 0), source.warehouse.watermark
    if unmarked:
        raise DataError(
            f"{unmarked:,} rows have no {name!r}, and no import would ever read them",
            where=f"{source.stream}: Warehouse(watermark)",
            next_step=f"fill it, or read Warehouse(query=…) with COALESCE({name}, …), or without those rows",
        )


def _write(jdbc: Jdbc, source: Source, where: str, stream: Stream, folder: Path) -> int:
    """Read the rows into parquet files, part by part; how many there are."""
    warehouse = source.warehouse
    with jdbc.told(stream.name):
        rows = jdbc.read(source.rows(where), source.slices(where))
        wanted = {stream.source(name) for name in stream.all_columns}
        machinery = {warehouse.watermark, warehouse.partition, warehouse.revision} - {*wanted, None}
        rows.drop(*map(str, machinery)).write.parquet(folder.as_uri())
    return sum(rows_of(path) for path in folder.glob("*.parquet"))
