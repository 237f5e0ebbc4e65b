"""Spark frames over the lake's published rows."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from sluice.lake.tables import Lake


def spark_schema(schema: pa.Schema) -> StructType:
    """An Arrow schema as Spark's."""
    return from_arrow_schema(schema, prefer_timestamp_ntz=False)


def read_delta(spark: SparkSession, lake: Lake, table: str, version: int | None = None) -> DataFrame | None:
    """A Delta table as a frame, or None while nobody has written it."""
    if lake.open(table) is None:
        return None
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(lake.uri(table))


def read_silver(spark: SparkSession, lake: Lake, stream: str) -> DataFrame | None:
    """The published rows of a stream's silver table: every version of every event."""
    names = [batch["batch"] for batch in lake.published(stream)]
    frame = read_delta(spark, lake, f"silver/{stream}")
    return None if frame is None else frame.where(f.col("_batch").isin(names))
