"""A fold of an Avro topic on a real broker, whose schema registry is away at first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.declare.loading import load_pipeline
from sluice.engine.places import open_store
from sluice.engine.store import TileStore
from sluice.stream.producer import Producer
from sluice.stream.topics import create_topics
from tests.registry_server import registry_server
from tests.sluice.lake.messages import AVRO_FIELDS, avro, shop_in
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.runs import wait_for
from tests.spark_jobs.deliveries import AT
from tests.spark_jobs.test_ingest_formats import sent

pytestmark = pytest.mark.integration


def test_a_fold_waits_for_the_registry_and_then_folds_every_message(tmp_path: Path, broker: Broker) -> None:
    file = shop_in("avro", tmp_path)
    file.write_text(file.read_text().replace('    "shop",\n', '    "registered",\n'))
    pipeline = load_pipeline(str(file))
    create_topics(broker.bootstrap, pipeline)
    with Producer(broker.bootstrap) as producer:
        for number in range(1, 9):
            producer.send("registered.orders", sent("avro", number), at=AT)
        producer.flush()
    online, log = f"sqlite:///{tmp_path}", tmp_path / "fold.log"
    with registry_server() as registry, log.open("wb") as said:
        registry.put("/schemas/ids/7", {"message": "overloaded"}, status=503)
        command = [sys.executable, "-m", "sluice.cli.main", "stream", "fold", str(file)]
        named = {"SLUICE_HOME": str(tmp_path / "home"), "SLUICE_KAFKA_BOOTSTRAP": broker.bootstrap}
        named |= {"SLUICE_ONLINE": online, "SLUICE_SCHEMA_REGISTRY_URL": registry.url}
        fold = subprocess.Popen(command, env={**os.environ, **named}, stdout=said, stderr=said)
        try:
            wait_for(lambda: "the fold waits" in log.read_text())
            assert _folded(open_store(online, "registered", read_only=True)) is None
            registry.put("/schemas/ids/7", {"schema": avro(AVRO_FIELDS).text})
            wait_for(lambda: _folded(open_store(online, "registered", read_only=True)) == 8)
            fold.send_signal(signal.SIGTERM)
            assert fold.wait(timeout=60) == 0
        finally:
            fold.kill()
    assert "status 503" in log.read_text()


def _folded(store: TileStore) -> int | None:
    try:
        return store.read([]).knowledge.offset(("registered.orders", 0))
    finally:
        store.close()
