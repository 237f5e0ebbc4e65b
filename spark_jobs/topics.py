"""Topics: a range of a stream's topic into bronze, each record once, beside an archive or without one.

    spark-submit spark_jobs/topics.py --pipeline fraud --lake URI --bootstrap broker:9092 --stream transactions
    spark-submit spark_jobs/topics.py … --since 2024-01-01T00:00:00Z --until 2024-07-01T00:00:00Z
    spark-submit spark_jobs/topics.py … --from-offset 1000000 --until-offset 2000000       of every partition

Every task reads a span of offsets of one partition with the client that the archive reads with, and writes the rows
that the archive would; no row enters the JVM. What is done is told in `sluice.stream.backlog`. A run that died is run
again, and goes on behind its last commit; the ingest job (`--from-bronze`) makes history of what was brought.
"""

from __future__ import annotations

import argparse

from sluice.declare.loading import load_pipeline
from sluice.lake.lineage.datasets import Run, table_of, topic_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.registry import registry_at
from sluice.lake.tables import Lake
from sluice.lake.typing import instant
from sluice.settings import settings
from sluice.stream.backlog import SPAN, Backlog, Brought, bring
from sluice.stream.spans import Asked
from spark_jobs import arguments
from spark_jobs.arguments import run, teller
from spark_jobs.workers import spark_workers


def _arguments() -> Backlog:
    parser = argparse.ArgumentParser(
        prog="topics", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pipeline", required=True, type=arguments.pipeline, help="a registered name or the path of a .py file"
    )
    parser.add_argument("--lake", required=True, type=arguments.lake, help="path or URI of the lake")
    parser.add_argument("--stream", required=True, help="whose topic is read")
    parser.add_argument("--bootstrap", default=settings().kafka, help="address of a broker (%(default)s)")
    parser.add_argument("--since", help="records of this moment or later, RFC 3339")
    parser.add_argument("--until", help="records before this moment")
    parser.add_argument("--from-offset", type=int, help="offsets of every partition from this one on")
    parser.add_argument("--until-offset", type=int, help="offsets of every partition before this one")
    parser.add_argument("--span", type=arguments.some, default=SPAN, help="offsets that one task reads (%(default)s)")
    given = parser.parse_args()
    declared = load_pipeline(given.pipeline)
    since = None if given.since is None else instant(given.since, "--since")
    until = None if given.until is None else instant(given.until, "--until")
    asked = Asked(given.from_offset, given.until_offset, since, until)
    lake = Lake(given.lake, declared.name)
    registry = registry_at(settings().schema_registry)
    return Backlog(lake, given.bootstrap, declared.stream(given.stream), asked, given.span, registry)


def _report(backlog: Backlog, done: Brought) -> list[str]:
    lines = [f"{done.rows:,} records of {backlog.topic} are brought, {done.archived:,} offsets were there before"]
    return [*lines, *(f"a gap: {gap}" for gap in done.gaps)]


def main() -> None:
    """Run the job from the command line."""
    backlog, tell = _arguments(), teller("topics")

    def about() -> Run:
        return Run([topic_of(backlog.bootstrap, backlog.topic)], [table_of(backlog.lake, backlog.table)])

    with spark_workers("topics") as workers, told_run(backlog.lake.pipeline, "topics", about):
        done = bring(workers, backlog, tell)
    for line in _report(backlog, done):
        tell(line)


if __name__ == "__main__":
    run(main)
