"""Ingest: files or archived events → bronze → contract → gates → silver, quarantine, conflicts and late.

    spark-submit spark_jobs/ingest.py --pipeline fraud --lake URI --batch 2026-w01 --at 1767225600000000 \
        --file transactions=/in/a.parquet --file chargebacks=/in/b.parquet
    spark-submit spark_jobs/ingest.py … --from-bronze             what the archive has written since the last batch
    spark-submit spark_jobs/ingest.py … --rename transactions:amount=total        a batch that was stopped, repaired

A batch stands for one delivery of each stream. Running it again completes what a crash left, and adds nothing twice.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f

from sluice.decisions import Finding, Verdict
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.errors import GateStopped, UserError
from sluice.lake.contract import BRONZE, QUARANTINE, check, contract_version, silver_schema
from sluice.lake.gates import BatchEvidence, judge
from sluice.lake.landing import Part, land, parts
from sluice.lake.publish import Batch, commit_folder, publish, record_verdict
from sluice.lake.tables import Lake
from spark_jobs.arguments import run
from spark_jobs.frames import read_delta, read_silver, spark_schema
from spark_jobs.session import session

_REFUSED = ("payload", "rule", "column", "value", "allowed", "source", "partition", "position", "known")


@dataclass(frozen=True)
class Delivery:
    """What one run ingests."""

    pipeline: str
    lake: str
    batch: str
    at: int
    files: Sequence[tuple[str, Path]] = ()
    from_bronze: bool = False
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By stream: declared column → its name in this delivery."""


def ingest(spark: SparkSession, delivery: Delivery) -> None:
    """Ingest a delivery; GateStopped when a gate stopped one of its streams (the others are published)."""
    pipeline = load_pipeline(delivery.pipeline)
    lake = Lake(delivery.lake, pipeline.name)
    if delivery.files:
        land_files(spark, pipeline, lake, delivery)
    stopped = [
        finding
        for stream in pipeline.streams
        for finding in ingest_stream(spark, pipeline, lake, stream, delivery)
        if finding.verdict is Verdict.STOP
    ]
    if stopped:
        raise GateStopped(
            "; ".join(f"{finding.rule}: {finding.message}" for finding in stopped),
            where=f"batch {delivery.batch!r}",
            next_step="ingest the batch again once its cause is mended (--rename says what a column is called in it)",
        )


def land_files(spark: SparkSession, pipeline: Pipeline, lake: Lake, delivery: Delivery) -> None:
    """Append the files' rows to bronze in one commit for each stream; a file that is there already adds nothing."""
    work = [part for stream, path in delivery.files for part in parts(pipeline.stream(stream).name, path)]
    told = pipeline.label.told_by.name if pipeline.label.column else None
    for stream in pipeline.streams:
        owner = pipeline.events.name if stream.name == told else stream.name
        mine = [part for part in work if part.stream == owner and not _landed(lake, stream.name, part.source)]
        if not mine:
            continue
        frame = spark.createDataFrame(
            [dataclasses.astuple(part) for part in mine], "s string, p string, d string, g int, f long"
        )
        reader = partial(_land, delivery.pipeline, stream.name, delivery.batch)
        folder = f"landed-{delivery.batch}"
        rows = frame.repartition(min(len(mine), 8)).mapInArrow(reader, spark_schema(BRONZE))
        rows.write.mode("overwrite").parquet(f"{lake.uri(f'events/{stream.name}')}/{folder}")
        markers = sorted({part.source for part in mine})
        commit_folder(lake, f"events/{stream.name}", folder, markers=markers)


def ingest_stream(
    spark: SparkSession, pipeline: Pipeline, lake: Lake, stream: Stream, delivery: Delivery
) -> list[Finding]:
    """Bring one stream's share of a delivery through the contract and the gates; its findings, none for no rows."""
    if any(row["batch"] == delivery.batch for row in lake.published(stream.name)):
        return []
    bronze = _waiting(spark, lake, stream, delivery)
    if bronze is None or bronze.isEmpty():
        return []
    contract = _contract(stream, delivery)
    judged = _judged(spark, lake, contract, bronze, delivery).persist()
    try:
        batch, evidence = _counted(spark, lake, contract, judged, delivery)
        gates = pipeline.gates if not delivery.from_bronze else dataclasses.replace(pipeline.gates, min_rows=0)
        findings = judge(stream, gates, evidence, delivery.at)
        if record_verdict(lake, batch, findings) is not Verdict.STOP:
            publish(lake, batch, _staged(lake, stream, judged, delivery))
    finally:
        judged.unpersist()
    return findings


def _landed(lake: Lake, stream: str, source: str) -> bool:
    table = lake.open(f"events/{stream}")
    return table is not None and table.transaction_version(source) is not None


def _land(pipeline: str, stream: str, batch: str, rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    declared = load_pipeline(pipeline)
    for chunk in rows:
        for row in chunk.to_pylist():
            part = Part(row["s"], row["p"], row["d"], row["g"], row["f"])
            for name, table in land(declared, part, batch=batch):
                if name == stream:
                    yield from table.to_batches()


def _waiting(spark: SparkSession, lake: Lake, stream: Stream, delivery: Delivery) -> DataFrame | None:
    """The bronze rows of the delivery: those landed with it, or those archived since the last published batch."""
    bronze = read_delta(spark, lake, f"events/{stream.name}")
    if bronze is None or not delivery.from_bronze:
        return bronze and bronze.where(f.col("batch") == delivery.batch)
    seen = lake.reached(stream.name)
    waiting = f.expr("true")
    for place, last in seen.items():
        source, _, partition = place.rpartition("/")
        here = (f.col("source") == source) & (f.col("partition") == int(partition))
        waiting = waiting & ~(here & (f.col("position") <= last))
    return bronze.where(f.col("source").startswith("kafka:") & waiting)


def _contract(stream: Stream, delivery: Delivery) -> Stream:
    renamed = delivery.renamed.get(stream.name, {})
    return dataclasses.replace(stream, sources={**stream.sources, **renamed}) if renamed else stream


def _judged(spark: SparkSession, lake: Lake, stream: Stream, bronze: DataFrame, delivery: Delivery) -> DataFrame:
    """Every row with its verdict: `rule` for refused ones; `_duplicate`, `_conflict` and `_late` for accepted ones."""
    fields = [*silver_schema(stream), *(QUARANTINE.field(name) for name in _REFUSED)]
    schema = pa.schema(fields)
    checked = bronze.mapInArrow(
        partial(_check, delivery.pipeline, stream.name, dict(stream.sources), delivery.batch), spark_schema(schema)
    )
    if delivery.from_bronze:
        checked = _with_watermark(lake, stream, checked)
    version = Window.partitionBy("rule", "_id", "_revision", "_hash").orderBy("_source", "_partition", "_position")
    identity = Window.partitionBy("rule", "_id", "_revision").orderBy("_source", "_partition", "_position")
    held = _held(spark, lake, stream, delivery)
    checked = checked.join(held, ["_id", "_revision", "_hash"], "left")
    same = f.row_number().over(version) > 1
    accepted = f.col("rule").isNull()
    checked = checked.withColumn("_duplicate", accepted & (same | f.col("_held").isNotNull()))
    fresh = f.sum(f.when(~f.col("_duplicate"), 1).otherwise(0)).over(identity)
    known = held.select("_id", "_revision").distinct().withColumn("_known_version", f.expr("true"))
    checked = checked.withColumn("_place", fresh).join(known, ["_id", "_revision"], "left")
    late = (f.col("_known") - f.col("_time")) > stream.micros("late_after")
    return checked.withColumns(
        {
            "_conflict": accepted
            & ~f.col("_duplicate")
            & ((f.col("_place") > 1) | f.col("_known_version").isNotNull()),
            "_late": accepted & ~f.col("_duplicate") & late,
        }
    )


def _check(
    pipeline: str, stream: str, sources: dict[str, str], batch: str, chunks: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    declared = dataclasses.replace(load_pipeline(pipeline).stream(stream), sources=sources)
    for chunk in chunks:
        checked = check(declared, pa.Table.from_batches([chunk]), batch=batch)
        schema = pa.schema([*silver_schema(declared), *(QUARANTINE.field(name) for name in _REFUSED)])
        joined = pa.concat_tables([checked.accepted, checked.rejected], promote_options="default")
        yield from joined.select(schema.names).cast(schema).to_batches()


def _held(spark: SparkSession, lake: Lake, stream: Stream, delivery: Delivery) -> DataFrame:
    """The versions that silver holds already, apart from what this very batch may have left there."""
    silver = read_silver(spark, lake, stream.name)
    if silver is None:
        empty = pa.schema([silver_schema(stream).field(name) for name in ("_id", "_revision", "_hash")])
        return spark.createDataFrame([], spark_schema(empty)).withColumn("_held", f.expr("true"))
    others = silver.where(f.col("_batch") != delivery.batch)
    return others.select("_id", "_revision", "_hash").distinct().withColumn("_held", f.expr("true"))


def _with_watermark(lake: Lake, stream: Stream, checked: DataFrame) -> DataFrame:
    """The greatest event time at smaller offsets of the partition: what expiry is measured against."""
    before = Window.partitionBy("_source", "_partition").orderBy("_position").rowsBetween(Window.unboundedPreceding, -1)
    start = f.lit(None).cast("long")
    for place, watermark in lake.watermarks(stream.name).items():
        source, _, partition = place.rpartition("/")
        start = f.when((f.col("_source") == source) & (f.col("_partition") == int(partition)), watermark).otherwise(
            start
        )
    running = f.max(f.when(f.col("rule").isNull(), f.col("_time"))).over(before)
    return checked.withColumn("_watermark", f.greatest(running, start))


def _counted(
    spark: SparkSession, lake: Lake, stream: Stream, judged: DataFrame, delivery: Delivery
) -> tuple[Batch, BatchEvidence]:
    ones = {name: f.sum(f.col(name).cast("long")).alias(name) for name in ("_duplicate", "_conflict", "_late")}
    groups = judged.groupBy("rule").agg(f.count(f.lit(1)).alias("rows"), f.max("_time").alias("newest"), *ones.values())
    by_rule = {row["rule"]: row for row in groups.collect()}
    passed = by_rule.pop(None, None)
    refused = {rule: row["rows"] for rule, row in by_rule.items()}
    accepted = passed["rows"] if passed else 0
    place = f.concat_ws("/", f.coalesce("_source", "source"), f.coalesce("_partition", "partition"))
    reached = (
        judged.groupBy(place.alias("place")).agg(f.max(f.coalesce("_position", "position")).alias("last")).collect()
    )
    keys, orphans = _orphans(spark, lake, stream, judged)
    evidence = BatchEvidence(
        accepted + sum(refused.values()), refused, passed["newest"] if passed else None, keys, orphans
    )
    batch = Batch(
        delivery.batch,
        stream.name,
        delivery.at,
        evidence.rows,
        accepted,
        passed["_duplicate"] if passed else 0,
        passed["_conflict"] if passed else 0,
        passed["_late"] if passed else 0,
        refused,
        {row["place"]: row["last"] for row in reached},
        contract_version(stream),
        delivery.renamed.get(stream.name, {}),
    )
    return batch, evidence


def _orphans(spark: SparkSession, lake: Lake, stream: Stream, judged: DataFrame) -> tuple[int, int]:
    if stream.parent is None:
        return 0, 0
    column, parent = stream.parent
    children = judged.where(f.col("rule").isNull()).select(f.col(column).alias("_id"))
    silver = read_silver(spark, lake, parent.name)
    total = children.count()
    orphans = total if silver is None else children.join(silver.select("_id"), "_id", "left_anti").count()
    return total, orphans


def _staged(lake: Lake, stream: Stream, judged: DataFrame, delivery: Delivery) -> dict[str, str]:
    """Write each table's files below it, where no log names them yet; table → folder, in publishing order."""
    fresh = judged.where(f.col("rule").isNull() & ~f.col("_duplicate"))
    refused = judged.where(f.col("rule").isNotNull())
    columns = silver_schema(stream).names
    frames = {
        "quarantine": refused.select(*_REFUSED, "_batch"),
        "conflicts": fresh.where("_conflict").select(
            "_id", "_revision", "_hash", "_source", "_partition", "_position", "_batch"
        ),
        "late": fresh.where("_late").select(*columns),
        "silver": fresh.select(*columns),
    }
    folder = f"staged-{delivery.batch}-{delivery.at}"
    for name, frame in frames.items():
        frame.write.mode("overwrite").parquet(f"{lake.uri(f'{name}/{stream.name}')}/{folder}")
    return {f"{name}/{stream.name}": folder for name in frames}


def _arguments() -> Delivery:
    parser = argparse.ArgumentParser(
        prog="ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", required=True, help="a registered name or the path of a .py file")
    parser.add_argument("--lake", required=True, help="URI of the lake")
    parser.add_argument("--batch", required=True, help="the delivery's name")
    parser.add_argument(
        "--at", required=True, type=int, help="event clock in microseconds: freshness is measured from it"
    )
    parser.add_argument("--file", action="append", default=[], metavar="STREAM=PATH", help="a file to land, repeatable")
    parser.add_argument("--from-bronze", action="store_true", help="take what the archive wrote since the last batch")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="STREAM:COLUMN=NAME", help="a column's name in this delivery"
    )
    given = parser.parse_args()
    files = [_pair(text, "--file") for text in given.file]
    renamed: dict[str, dict[str, str]] = {}
    for text in given.rename:
        left, name = _pair(text, "--rename")
        stream, _, column = left.partition(":")
        renamed.setdefault(stream, {})[column] = name
    named = [(stream, Path(path)) for stream, path in files]
    return Delivery(given.pipeline, given.lake, given.batch, given.at, named, given.from_bronze, renamed)


def _pair(text: str, option: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals:
        raise UserError(f"{text!r} has no '='", where=option, allowed="NAME=VALUE")
    return left, right


def main() -> None:
    """Run the job from the command line."""
    delivery = _arguments()
    with session("ingest") as spark:
        ingest(spark, delivery)


if __name__ == "__main__":
    run(main)
