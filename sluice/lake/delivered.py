"""Files as they were delivered: each with its hash, so that what is in history leads back to the file it came in.

Of a Delta table each data file is one, and its path is the table's with the version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import pyarrow as pa
import pyarrow.dataset as ds

from sluice.errors import UserError
from sluice.lake.delivery import Delivery
from sluice.lake.landing import Part
from sluice.lake.tables import Lake

T = TypeVar("T")
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
    for stream, parts in _by_stream((part.stream, part) for part in known):
        batches = batches_of(lake, stream, {part.source for part in parts})
        for part in parts:
            batch = batches.get(part.source)
            if batch not in (None, delivery.batch) and not lake.shows(stream, str(batch)):
                raise UserError(
                    f"the same bytes were delivered as batch {batch!r}, which readers do not see",
                    where=part.path,
                    next_step=f"ingest that batch again (--batch {batch}, without files), mended by --rename or waived",
                )


def repeated(lake: Lake, batch: str) -> Iterator[str]:
    """What a batch was given that another one had brought before it, file by file or table by table, in words."""
    rows = lake.rows("files", where=ds.field("batch") == batch)
    for stream, mine in _by_stream((row["stream"], row) for row in rows):
        batches = batches_of(lake, stream, {row["source"] for row in mine})
        for path in dict.fromkeys(row["path"] for row in mine):
            sources = {row["source"] for row in mine if row["path"] == path}
            others = sorted({str(batches[one]) for one in sources if batches.get(one) not in (None, batch)})
            count = sum(batches.get(one) not in (None, batch) for one in sources)
            if count:
                what = "" if count == len(sources) else f"{count:,} of its {len(sources):,} data files "
                rest = "nothing of it is added" if count == len(sources) else "the others are added"
                yield f"{path}: {what}landed already, with batch {', '.join(map(repr, others))}; {rest}"


def _by_stream(named: Iterable[tuple[str, T]]) -> Iterator[tuple[str, list[T]]]:
    found: dict[str, list[T]] = {}
    for stream, one in named:
        found.setdefault(stream, []).append(one)
    return iter(found.items())


def batches_of(lake: Lake, stream: str, sources: set[str]) -> dict[str, str]:
    """The batch that each source came with; without those that bronze does not have."""
    found: dict[str, str] = {}
    if not sources:
        return found
    where = ds.field("source").isin(pa.array(sorted(sources), pa.string()))
    for rows in lake.scan(f"events/{stream}", columns=["source", "batch"], where=where):
        for row in pa.table(rows).group_by("source").aggregate([("batch", "min")]).to_pylist():
            found[row["source"]] = min(row["batch_min"], found.get(row["source"], row["batch_min"]))
    return found
