"""A Kafka broker of one node (KRaft) for loopback: every record is kept for ever and may carry any time."""

from __future__ import annotations

import base64
import shutil
import subprocess
import uuid
from pathlib import Path

from sluice.errors import Outage
from sluice.local.environment import is_embedded
from sluice.local.health import reachable, tcp
from sluice.local.jars import kafka_jars
from sluice.local.java import java
from sluice.local.service import Service
from sluice.settings import Settings

ANY_TIME_MS = 2**63 - 1
"""Replays write records of past years, and the event clock may run ahead: the broker accepts any timestamp."""

_LOGGING = """\
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{ISO8601} %-5p %c{1} %m%n
logger.configuration.name=org.apache.kafka.common.config
logger.configuration.level=WARN
logger.clients.name=org.apache.kafka.clients
logger.clients.level=WARN
"""


def kafka_broker(settings: Settings) -> Service:
    """The embedded broker, or the external one that `SLUICE_KAFKA_BOOTSTRAP` names."""
    own = f"127.0.0.1:{settings.ports.kafka_port}"
    embedded = is_embedded(settings.engines.kafka_bootstrap, own)
    ports = {
        "SLUICE_KAFKA_PORT": settings.ports.kafka_port,
        "SLUICE_KAFKA_CONTROLLER_PORT": settings.ports.kafka_controller_port,
    }
    return Service(
        name="kafka",
        address=settings.kafka,
        healthy=lambda _since: _answers(own) if embedded else reachable(settings.kafka),
        command=lambda: _command(settings),
        ports=ports,
        external=not embedded,
    )


def properties(settings: Settings, data: Path) -> dict[str, str]:
    """The broker's whole configuration: loopback only, one replica of everything, topics made only on purpose."""
    broker = f"127.0.0.1:{settings.ports.kafka_port}"
    controller = f"127.0.0.1:{settings.ports.kafka_controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "num.partitions": "1",
        "auto.create.topics.enable": "false",
        "log.retention.ms": "-1",
        "log.retention.bytes": "-1",
        "log.message.timestamp.before.max.ms": str(ANY_TIME_MS),
        "log.message.timestamp.after.max.ms": str(ANY_TIME_MS),
        "offsets.retention.minutes": str(2**31 - 1),
        "offsets.topic.num.partitions": "1",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
    }


def _command(settings: Settings) -> list[str]:
    folder = settings.places.at("kafka")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log4j2.properties").write_text(_LOGGING)
    start = _java(folder, f"-Xmx{settings.sizes.kafka_heap_mb}m")
    _format_once(settings, folder)
    return [*start, "kafka.Kafka", str(_write(settings, folder, folder / "data"))]


def _java(folder: Path, *options: str) -> list[str]:
    class_path = ":".join(str(jar) for jar in kafka_jars())
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    return [str(java()), *options, "-XX:+UseSerialGC", "-Djava.awt.headless=true", logging, "-cp", class_path]


def _format_once(settings: Settings, folder: Path) -> None:
    """Storage is formatted beside its place and moved there whole, so that a cut-off start leaves none half made."""
    if (folder / "data" / "meta.properties").exists():
        return
    for unfinished in folder.glob("data-*"):
        shutil.rmtree(unfinished)
    fresh = folder / f"data-{uuid.uuid4().hex[:8]}"
    configuration = _write(settings, folder, fresh)
    tool = [*_java(folder, "-Xmx128m", "-XX:TieredStopAtLevel=1"), "kafka.tools.StorageTool", "format"]
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    given = [f"--cluster-id={cluster}", f"--config={configuration}"]
    done = subprocess.run([*tool, *given], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Outage(f"the broker's storage could not be formatted: {done.stderr[-500:]}", where=str(fresh))
    fresh.rename(folder / "data")


def _write(settings: Settings, folder: Path, data: Path) -> Path:
    path = folder / "server.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in properties(settings, data).items()))
    return path


def _answers(bootstrap: str) -> bool:
    """A broker accepts connections a moment before it serves them, so it is asked for its cluster."""
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    if not tcp(host, int(port)):
        return False
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=2_000, bootstrap_timeout_ms=2_000)
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
