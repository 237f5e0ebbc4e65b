"""Folds and archives of an Avro topic on a real broker, whose schema registry is away at first."""

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
from sluice.lake.contract import ERASED
from sluice.lake.forgetting.erasures import ANNOUNCED, ENTITY, Receipt, announce
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.lake.tables import Lake
from sluice.stream.producer import Producer
from sluice.stream.topics import create_topics
from tests.registry_server import registry_server
from tests.sluice.lake.messages import AVRO_FIELDS, avro, shop_in
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.runs import wait_for
from tests.sluice.stream.workers import ROOT
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


def test_an_archive_and_a_job_learn_of_a_schema_when_somebody_was_forgotten(tmp_path: Path, broker: Broker) -> None:
    """An archive waits for the registry; a job that brings the same range into another lake asks it in its workers."""
    file = shop_in("avro", tmp_path)
    file.write_text(file.read_text().replace('    "shop",\n', '    "remembered",\n'))
    pipeline, names = load_pipeline(str(file)), pseudonyms_of("a secret")
    create_topics(broker.bootstrap, pipeline)
    with Producer(broker.bootstrap) as producer:
        for number in range(1, 9):
            producer.send("remembered.orders", sent("avro", number), at=AT)
        producer.flush()
    told = Receipt("e", ANNOUNCED, "Ada", "a letter", 2 * AT, "customer", names.of("customer", "c1").hex(), names.name)
    who = {"erasure": "e", "kind": ENTITY, "of": "customer", "hash": names.of("customer", "c1"), "until": 2 * AT}
    archived, brought = (Lake(str(tmp_path / name), "remembered") for name in ("archived", "brought"))
    for lake in (archived, brought):
        announce(lake, told, [{**who, "first": None}], None)
    log = tmp_path / "archive.log"
    with registry_server() as registry, log.open("wb") as said:
        registry.put("/schemas/ids/7", {"message": "overloaded"}, status=503)
        command = [sys.executable, "-m", "sluice.cli.main", "stream", "archive", str(file)]
        named = {"SLUICE_HOME": str(tmp_path / "home"), "SLUICE_KAFKA_BOOTSTRAP": broker.bootstrap}
        named |= {"SLUICE_LAKE": str(tmp_path / "archived"), "SLUICE_SCHEMA_REGISTRY_URL": registry.url}
        archive = subprocess.Popen(
            command, env={**os.environ, **named, "SLUICE_ERASURE_KEY": "a secret"}, stdout=said, stderr=said
        )
        try:
            wait_for(lambda: "the archive waits" in log.read_text())
            assert archived.count("events/orders") == 0
            registry.put("/schemas/ids/7", {"schema": avro(AVRO_FIELDS).text})
            wait_for(lambda: archived.count("events/orders") == 8)
            archive.send_signal(signal.SIGTERM)
            assert archive.wait(timeout=60) == 0
        finally:
            archive.kill()
        job = [sys.executable, str(ROOT / "spark_jobs" / "topics.py"), "--pipeline", str(file), "--stream", "orders"]
        job += ["--lake", str(tmp_path / "brought"), "--bootstrap", broker.bootstrap]
        environment = {**os.environ, **named, "SLUICE_ERASURE_KEY": "a secret", "PYTHONPATH": str(ROOT)}
        subprocess.run(job, env=environment, check=True, timeout=120, capture_output=True)
    for lake in (archived, brought):
        assert sorted(row["position"] for row in lake.rows("events/orders") if row["op"] == ERASED) == [0, 3, 6]


def _folded(store: TileStore) -> int | None:
    try:
        return store.read([]).knowledge.offset(("registered.orders", 0))
    finally:
        store.close()
