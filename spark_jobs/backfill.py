"""Backfill: the vector of every event and the tiles of every entity, from published history.

    spark-submit spark_jobs/backfill.py --pipeline fraud --lake URI --at 1767225600000000 [--parts 8] [--table days@3]

Spark is the scheduler: its tasks read and write parquet with Arrow and compute with numpy; no row enters the JVM. What
they do is told in `sluice.lake.backfill`. The driver names their files in one Delta commit for each table; a run that
was killed is run again, and one that is done has nothing to add.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import deltalake

from sluice.declare.loading import load_pipeline
from sluice.errors import DataError
from sluice.lake.asof import load, newest
from sluice.lake.backfill import Plan, assemble, compute_part, count, deal, relate, sources
from sluice.lake.files import create_table, remove, replace_files, staged_files
from sluice.lake.tables import Lake
from sluice.lake.workers import Workers
from spark_jobs.arguments import run
from spark_jobs.workers import spark_workers


def backfill(workers: Workers, plan: Plan) -> int:
    """Compute and publish vectors and tiles; the version of the vectors table."""
    lake = plan.tables()
    tables = [*(f"tiles/{view.name}" for view in plan.declared().windows), "vectors"]
    if not all(_done(lake, table, plan.name) for table in tables):
        try:
            _work(workers, plan)
        finally:
            remove(plan.work())
        for table in tables:
            lake.commit(table, partial(_publish, lake, table, plan))
    return lake.version("vectors")


def _work(workers: Workers, plan: Plan) -> None:
    pipeline, parts = plan.declared(), range(plan.parts)
    files, rows = sources(plan)
    if not files:
        raise DataError("there is no published history", where=plan.tables().root, next_step="ingest something first")
    load(
        plan.tables(), pipeline, dict(plan.asof)
    )  # a version that cannot be read is told before the work, not after it
    each: Callable[..., object] = partial(workers.each, rows=rows)
    each(partial(deal, plan), files)
    each(partial(relate, plan), [(stream.name, part) for stream in pipeline.streams if stream.parent for part in parts])
    each(partial(count, plan), parts)
    each(partial(compute_part, plan), [(view.name, part) for view in pipeline.windows for part in parts])
    each(partial(assemble, plan), parts)


def _publish(lake: Lake, table: str, plan: Plan, held: deltalake.DeltaTable | None) -> None:
    """Name the run's files of a table in place of what it held, be they empty; nothing if a run of that name did."""
    if held is not None and held.transaction_version(plan.name) is not None:
        return
    actions, schema = staged_files(lake.uri(table), plan.folder)
    if schema is None:
        raise DataError("the backfill has left no files", where=lake.uri(table), next_step="run it again")
    marks = [deltalake.Transaction(plan.name, 1)]
    if held is None:
        create_table(lake.uri(table), schema, actions, marks)
    else:
        replace_files(held, schema, actions, marks)


def _done(lake: Lake, table: str, name: str) -> bool:
    return lake.reached_by(table, name) is not None


def _arguments() -> Plan:
    parser = argparse.ArgumentParser(
        prog="backfill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", required=True, help="a registered name or the path of a .py file")
    parser.add_argument("--lake", required=True, help="URI of the lake")
    parser.add_argument("--base", type=int, help="version of the table `batches` to take as history (the newest)")
    parser.add_argument("--at", required=True, type=int, help="event clock in microseconds: labels known by then")
    parser.add_argument("--parts", type=int, default=4, help="how many parts the work is dealt into (default 4)")
    parser.add_argument(
        "--table", type=_version, action="append", help="version of an as-of table, such as holidays@3 (the newest)"
    )
    given = parser.parse_args()
    pipeline = str(Path(given.pipeline).resolve()) if given.pipeline.endswith(".py") else given.pipeline
    declared = load_pipeline(pipeline)
    lake = Lake(given.lake, declared.name)
    base = lake.version("batches") if given.base is None else given.base
    tables = newest(lake, declared) | dict(given.table or ())
    return Plan(pipeline, given.lake, base, given.at, given.parts, tuple(tables.items()))


def _version(text: str) -> tuple[str, int]:
    table, _, version = text.partition("@")
    return table, int(version)


def main() -> None:
    """Run the job from the command line."""
    with spark_workers("backfill") as workers:
        backfill(workers, _arguments())


if __name__ == "__main__":
    run(main)
