"""Warehouse: rows of a warehouse into history, and features and predictions back into it.

    spark-submit --jars postgresql.jar spark_jobs/warehouse.py import --pipeline fraud --lake URI \
        --batch monday --at 1767225600000000 --folder /shared/imports [--stream transactions] [--whole]
    spark-submit --jars postgresql.jar spark_jobs/warehouse.py export --pipeline fraud --lake URI \
        --table vectors --into fraud_vectors --at 1767225600000000 [--version 3]

Where the warehouse is, and who enters, is told by `SLUICE_WAREHOUSE_URL`, `SLUICE_WAREHOUSE_USER` and
`SLUICE_WAREHOUSE_PASSWORD` alone. Both may be run again after any death: an import adds nothing twice, and an export
leaves all of a version or what was there before.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from sluice.declare.loading import load_pipeline
from sluice.lake.lineage.datasets import Run, table_of, warehouse_of
from sluice.lake.lineage.runs import ingested, told_run
from sluice.lake.tables import Lake
from sluice.settings import settings
from spark_jobs import arguments
from spark_jobs.arguments import run
from spark_jobs.exporting import Order, export
from spark_jobs.importing import Asked, bring
from spark_jobs.jdbc import Jdbc, access
from spark_jobs.session import session
from spark_jobs.workers import SparkWorkers


def _arguments() -> Asked | Order:
    parser = argparse.ArgumentParser(
        prog="warehouse", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_subparsers(dest="way", required=True)
    inward, outward = ways.add_parser("import"), ways.add_parser("export")
    for one in (inward, outward):
        one.add_argument(
            "--pipeline", required=True, type=arguments.pipeline, help="a registered name or the path of a .py file"
        )
        one.add_argument("--lake", required=True, type=arguments.lake, help="path or URI of the lake")
        one.add_argument("--at", required=True, type=int, help="event clock in microseconds")
    inward.add_argument("--batch", required=True, help="the import's name")
    inward.add_argument("--folder", required=True, type=Path, help="where its files lie until they are landed")
    inward.add_argument("--stream", action="append", default=[], help="only this stream, repeatable")
    inward.add_argument("--whole", action="store_true", help="read everything again")
    outward.add_argument("--table", required=True, help="vectors, vectors_as_served, or predictions")
    outward.add_argument("--into", required=True, help="the table in the warehouse")
    outward.add_argument("--version", type=int, help="version of the table (the newest)")
    given = parser.parse_args()
    if given.way == "import":
        folder, streams = given.folder.absolute(), tuple(given.stream)
        return Asked(given.pipeline, given.lake, given.batch, given.at, folder, streams, given.whole)
    name = load_pipeline(given.pipeline).name
    return Order(given.lake, name, given.table, given.into, given.at, given.version)


def main() -> None:
    """Run the job from the command line."""
    asked, warehouse = _arguments(), access(settings().warehouse)
    with session("warehouse") as spark:
        jdbc = Jdbc(spark, warehouse)
        if isinstance(asked, Order):
            with told_run(asked.pipeline, "export", partial(_sent, asked), at=asked.at):
                export(jdbc, asked)
        else:
            with told_run(asked.declared().name, "import", partial(_brought, asked), at=asked.at):
                bring(SparkWorkers(lambda: spark.sparkContext, little=settings().sizes.spark_least_rows), jdbc, asked)


def _brought(asked: Asked) -> Run:
    """What an import has read and written; of a query nobody knows here which tables it reads."""
    address, landed = settings().warehouse.address(), ingested(asked.tables(), asked.batch)
    read = [warehouse_of(address, source.table) for _, source in asked.sources() if source.table is not None]
    return Run([*read, *landed.reads], landed.writes)


def _sent(order: Order) -> Run:
    """What an export has read and written."""
    lake = Lake(order.lake, order.pipeline)
    target = warehouse_of(settings().warehouse.address(), order.into)
    return Run([table_of(lake, order.table, version=order.version)], [target])


if __name__ == "__main__":
    run(main)
