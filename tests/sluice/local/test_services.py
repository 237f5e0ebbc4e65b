"""The real engines: up, status and down on a home of their own, and what each engine promises while it runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sluice.local import processes, services
from sluice.local.environment import engine_environment, ray_alias
from sluice.local.ports import free_port
from sluice.local.records import Record, Records
from sluice.settings import Ports, settings, variable

pytestmark = pytest.mark.integration

NAMES = ["kafka", "prefect", "ray", "mlflow", "worker", "serve", "redis"]
LONG_AGO_MS, FAR_AHEAD_MS = 0, 4_102_444_800_000
"""1970-01-01 and 2100-01-01."""


@dataclass(frozen=True)
class Machine:
    """The embedded services of one home, running."""

    home: Path
    first: list[services.Up]

    def record(self, name: str) -> Record:
        record = Records(self.home).read(name)
        assert record is not None
        return record

    def python(self, program: str, *arguments: str) -> str:
        """What a program prints that runs as a flow, a job or a driver would, in another folder."""
        environment = {**os.environ, **engine_environment(settings())}
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    home = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(home))
        environment.setenv("SLUICE_ONLINE", "redis")
        port = 22_000 + os.getpid() % 4_000
        for name in Ports.model_fields:
            port = free_port(port + 1)
            environment.setenv(variable(Ports, name), str(port))
        settings.cache_clear()
        yield Machine(home, services.up())
        settings.cache_clear()
        services.down()
        assert [each.state for each in services.status() if each.name != "mlflow"] == ["stopped"] * 6
        assert not ray_alias(settings()).is_symlink()


def test_up_starts_every_service_and_status_says_that_they_are_well(machine: Machine) -> None:
    assert [(each.name, each.action) for each in machine.first] == [(name, "started") for name in NAMES]

    seen = {each.name: each for each in services.status()}

    assert [seen[name].healthy for name in NAMES] == [True] * 7
    assert [name for name in NAMES if seen[name].pid] == ["kafka", "prefect", "ray", "worker", "redis"]
    assert all((each.memory_mb or 0.0) > 2 for each in seen.values() if each.pid)


def test_a_second_up_changes_nothing(machine: Machine) -> None:
    before = Records(machine.home).all()

    again = services.up()

    assert [(each.name, each.action) for each in again] == [(name, "up already") for name in NAMES]
    assert Records(machine.home).all() == before


def test_nothing_listens_beyond_loopback(machine: Machine) -> None:
    ours = {process.pid for record in Records(machine.home).all() for process in processes.members(record)}
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]

    beyond = [
        each.laddr
        for each in listening
        if each.pid in ours and each.laddr and each.laddr.ip not in {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    ]

    assert len([each for each in listening if each.pid in ours]) > 8
    assert beyond == []


def test_the_broker_takes_records_of_any_time_and_keeps_that_time(machine: Machine) -> None:
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    bootstrap = settings().kafka
    create_topic("any-time")
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for moment in (FAR_AHEAD_MS, LONG_AGO_MS):
        producer.send("any-time", b"x", timestamp_ms=moment, partition=0).get(timeout=30)
    producer.close()

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([TopicPartition("any-time", 0)])
    found: list[int] = []
    while len(found) < 2:
        found += [record.timestamp for records in consumer.poll(1_000).values() for record in records]
    consumer.close()
    assert found == [FAR_AHEAD_MS, LONG_AGO_MS]


def test_runs_of_two_processes_at_once_land_below_the_home(machine: Machine) -> None:
    log = "import mlflow, sys; mlflow.set_experiment('e'); r = mlflow.start_run(); mlflow.log_text('x', 'a.txt')"
    create = "import mlflow; print(mlflow.create_experiment('e'))"
    machine.python(create)

    environment = {**os.environ, **engine_environment(settings())}
    both = [subprocess.Popen([sys.executable, "-c", log], env=environment, cwd="/") for _ in range(2)]

    assert [each.wait(timeout=300) for each in both] == [0, 0]
    assert len(list((machine.home / "mlartifacts").rglob("a.txt"))) == 2


def test_another_process_works_on_the_ray_head_and_deploys_to_serve(machine: Machine) -> None:
    deploy = """
import ray
from ray import serve

ray.init(log_to_driver=False, logging_level="ERROR", namespace="serve")

@ray.remote(num_cpus=0.1)
def answer():
    return 6 * 7

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Echo:
    async def __call__(self, request):
        return {"said": (await request.body()).decode()}

serve.run(Echo.bind(), name="echo", route_prefix="/echo")
print(ray.get(answer.remote()))
"""
    ask = "import httpx, sys; print(httpx.post(sys.argv[1], content='hello').json()['said'])"

    assert machine.python(deploy).splitlines()[-1] == "42"
    assert machine.python(ask, f"{settings().serve_url}/echo") == "hello"


def test_up_recovers_services_that_were_killed(machine: Machine) -> None:
    killed = {name: machine.record(name).pid for name in ("kafka", "ray", "worker", "redis")}
    for pid in killed.values():
        os.kill(pid or 0, signal.SIGKILL)
    while any(processes.is_alive(machine.record(name)) for name in killed):
        time.sleep(0.1)
    states = {each.name: each.state for each in services.status()}
    assert {states[name] for name in killed} == {"dead"}

    actions = {each.name: each.action for each in services.up()}

    assert {actions[name] for name in killed} == {"recovered"}
    assert (actions["prefect"], actions["mlflow"]) == ("up already", "up already")
    assert all(each.healthy for each in services.status())


def test_up_takes_over_what_a_killed_up_had_begun(machine: Machine) -> None:
    services.down(["kafka"])
    records = Records(machine.home)
    begun = subprocess.Popen([sys.executable, "-m", "sluice.cli.main", "up", "kafka"], stdout=subprocess.DEVNULL)
    while records.read("kafka") is None:
        time.sleep(0.02)
    begun.kill()
    begun.wait()

    [kafka] = services.up(["kafka"])

    assert kafka.action in {"up already", "recovered"}
    assert [each.healthy for each in services.status()] == [True] * 7


def test_topics_outlive_the_broker(machine: Machine) -> None:
    from kafka import KafkaConsumer

    create_topic("outlives")
    services.down(["kafka"])
    services.up(["kafka"])

    consumer = KafkaConsumer(bootstrap_servers=settings().kafka)
    assert "outlives" in consumer.topics()
    consumer.close()


def create_topic(name: str) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    admin = KafkaAdminClient(bootstrap_servers=settings().kafka)
    admin.create_topics([NewTopic(name, 1, 1)])
    admin.close()
