"""Backfill: the vector of every event and the tiles of every entity, from published history.

    spark-submit spark_jobs/backfill.py --pipeline fraud --lake URI --at 1767225600000000 [--table days@3] [--as-served]
    spark-submit spark_jobs/backfill.py … --whole                          go on from no earlier backfill
    spark-submit spark_jobs/backfill.py … --days 2024-01-01..2024-06-30    of everything, only these days for now

Spark is the scheduler: its tasks read and write parquet with Arrow and compute with numpy; no row enters the JVM. What
they do is told in `sluice.lake.backfill`, how everything is computed range by range in `sluice.lake.whole`, and how one
goes on from another in `sluice.lake.daily`. The driver names their files in one Delta commit for each table. What a run
that was killed had done the next one goes on with, whatever its --at (`spark_jobs.unfinished`); one that is done has
nothing to add. A task holds at most --most rows of a view, and those before them that a window reaches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import deltalake

from sluice.clock import rfc3339
from sluice.declare.loading import load_pipeline
from sluice.errors import DataError, UserError
from sluice.lake import asof
from sluice.lake.advance import advance
from sluice.lake.asof import load, newest
from sluice.lake.backfill import assemble
from sluice.lake.backfills import Previous, begin, begun, end, previous
from sluice.lake.daily import gather, old_files, renew
from sluice.lake.days import Days, days
from sluice.lake.files import actions_of, create_table, exchange_files, remove, replace_files, staged_files
from sluice.lake.forgetting.erasures import refuse_later, settled
from sluice.lake.keeping.retired import vectors_since
from sluice.lake.kept import Kept
from sluice.lake.lineage.datasets import Run, table_of, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.pieces import Piece
from sluice.lake.plan import Plan, parts_for
from sluice.lake.progress import EVERY_S, Progress
from sluice.lake.properties import properties
from sluice.lake.ranges import Sheet
from sluice.lake.tables import Lake
from sluice.lake.tiles import tile_table
from sluice.lake.whole import Files, everything
from sluice.lake.workers import Workers
from spark_jobs import arguments
from spark_jobs.arguments import run, teller
from spark_jobs.unfinished import note, unfinished
from spark_jobs.workers import spark_workers

Write = Callable[[deltalake.DeltaTable | None], None]
"""Commits a run's files onto a table as it is."""


def backfill(
    workers: Workers,
    plan: Plan,
    *,
    whole: bool = False,
    asked: Days | None = None,
    tell: Callable[[str], None] = print,
    every_s: float = EVERY_S,
) -> int:
    """Compute and publish vectors and tiles; the version of the vectors table.

    It goes on from the backfill before where that is possible, and says so or why not; one over everything that died is
    finished first, and gone on from. `whole` asks for everything anew. Vectors as they were served go on from those of
    their own. Of everything, only the days `asked` for are computed; what is published is all, and by the run that
    finds no day left.
    """
    lake = plan.tables()
    plan = replace(plan, erasures=settled(lake, plan.pipeline))
    if not all(_done(lake, table, plan.name) for table in plan.written):
        plan = replace(plan, parts=begun(plan) or plan.parts)
        before = "so it was asked for" if whole else previous(plan)
        left = None if whole or asked or isinstance(before, Previous) else unfinished(plan)
        if isinstance(before, Previous):
            _refuse_days(asked)
            _grow(workers, replace(plan, parts=before.parts), before, tell)
        elif left is not None:
            tell(f"going on with the backfill for {rfc3339(left.at)}, which was not finished")
            _begin_anew(workers, left, None, Progress(tell, every_s))
            return backfill(workers, plan, tell=tell, every_s=every_s)
        else:
            tell(f"computing everything: {before}")
            _begin_anew(workers, plan.resumable(), asked, Progress(tell, every_s))
    return lake.version(plan.vectors)


def _begin_anew(workers: Workers, plan: Plan, asked: Days | None, progress: Progress) -> None:
    """Compute what no run of the plan has; publish it when that is all, and let go of the work then."""
    # a version that cannot be read is told before the work, not after it
    load(plan.tables(), plan.declared(), dict(plan.asof))
    note(plan)
    files = everything(Kept(workers, plan.work("done"), progress), plan, asked, progress.tell)
    if files is None:
        again = f"--base {plan.base} --at {plan.at} --parts {plan.parts} --most {plan.most}"
        progress.tell(f"nothing is shown before the other days are computed, too: the same call with {again}")
        return
    _publish(plan, files, lambda table: partial(_replaced, plan, table, files.get(table, ())))
    remove(plan.work())


def _grow(workers: Workers, plan: Plan, before: Previous, tell: Callable[[str], None]) -> None:
    """Publish what has changed since the backfill before."""
    try:
        gone = _go_on(workers, plan, before, tell)
        _publish(plan, {}, lambda table: partial(_grown, plan, table, gone.get(table, ())))
    finally:
        remove(plan.work())


def _go_on(workers: Workers, plan: Plan, before: Previous, tell: Callable[[str], None]) -> dict[str, list[str]]:
    """The files that are replaced, by table."""
    pipeline, parts = plan.declared(), range(plan.parts)
    load(plan.tables(), pipeline, dict(plan.asof))
    (grown,) = workers.each(partial(gather, plan), [before], rows=0)
    tell(
        f"going on from {rfc3339(before.at)}: {grown.arrived:,} versions of events are new,"
        f" {grown.computed:,} vectors and {grown.labels:,} labels change"
    )
    each: Callable[..., Any] = partial(workers.each, rows=grown.computed)
    gone: dict[str, list[str]] = {}
    pieces = [Piece(view.name, part) for view in pipeline.windows for part in parts]
    for piece, replaced in zip(pieces, each(partial(advance, plan, before), pieces), strict=True):
        gone.setdefault(tile_table(pipeline.view(piece.view)), []).extend(replaced)
    each(partial(assemble, plan), [Sheet(part) for part in parts])
    renewed = each(partial(renew, plan), list(enumerate(old_files(plan))))
    return {**gone, plan.vectors: [path for path in renewed if path is not None]}


def _publish(plan: Plan, files: Files, write: Callable[[str], Write]) -> None:
    """Move every table to this backfill, whose runs before this one have left `files`.

    Outage, and it is not done, when an entity was forgotten since it began: asked table by table, as an erasure takes
    away what was there before it and does not see what comes after it.
    """
    lake = plan.tables()
    refuse_later(lake, plan.erasures, _unnamed(plan, files))
    begin(plan)
    for table in plan.written:
        try:
            lake.commit(table, write(table))
        finally:  # a file that is not there may have gone with the entity
            refuse_later(lake, plan.erasures, _unnamed(plan, files))
    end(plan)


def _unnamed(plan: Plan, files: Files) -> Iterator[str]:
    """What a backfill has written that no table names."""
    yield plan.work()
    for table in plan.written:
        if not _done(plan.tables(), table, plan.name):
            yield plan.tables().uri(f"{table}/{plan.folder}")
            yield from (plan.tables().uri(f"{table}/{path}") for path in files.get(table, ()))


def _replaced(plan: Plan, table: str, paths: Sequence[str], held: deltalake.DeltaTable | None) -> None:
    """Commit these files in place of all that a table held, be they empty; nothing if a run of that name did."""
    uri, marks = plan.tables().uri(table), [deltalake.Transaction(plan.name, 1)]
    if held is not None and held.transaction_version(plan.name) is not None:
        return
    actions, schema = actions_of(uri, paths)
    if schema is None:
        raise DataError("the backfill has left no files", where=uri, next_step="run it again")
    if held is None:
        create_table(uri, schema, actions, marks, properties(table))
    else:
        replace_files(held, schema, actions, marks)


def _grown(plan: Plan, table: str, removed: Sequence[str], held: deltalake.DeltaTable | None) -> None:
    """Commit the run's files beside what a table held and in place of some.

    Nothing if a run of that name did.
    """
    uri, marks = plan.tables().uri(table), [deltalake.Transaction(plan.name, 1)]
    if held is None:
        raise AssertionError(f"there is no {table} to go on from")
    if held.transaction_version(plan.name) is None:
        actions, _ = staged_files(uri, plan.folder)
        exchange_files(held, actions, removed, marks)


def _refuse_days(asked: Days | None) -> None:
    if asked is not None:
        raise UserError(
            f"only {asked} cannot be computed: there is a backfill to go on from, which computes what has changed",
            where="--days",
            next_step="leave it out; or compute all days anew, some at a time, with --whole",
        )


def _done(lake: Lake, table: str, name: str) -> bool:
    return lake.reached_by(table, name) is not None


class Call(NamedTuple):
    """What the job is called with."""

    plans: list[Plan]
    whole: bool
    asked: Days | None
    every_s: float


def _arguments() -> Call:
    parser = argparse.ArgumentParser(
        prog="backfill", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pipeline", required=True, type=arguments.pipeline, help="a registered name or the path of a .py file"
    )
    parser.add_argument("--lake", required=True, type=arguments.lake, help="path or URI of the lake")
    parser.add_argument("--base", type=int, help="version of the table `batches` to take as history (the newest)")
    parser.add_argument("--at", required=True, type=int, help="event clock in microseconds: labels known by then")
    parser.add_argument("--parts", type=arguments.some, help="buckets to deal into (one for a million rows, 4 or more)")
    parser.add_argument(
        "--table", type=_version, action="append", help="version of an as-of table, such as holidays@3 (the newest)"
    )
    parser.add_argument("--as-served", action="store_true", help="compute vectors as they were served, too")
    parser.add_argument("--whole", action="store_true", help="compute everything, and go on from no earlier backfill")
    parser.add_argument("--days", metavar="DAY", help="of everything, compute only a day, or FIRST..LAST, in this run")
    parser.add_argument(
        "--most", type=arguments.some, default=Plan.most, help="rows of a view that one task computes (%(default)s)"
    )
    parser.add_argument(
        "--per-range",
        type=arguments.some,
        default=Plan.per_range,
        help="scored events whose days are computed before others are begun (%(default)s)",
    )
    parser.add_argument(
        "--every", type=float, default=EVERY_S, help="seconds between two lines of progress (%(default)s)"
    )
    given = parser.parse_args()
    declared = load_pipeline(given.pipeline)
    lake = Lake(given.lake, declared.name)
    base = lake.version("batches") if given.base is None else given.base
    tables = newest(lake, declared) | dict(given.table or ())
    parts = given.parts or parts_for(lake, base)
    since = vectors_since(lake, declared)
    plan = Plan(
        given.pipeline,
        given.lake,
        base,
        given.at,
        parts,
        given.most,
        given.per_range,
        tuple(tables.items()),
        since,
    )
    asked = days(given.days, where="--days") if given.days else None
    return Call([plan, plan.as_served()] if given.as_served else [plan], given.whole, asked, given.every)


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
    call, tell = _arguments(), teller("backfill")
    with spark_workers("backfill") as workers:
        for plan in call.plans:
            with told_run(plan.tables().pipeline, plan.vectors, partial(_told, plan), at=plan.at):
                backfill(workers, plan, whole=call.whole, asked=call.asked, tell=tell, every_s=call.every_s)


if __name__ == "__main__":
    run(main)
