"""Spark's workers bring a range of a topic into bronze as an archive writes it, whatever the number of partitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.declare.loading import load_pipeline
from sluice.lake.delivery import Delivery
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from sluice.stream.archive import Archive
from sluice.stream.backlog import Backlog, bring
from sluice.stream.producer import Producer
from sluice.stream.spans import Asked
from sluice.stream.subscription import Subscription
from sluice.stream.topics import create_topics, stream_topic
from spark_jobs.ingest import ingest
from spark_jobs.workers import SparkWorkers
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.feeds import feed, send
from tests.sluice.stream.histories import FILE

pytestmark = pytest.mark.integration

MESSAGES = feed(seed=71, size=600)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    found = Broker(tmp_path_factory.mktemp("broker"))
    found.up()
    yield found
    found.down()


def test_what_spark_brings_of_three_partitions_is_what_an_archive_writes_and_becomes_history(
    broker: Broker, spark: SparkWorkers, tmp_path: Path
) -> None:
    pipeline = load_pipeline(str(FILE))
    create_topics(broker.bootstrap, pipeline, 3)
    with Producer(broker.bootstrap) as producer:
        send(pipeline, producer, MESSAGES)
    brought, archived = (Lake(str(tmp_path / name), pipeline.name) for name in ("brought", "archived"))
    told: list[str] = []

    done = {
        stream.name: bring(spark, Backlog(brought, broker.bootstrap, stream, Asked(), span=40), told.append)
        for stream in pipeline.streams
    }

    archive = Archive(pipeline, archived, broker.bootstrap)
    topics = [stream_topic(pipeline.name, stream.name) for stream in pipeline.streams]
    with Subscription(broker.bootstrap, topics, lambda _: None) as subscription:
        total, seen = sum(subscription.ends().values()), 0
        while seen < total:
            records = subscription.poll(500)
            archive.write(records)
            seen += len(records)
    order = [("partition", "ascending"), ("position", "ascending")]
    for stream in pipeline.streams:
        found, wanted = (lake.read(f"events/{stream.name}").sort_by(order) for lake in (brought, archived))
        assert found.to_pylist() == wanted.to_pylist()
        assert done[stream.name].rows == len(wanted)
    assert told[-1].startswith(f"{done['disputes'].rows:,} of {done['disputes'].rows:,} offsets, ")

    delivery = Delivery(str(FILE), str(tmp_path / "brought"), "one", MESSAGES[-1].at, from_bronze=True)
    ingest(Here(), delivery)
    assert sum(batch["rows"] for batch in brought.published()) == total
