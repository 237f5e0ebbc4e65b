"""One Spark session for all tests of jobs in this process: a JVM has the jars that it was started with, no others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sluice.local.jars import jdbc_jars
from spark_jobs.workers import SparkWorkers

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.postgres_server import Postgres
    from tests.spark_jobs.warehouses import Ledger


@pytest.fixture(scope="session")
def spark_session() -> Iterator[SparkSession]:
    """A session with the warehouse's driver, in a time zone that is not ours; it is older than any S3 service."""
    jars = ",".join(map(str, jdbc_jars()))
    options = f"--master local[2] --driver-memory 1g --driver-java-options -Duser.timezone=Asia/Tokyo --jars {jars}"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        environment.setenv("PYSPARK_PYTHON", sys.executable)
        environment.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        environment.setenv("PYSPARK_SUBMIT_ARGS", f"{options} pyspark-shell")
        from spark_jobs.session import session

        with session("test") as started:
            yield started


@pytest.fixture(scope="session")
def spark(spark_session: SparkSession) -> SparkWorkers:
    """Workers that always work on Spark."""
    return SparkWorkers(lambda: spark_session.sparkContext, little=0)


@pytest.fixture
def ledger(tmp_path: Path, postgres: Postgres, spark_session: SparkSession) -> Ledger:
    """Empty tables in a warehouse, and a lake without history."""
    from tests.spark_jobs.warehouses import TABLES, Ledger

    postgres.run(TABLES)
    return Ledger(tmp_path, postgres, spark_session)
