"""Files as they were delivered: each with its hash, so that what is in history leads back to the file it came in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.errors import UserError
from sluice.lake.delivery import Delivery
from sluice.lake.landing import Part
from sluice.lake.tables import Lake

FILES = pa.schema(
    {
        "source": pa.string(),
        "stream": pa.string(),
        "path": pa.string(),
        "bytes": pa.int64(),
        "batch": pa.string(),
        "at": pa.int64(),
        "run": pa.string(),
    }
)
"""The table `files`: one row for each file of each run; a file that was delivered again is there again."""


def record(lake: Lake, delivery: Delivery, parts: Iterable[Part]) -> None:
    """Keep which files a run was given, once for each run."""
    run = delivery.run
    told = {"batch": delivery.batch, "at": delivery.at, "run": run}
    sizes: dict[tuple[str, str, str], int] = {}
    for part in parts:
        key = part.source, part.stream, part.path
        sizes[key] = sizes.get(key, 0) + part.bytes
    rows = [
        {"source": source, "stream": stream, "path": path, "bytes": size, **told}
        for (source, stream, path), size in sizes.items()
    ]
    lake.append_rows("files", rows, FILES, once=f"files:{run}")


def refuse_held(lake: Lake, delivery: Delivery, known: Iterable[Part]) -> None:
    """UserError for files that bronze has of another batch, which readers do not see: they would be lost there."""
    for part in known:
        batch = batch_of(lake, part.stream, part.source)
        if batch not in (None, delivery.batch) and not lake.shows(part.stream, batch):
            raise UserError(
                f"the same bytes were delivered as batch {batch!r}, which readers do not see",
                where=part.path,
                next_step=f"ingest that batch again (--batch {batch}, without files), mended by --rename or waived",
            )


def repeated(lake: Lake, batch: str) -> Iterator[str]:
    """What a batch was given that another one had brought before it, file by file, in words."""
    for row in lake.rows("files", where=ds.field("batch") == batch):
        first = batch_of(lake, row["stream"], row["source"])
        if first not in (None, batch):
            yield f"{row['path']}: landed already, with batch {first!r}; nothing of it is added"


def batch_of(lake: Lake, stream: str, source: str) -> str | None:
    """The batch that a source came with; None for one that bronze does not have."""
    for rows in lake.scan(f"events/{stream}", columns=["batch"], where=ds.field("source") == source):
        if len(rows):
            found: str = pc.min(rows.column("batch")).as_py()
            return found
    return None
