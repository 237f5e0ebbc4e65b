"""Backfill: the vector of every event and the tiles of every entity, from published history.

    spark-submit spark_jobs/backfill.py --pipeline fraud --lake URI --at 1767225600000000 [--parts 8] [--table days@3] \
        [--whole] [--as-served]

Spark is the scheduler: its tasks read and write parquet with Arrow and compute with numpy; no row enters the JVM. What
they do is told in `sluice.lake.backfill`, and how one goes on from another in `sluice.lake.daily`. The driver names
their files in one Delta commit for each table; a run that was killed is run again, and one that is done has nothing to
add.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import deltalake
import pyarrow as pa

from sluice.clock import rfc3339
from sluice.declare.loading import load_pipeline
from sluice.errors import DataError
from sluice.lake import asof
from sluice.lake.asof import load, newest
from sluice.lake.backfill import assemble, compute_piece, count, deal
from sluice.lake.backfills import Previous, begin, end, previous
from sluice.lake.daily import gather, old_files, renew
from sluice.lake.dealing import relate
from sluice.lake.files import create_table, exchange_files, remove, replace_files, staged_files
from sluice.lake.forgetting.erasures import how_many, refuse_later
from sluice.lake.keeping.retired import vectors_since
from sluice.lake.lineage.runs import Run, table_of, tables_of, told_run
from sluice.lake.pieces import Piece, pieces
from sluice.lake.plan import Plan, parts_for, sources
from sluice.lake.properties import properties
from sluice.lake.tables import Lake
from sluice.lake.workers import Workers
from spark_jobs import arguments
from spark_jobs.arguments import run
from spark_jobs.workers import spark_workers


def backfill(workers: Workers, plan: Plan, *, whole: bool = False, tell: Callable[[str], None] = print) -> int:
    """Compute and publish vectors and tiles; the version of the vectors table.

    It goes on from the backfill before where that is possible, and says so or why not; `whole` asks for everything
    anew. Vectors as they were served go on from those of their own.
    """
    lake = plan.tables()
    plan = replace(plan, erasures=how_many(lake))
    if not all(_done(lake, table, plan.name) for table in plan.written):
        before = "so it was asked for" if whole else previous(plan)
        try:
            if isinstance(before, Previous):
                plan = replace(plan, parts=before.parts)
                removed = _go_on(workers, plan, before, tell)
            else:
                tell(f"computing everything: {before}")
                removed = None
                _work(workers, plan)
            refuse_later(lake, plan.erasures)
            begin(plan)
            _publish(lake, plan, removed)
            end(plan)
        finally:
            remove(plan.work())
    return lake.version(plan.vectors)


def _work(workers: Workers, plan: Plan) -> None:
    pipeline, parts = plan.declared(), range(plan.parts)
    files, rows = sources(plan)
    if not files:
        raise DataError("there is no published history", where=plan.tables().root, next_step="ingest something first")
    # a version that cannot be read is told before the work, not after it
    load(plan.tables(), pipeline, dict(plan.asof))
    each: Callable[..., Any] = partial(workers.each, rows=rows)
    each(partial(deal, plan), files)
    each(partial(relate, plan), [(stream.name, part) for stream in pipeline.streams if stream.parent for part in parts])
    counts = each(partial(count, plan), parts)
    each(partial(compute_piece, plan), pieces(workers, plan, counts, plan.most))
    each(partial(assemble, plan), parts)


def _go_on(workers: Workers, plan: Plan, before: Previous, tell: Callable[[str], None]) -> list[str]:
    """The files of vectors that are replaced."""
    pipeline, parts = plan.declared(), range(plan.parts)
    load(plan.tables(), pipeline, dict(plan.asof))
    (grown,) = workers.each(partial(gather, plan), [before], rows=0)
    tell(
        f"going on from {rfc3339(before.at)}: {grown.arrived:,} versions of events are new,"
        f" {grown.computed:,} vectors and {grown.labels:,} labels change"
    )
    each: Callable[..., Any] = partial(workers.each, rows=grown.computed)
    whole = [Piece(view.name, part) for view in pipeline.windows for part in parts]
    each(partial(compute_piece, plan, grown=True), whole)
    each(partial(assemble, plan), parts)
    return [path for path in each(partial(renew, plan), list(enumerate(old_files(plan)))) if path is not None]


def _publish(lake: Lake, plan: Plan, removed: Sequence[str] | None) -> None:
    """Name the run's files in every table: in place of all that it held, or beside it and in place of some."""
    for table in plan.written:
        grows = removed is not None and not table.startswith("tiles/")
        gone = (removed or ()) if table == plan.vectors else ()
        lake.commit(table, partial(_named, lake, table, plan, gone if grows else None))


def _named(
    lake: Lake, table: str, plan: Plan, removed: Sequence[str] | None, held: deltalake.DeltaTable | None
) -> None:
    """Commit the run's files of a table, be they empty; nothing if a run of that name did."""
    if held is not None and held.transaction_version(plan.name) is not None:
        return
    actions, schema = staged_files(lake.uri(table), plan.folder)
    marks = [deltalake.Transaction(plan.name, 1)]
    if schema is None and removed is None:
        raise DataError("the backfill has left no files", where=lake.uri(table), next_step="run it again")
    if held is None:
        create_table(lake.uri(table), schema or pa.schema([]), actions, marks, properties(table))
    elif removed is None:
        replace_files(held, schema or pa.schema([]), actions, marks)
    else:
        exchange_files(held, actions, removed, marks)


def _done(lake: Lake, table: str, name: str) -> bool:
    return lake.reached_by(table, name) is not None


def _arguments() -> tuple[list[Plan], bool]:
    parser = argparse.ArgumentParser(
        prog="backfill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pipeline", required=True, type=arguments.pipeline, help="a registered name or the path of a .py file"
    )
    parser.add_argument("--lake", required=True, type=arguments.lake, help="path or URI of the lake")
    parser.add_argument("--base", type=int, help="version of the table `batches` to take as history (the newest)")
    parser.add_argument("--at", required=True, type=int, help="event clock in microseconds: labels known by then")
    parser.add_argument("--parts", type=int, help="how many buckets to deal into (one for a million rows, 4 or more)")
    parser.add_argument(
        "--table", type=_version, action="append", help="version of an as-of table, such as holidays@3 (the newest)"
    )
    parser.add_argument("--as-served", action="store_true", help="compute vectors as they were served, too")
    parser.add_argument("--whole", action="store_true", help="compute everything, and go on from no earlier backfill")
    given = parser.parse_args()
    declared = load_pipeline(given.pipeline)
    lake = Lake(given.lake, declared.name)
    base = lake.version("batches") if given.base is None else given.base
    tables = newest(lake, declared) | dict(given.table or ())
    parts = given.parts or parts_for(lake, base)
    since = vectors_since(lake, declared)
    plan = Plan(given.pipeline, given.lake, base, given.at, parts, asof=tuple(tables.items()), since=since)
    return [plan, plan.as_served()] if given.as_served else [plan], given.whole


def _version(text: str) -> tuple[str, int]:
    table, _, version = text.partition("@")
    return table, int(version)


def _told(plan: Plan) -> Run:
    """What a backfill has read and written."""
    lake, streams = plan.tables(), plan.declared().streams
    looked_up = [table_of(lake, asof.place(name), version=version) for name, version in plan.asof]
    reads = [
        table_of(lake, "batches", version=plan.base),
        *tables_of(lake, [f"silver/{stream.name}" for stream in streams]),
    ]
    return Run([*reads, *looked_up], tables_of(lake, plan.written))


def main() -> None:
    """Run the job from the command line."""
    plans, whole = _arguments()
    with spark_workers("backfill") as workers:
        for plan in plans:
            with told_run(plan.tables().pipeline, plan.vectors, partial(_told, plan), at=plan.at):
                backfill(workers, plan, whole=whole)


if __name__ == "__main__":
    run(main)
