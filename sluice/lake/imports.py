"""The table `imports`: which rows of a warehouse every import read, and so where the next one begins.

An import is announced when its files are whole and before any of them is delivered. It counts as reached when readers
see all of its files' rows: until then the next import reads them again, so that whatever dies in between loses none,
and what is read twice is a duplicate.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from sluice.declare.pipeline import Pipeline, hash_of
from sluice.declare.streams import Stream
from sluice.declare.warehouse import Warehouse
from sluice.errors import UserError
from sluice.lake.delivered import batches_of
from sluice.lake.landing import told_in
from sluice.lake.tables import Lake

IMPORTS = pa.schema(
    {
        "batch": pa.string(),
        "stream": pa.string(),
        "origin": pa.string(),
        "since": pa.string(),
        "until": pa.string(),
        "rows": pa.int64(),
        "again": pa.int64(),
        "folder": pa.string(),
        "at": pa.int64(),
    }
)


@dataclass(frozen=True)
class Import:
    """What one import read of one stream."""

    batch: str
    stream: str
    origin: str
    """The hash of what was read and of its watermark: another source is begun anew."""
    since: str | None
    """The least watermark that was asked for; None: all."""
    until: str
    """The greatest watermark that was read."""
    rows: int
    again: int
    """How many rows lay within the overlap before `until`, when it began to read: the next one will find as many."""
    folder: str
    """Where its files are, until they are landed."""
    at: int


def origin_of(warehouse: Warehouse) -> str:
    """The name of what is read."""
    return hash_of(warehouse.origin())


def sources_of(pipeline: Pipeline, names: Sequence[str]) -> list[tuple[Stream, Warehouse]]:
    """The streams of these names, or all, and the warehouse's table of each; UserError when none is declared."""
    wanted = [pipeline.stream(name) for name in names] or pipeline.streams
    found = [(stream, stream.warehouse) for stream in wanted if stream.warehouse is not None]
    if len(found) < len(names) or not found:
        raise UserError(
            f"no warehouse is declared of {', '.join(names) or pipeline.name}",
            where="warehouse import",
            next_step='declare where its rows are: Stream(…, warehouse=Warehouse(table="…", watermark="…"))',
        )
    return found


def announce(lake: Lake, imports: Sequence[Import]) -> bool:
    """Record what the streams of one batch have read, in one commit; False when another process did it for them."""
    return lake.append_rows("imports", [asdict(one) for one in imports], IMPORTS, once=f"import:{imports[0].batch}")


def announced(lake: Lake) -> list[Import]:
    """All imports, oldest first."""
    return sorted((Import(**row) for row in lake.rows("imports")), key=lambda one: (one.at, one.batch))


def reached(lake: Lake, stream: str, warehouse: Warehouse) -> Import | None:
    """The newest import of a stream that readers see; None when there is none of that source."""
    shown = {row["batch"] for row in lake.published(stream)}
    mine = [one for one in announced(lake) if (one.stream, one.origin) == (stream, origin_of(warehouse))]
    return next((one for one in reversed(mine) if one.batch in shown or _known(lake, one, shown)), None)


def unfinished(lake: Lake, pipeline: Pipeline) -> dict[str, list[Import]]:
    """By batch, the imports that died before all of their rows were judged; one that a gate stopped is not among them.

    One whose files are gone, and of which nothing was landed, never was: its rows are read again.
    """
    batches: dict[str, list[Import]] = {}
    for one in announced(lake):
        batches.setdefault(one.batch, []).append(one)
    judged = {(row["stream"], row["batch"]) for row in lake.published()}
    judged |= {(row["stream"], row["batch"]) for row in lake.rows("verdicts") if row["verdict"] == "stop"}
    return {batch: mine for batch, mine in batches.items() if _waits(lake, pipeline, mine, judged)}


def _waits(lake: Lake, pipeline: Pipeline, imports: Sequence[Import], judged: Collection[tuple[str, str]]) -> bool:
    """Whether rows of one batch's imports, or labels that they tell, are in files or in bronze and not judged."""
    batch, read = imports[0].batch, {one.stream for one in imports}
    mine = [stream.name for stream in pipeline.streams if (told_in(pipeline, stream) or stream).name in read]
    waiting = [stream for stream in mine if (stream, batch) not in judged]
    landed = any(lake.count(f"events/{stream}", where=ds.field("batch") == batch) for stream in waiting)
    return landed or any(one.stream in waiting and files_of(one) for one in imports)


def files_of(one: Import) -> list[Path]:
    """The files of an import, all of them or none: when some are gone, the others are no import."""
    found = sorted(Path(one.folder).glob("*.parquet"))
    return found if sum(rows_of(path) for path in found) == one.rows else []


def rows_of(path: Path) -> int:
    """How many rows a parquet file has."""
    return int(pq.read_metadata(path).num_rows)


def _known(lake: Lake, one: Import, shown: Collection[str]) -> bool:
    """Whether every file of an import has the bytes of one that came with a batch which readers see."""
    here = (ds.field("batch") == one.batch) & (ds.field("stream") == one.stream)
    sources = {row["source"] for row in lake.rows("files", where=here)}
    batches = batches_of(lake, one.stream, sources)
    return bool(sources) and all(batches.get(source) in shown for source in sources)
