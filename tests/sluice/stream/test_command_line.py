"""The commands around a divided pipeline, as a person calls them: topics, route, fold, status, and a look-up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sluice.declare.loading import load_pipeline
from sluice.stream.producer import Producer
from sluice.stream.topics import stream_topic
from tests.sluice.lake.lineage.told import runs
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.crews import PAYMENTS
from tests.sluice.stream.feeds import feed, send
from tests.sluice.stream.runs import produced, wait_for
from tests.sluice.stream.workers import Place

pytestmark = pytest.mark.integration

SLUICE = [sys.executable, "-m", "sluice.cli.main"]


@pytest.fixture
def environment(tmp_path: Path, broker: Broker, online: str) -> dict[str, str]:
    """A home of one's own, with the broker and the store of the test."""
    named = {"SLUICE_HOME": str(tmp_path / "home"), "SLUICE_KAFKA_BOOTSTRAP": broker.bootstrap, "SLUICE_ONLINE": online}
    return {**os.environ, "COLUMNS": "200", **named}


@pytest.fixture
def file(tmp_path: Path, online: str) -> Path:
    """The declaration of the payments under a name of its own."""
    name = f"divided_{online.partition(':')[0]}"
    path = tmp_path / f"{name}.py"
    path.write_text(PAYMENTS.read_text().replace('    "payments",\n    views', f'    "{name}",\n    views'))
    return path


def said(environment: dict[str, str], *arguments: str) -> list[str]:
    """What a command says that succeeds."""
    done = subprocess.run([*SLUICE, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def refused(environment: dict[str, str], *arguments: str) -> str:
    """What a command says that the caller has to mend."""
    done = subprocess.run([*SLUICE, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    return done.stderr


@contextmanager
def running(environment: dict[str, str], kind: str, file: Path) -> Iterator[Path]:
    """A worker, which is asked to end after the block, and does; the file of what it says."""
    heard = file.with_suffix(f".{kind}.log")
    with heard.open("wb") as log:
        worker = subprocess.Popen([*SLUICE, "stream", kind, str(file)], env=environment, stdout=log)
        try:
            yield heard
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(timeout=60) == 0
        finally:
            worker.kill()


def test_a_pipeline_is_divided_routed_folded_and_read_by_the_command_line(
    environment: dict[str, str], file: Path, broker: Broker
) -> None:
    name, pipeline = file.stem, load_pipeline(str(file))
    made = [f"{name}.{topic}" for topic in ("payments", "disputes", "by_entity", "predictions")]
    assert said(environment, "stream", "topics", str(file), "--partitions", "2") == made
    assert "has 2 partitions, and not 3" in refused(environment, "stream", "topics", str(file), "--partitions", "3")
    assert "there is no partition 2" in refused(environment, "stream", "fold", str(file), "--partition", "2")

    with Producer(broker.bootstrap) as producer:
        send(pipeline, producer, feed(41, 300))
    heading, never = f"{name}: 2 partitions, 2 shards", [f"{name}.{shard}-of-2: not there yet" for shard in (0, 1)]
    assert said(environment, "stream", "status", str(file)) == [heading, *never]

    known = [f"{name}.{shard}-of-2: no base, 0 records behind" for shard in (0, 1)]
    with running(environment, "route", file) as routed, running(environment, "fold", file):
        wait_for(lambda: said(environment, "stream", "status", str(file)) == [heading, *known])
    told = routed.read_text()
    assert "events routed" in told
    assert "0 did not lie in the partition of their key" in told
    assert "16 events refused: type 12, json 4" in told
    streams, entities = {f"{name}.payments", f"{name}.disputes"}, f"{name}.by_entity"
    home = Path(environment["SLUICE_HOME"])
    assert runs(home, "route") == [(state, streams, {entities}) for state in ("START", "COMPLETE")]
    assert [one[:2] for one in runs(home, "fold")[-2:]] == [(state, streams) for state in ("START", "COMPLETE")]

    lines = said(environment, "features", "get", str(file), "card=3", "shop=a", "--at", "2024-02-03T04:00:00Z")
    wanted = ("spend__since_last", "traffic__count_4h")
    values = dict(line.split() for line in lines if line.strip().startswith(wanted))
    assert values == {"spend__since_last": "1928.149015", "traffic__count_4h": "35.0"}


def test_topics_with_one_partition_are_folded_by_one_process_and_have_nothing_to_route(
    environment: dict[str, str], file: Path, broker: Broker
) -> None:
    one = file.with_name(f"{file.stem}_whole.py")
    one.write_text(file.read_text().replace(f'"{file.stem}"', f'"{one.stem}"'))
    assert len(said(environment, "stream", "topics", str(one))) == 3
    assert "have one partition, of which nothing is routed" in refused(environment, "stream", "route", str(one))
    heading = f"{one.stem}: 1 partitions, 1 shards"
    assert said(environment, "stream", "status", str(one)) == [heading, f"{one.stem}: not there yet"]

    with Producer(broker.bootstrap) as producer:
        send(load_pipeline(str(one)), producer, feed(42, 50))
    known = [heading, f"{one.stem}: no base, 0 records behind"]
    with running(environment, "fold", one) as folded:
        wait_for(lambda: said(environment, "stream", "status", str(one)) == known)
    uncounted = ["2 events refused: json 1, type 1", "too late for a view: spend 3, traffic 3, risk 1"]
    assert folded.read_text().splitlines() == uncounted


def test_years_of_a_topic_are_brought_by_one_command_that_tells_how_far_it_is(place: Place, tmp_path: Path) -> None:
    topic = stream_topic(place.pipeline.name, "payments")
    total = len(produced(place, feed(44, 120)).records[topic])
    named = {"SLUICE_HOME": str(tmp_path / "home"), "SLUICE_LAKE": str(place.folder / "lake")}
    environment = {**os.environ, **named, "SLUICE_KAFKA_BOOTSTRAP": place.bootstrap}
    command = [*SLUICE, "stream", "bring", str(place.file), "payments"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"topics: {total} of {total} offsets, " in done.stderr
    assert f"topics: {total} records of {topic} are brought, 0 offsets were there before" in done.stderr
    assert place.lake.count("events/payments") == total
    told = runs(tmp_path / "home", "topics")
    assert told == [("START", set(), set()), ("COMPLETE", {topic}, {"events/payments"})]
