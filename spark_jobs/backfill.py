"""Backfill: the vector of every event and the tiles of every entity, from published history.

    spark-submit spark_jobs/backfill.py --pipeline fraud --lake URI --at 1767225600000000 [--parts 8]

Spark is the scheduler: its tasks read and write parquet with Arrow and compute with numpy; no row enters the JVM.
Events are dealt by the event they are about (so that labels meet their events), then by entity, then by event again:

    deal        silver files      → facts by event
    count       facts by event    → rows and requests of every view by entity, with the label known at `at`
    compute     rows by entity    → values by event; tiles
    assemble    values by event   → vectors

The driver names the files in one Delta commit for each table.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine import tiles
from sluice.engine.batch import Column, compute
from sluice.engine.encode import encode, integers, row_hashes
from sluice.engine.facts import encoded_schema
from sluice.engine.history import empty_rows, keep, rows, settled
from sluice.engine.labels import label_at
from sluice.engine.vectors import as_table, complete, requests_of
from sluice.errors import DataError
from sluice.lake.publish import commit_folder
from sluice.lake.tables import Lake
from spark_jobs.arguments import run
from spark_jobs.session import session


@dataclass(frozen=True)
class Plan:
    """What every task of a backfill needs to know; small, and sent to the workers."""

    pipeline: str
    lake: str
    base: int
    """The version of the table `batches` whose published batches are history."""
    at: int
    parts: int
    name: str

    def declared(self) -> Pipeline:
        """The pipeline, loaded where the task runs."""
        return load_pipeline(self.pipeline)

    def place(self, *names: str) -> Path:
        """A working folder below the lake."""
        return Path(self.lake, self.declared().name, "work", self.name, *names)

    def part(self, kind: str, of: str, part: int) -> Path:
        """The folder of one part of one kind of work."""
        return self.place(kind, of, str(part))


def backfill(spark: SparkSession, plan: Plan) -> int:
    """Compute and publish vectors and tiles; the version of the vectors table."""
    pipeline = plan.declared()
    lake = Lake(plan.lake, pipeline.name)
    sources = _silver_files(pipeline, lake, plan.base)
    try:
        _each(spark, partial(deal, plan), sources)
        _each(spark, partial(count, plan), range(plan.parts))
        views = [(view.name, part) for view in pipeline.windows for part in range(plan.parts)]
        _each(spark, partial(compute_part, plan), views)
        _each(spark, partial(assemble, plan), range(plan.parts))
    finally:
        shutil.rmtree(plan.place(), ignore_errors=True)
    for view in pipeline.windows:
        commit_folder(lake, f"tiles/{view.name}", plan.name, markers=[plan.name], replace=True)
    commit_folder(lake, "vectors", plan.name, markers=[plan.name], replace=True)
    return lake.version("vectors")


def deal(plan: Plan, source: tuple[int, str, str, Sequence[str]]) -> None:
    """Encode the published rows of one silver file and deal them by the event they are about."""
    number, name, uri, batches = source
    stream = plan.declared().stream(name)
    table = pq.read_table(uri, partitioning=None)
    published = table.filter(pc.is_in(table.column("_batch"), pa.array(batches, pa.string())))
    anchor = "_id" if stream.parent is None else stream.parent[0]
    encoded = encode(published, stream)
    _deal(encoded, encoded.column(anchor), plan.parts, partial(plan.part, "facts", name), f"file-{number}")


def count(plan: Plan, part: int) -> None:
    """The rows and requests of every view from the facts of some events, dealt by entity; the events kept."""
    pipeline = plan.declared()
    events = {stream.name: _facts(plan, stream, part) for stream in pipeline.streams}
    scored = settled(events[pipeline.events.name])
    for view in pipeline.windows:
        counted = rows(view, events, kept=keep(pipeline))
        asked = requests_of(view, scored)
        _deal(counted, counted.column("key"), plan.parts, partial(plan.part, "rows", view.name), str(part))
        _deal(asked, asked.column("key"), plan.parts, partial(plan.part, "requests", view.name), str(part))
    ids, times = scored.column("_id").combine_chunks(), integers(scored.column("_time"))[0]
    label, known = label_at(pipeline.label, events, ids, times, plan.at)
    _write(
        scored.append_column("_label", pa.array(label.astype(np.int8), mask=~known)), plan.place("scored"), str(part)
    )


def _facts(plan: Plan, stream: Stream, part: int) -> pa.Table:
    found = _read(plan.part("facts", stream.name, part))
    return encoded_schema(stream).empty_table() if found is None else found


def compute_part(plan: Plan, place: tuple[str, int]) -> None:
    """The values of one view for some entities, dealt by event, and the entities' tiles."""
    pipeline = plan.declared()
    view, part = pipeline.view(place[0]), place[1]
    counted = _read(plan.part("rows", view.name, part))
    asked = _read(plan.part("requests", view.name, part))
    if counted is not None:
        folder = Path(Lake(plan.lake, pipeline.name).uri(f"tiles/{view.name}"), plan.name)
        _write(tiles.build(view, counted), folder, str(part))
    if asked is None:
        return
    found = compute(view, counted if counted is not None else empty_rows(view, asked.schema.field("id").type), asked)
    columns = {name: pa.array(values, mask=~valid) for name, (values, valid) in found.items()}
    values = pa.table({"_id": asked.column("id"), **columns})
    _deal(values, values.column("_id"), plan.parts, partial(plan.part, "values", view.name), str(part))


def assemble(plan: Plan, part: int) -> None:
    """The vectors of some events: every view's values beside the request's own features."""
    pipeline = plan.declared()
    file = plan.place("scored", f"{part}.parquet")
    if not file.exists():
        return
    scored = pq.read_table(file)
    windowed: dict[str, Column] = {}
    for view in pipeline.windows:
        windowed |= _aligned(scored, _read(plan.place("values", view.name, str(part))), view)
    vectors = as_table(pipeline, complete(pipeline, scored, windowed))
    folder = Path(Lake(plan.lake, pipeline.name).uri("vectors"), plan.name)
    _write(_described(pipeline, scored, vectors), folder, str(part))


def _described(pipeline: Pipeline, scored: pa.Table, vectors: pa.Table) -> pa.Table:
    """Vectors beside who they are about: id, time, keys, segment and the label known at the backfill's moment."""
    head = {
        "event_id": scored.column("_id"),
        "event_time": scored.column("_time"),
        **{key: scored.column(key) for key in pipeline.keys},
        "segment": _segments(pipeline, scored),
        "label": scored.column("_label"),
    }
    return pa.table({**head, **{name: vectors.column(name) for name in vectors.column_names}})


def _segments(pipeline: Pipeline, scored: pa.Table) -> pa.Array:
    if pipeline.segment_by is None:
        return pa.array(["*"] * len(scored), pa.string())
    names = pa.array(pipeline.segments, pa.string())
    return names.take(scored.column(pipeline.segment_by).combine_chunks())


def _silver_files(pipeline: Pipeline, lake: Lake, base: int) -> list[tuple[int, str, str, list[str]]]:
    history = lake.read("batches", version=base).to_pylist() if base >= 0 else []
    found: list[tuple[int, str, str, list[str]]] = []
    for stream in pipeline.streams:
        table = lake.open(f"silver/{stream.name}")
        batches = [batch["batch"] for batch in history if batch["stream"] == stream.name]
        files = table.file_uris() if table is not None else []
        found += [(len(found) + index, stream.name, uri, batches) for index, uri in enumerate(files)]
    if not found:
        raise DataError("there is no published history", where=lake.root, next_step="ingest something first")
    return found


def _each(spark: SparkSession, task: Callable[[Any], None], work: Iterable[object]) -> None:
    listed = list(work)
    spark.sparkContext.parallelize(listed, len(listed)).foreach(task)


def _deal(table: pa.Table, by: pa.ChunkedArray, parts: int, folder: Callable[[int], Path], name: str) -> None:
    part = row_hashes([by.combine_chunks()]).view(np.uint64) % np.uint64(parts)
    for index in range(parts):
        _write(table.filter(pa.array(part == index)), folder(index), name)


def _write(table: pa.Table, folder: Path, name: str) -> None:
    """Write under the task's own name: a task that is tried again replaces what it wrote before."""
    if len(table) == 0:
        return
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{name}.{os.getpid()}.tmp"
    pq.write_table(table, fresh)
    fresh.rename(folder / f"{name}.parquet")


def _read(folder: Path) -> pa.Table | None:
    files = sorted(folder.glob("*.parquet")) if folder.exists() else []
    return pa.concat_tables([pq.read_table(file) for file in files]) if files else None


def _aligned(scored: pa.Table, values: pa.Table, view: Windows) -> dict[str, Column]:
    """A view's values in the order of the events."""
    at = pc.index_in(scored.column("_id").combine_chunks(), value_set=values.column("_id").combine_chunks())
    taken = values.take(at)
    result = {}
    for feature in view.functions:
        column = taken.column(feature.name).combine_chunks()
        valid = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), bool)
        result[f"{view.name}__{feature.name}"] = (column.fill_null(0.0).to_numpy(zero_copy_only=False), valid)
    return result


def _arguments() -> Plan:
    parser = argparse.ArgumentParser(
        prog="backfill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", required=True, help="a registered name or the path of a .py file")
    parser.add_argument("--lake", required=True, help="URI of the lake")
    parser.add_argument("--base", type=int, help="version of the table `batches` to take as history (the newest)")
    parser.add_argument("--at", required=True, type=int, help="event clock in microseconds: labels known by then")
    parser.add_argument("--parts", type=int, default=4, help="how many parts the work is dealt into (default 4)")
    given = parser.parse_args()
    newest = Lake(given.lake, load_pipeline(given.pipeline).name).version("batches")
    base = newest if given.base is None else given.base
    return Plan(given.pipeline, given.lake, base, given.at, given.parts, f"backfill-{given.at}-{base}")


def main() -> None:
    """Run the job from the command line."""
    plan = _arguments()
    with session("backfill") as spark:
        backfill(spark, plan)


if __name__ == "__main__":
    run(main)
