"""The real Ray Serve behind HAProxy: models are swapped under traffic, a broken one is refused, nothing is lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

from feature_repo.fraud import pipeline
from serve import control
from serve.routing import Model, Route, Routing
from sluice.engine.places import open_store
from sluice.engine.vectors import unpack
from sluice.errors import DataError
from sluice.lake.tables import Lake
from sluice.local import processes, services
from sluice.local.ports import free_port
from sluice.local.records import Records
from sluice.scoring import MODEL_FILE
from sluice.settings import Ports, settings, variable
from sluice.stream.predictions import prediction_row
from tests.serve.conftest import fill, payment
from tests.serve.test_tables import VERSIONS, write
from tests.serve.tiny_model import make_model
from tests.sluice.stream import priced

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Serving:
    """Serve on its own head, with a model of version 1 for all segments and a challenger of version 2."""

    home: Path
    one: Model
    two: Model
    log: Path

    def deploy(self, routing: Routing) -> control.Serving:
        return control.deploy("fraud", routing, log=self.log.as_uri())


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    home, before = tmp_path_factory.mktemp("serving"), dict(os.environ)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(home))
        port = 27_000 + os.getpid() % 4_000
        for name in Ports.model_fields:
            port = free_port(port + 1)
            environment.setenv(variable(Ports, name), str(port))
        settings.cache_clear()
        fill(open_store(settings().online_uri, "fraud"), [past(number) for number in range(300)])
        models = [make_model(home / "models" / str(n), pipeline, "*", n, bias=float(n - 1)) for n in (1, 2)]
        try:
            services.up(["serve"])
            ready = Serving(home, models[0], models[1], home / "log.jsonl")
            ready.deploy(Routing({"*": Route(ready.one)}))
            yield ready
        finally:
            settings.cache_clear()
            services.down()
    os.environ.clear()  # a driver of Ray takes the engines' whole environment
    os.environ.update(before)


def past(number: int) -> dict[str, object]:
    time = f"2025-12-{1 + number % 28:02}T{number % 24:02}:00:00Z"
    return payment(number, event_time=time, customer_id=number % 20, terminal_id=number % 30)


@dataclass
class Traffic:
    """Requests one after the other from a thread, until told to stop."""

    first: int
    answers: list[tuple[int, str]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not self.stopped.is_set():
                number = self.first + len(self.answers)
                event = payment(number, customer_id=number % 20)
                reply = client.post(f"{settings().serve_url}/score", json={"events": [event]})
                self.answers.append((reply.status_code, reply.json()["results"][0]["version"]))

    def wait_for(self, more: int) -> None:
        """Until so many more requests have been answered."""
        goal, deadline = len(self.answers) + more, time.monotonic() + 120
        while len(self.answers) < goal:
            assert time.monotonic() < deadline, f"{len(self.answers)} of {goal} answered"
            time.sleep(0.01)


def rows(serving: Serving, first: int, count: int) -> list[dict[str, object]]:
    """The log's rows about these events, when the log has caught up with them."""
    wanted, deadline = {str(number) for number in range(first, first + count)}, time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = serving.log.read_bytes().splitlines() if serving.log.exists() else []
        found = [row for row in map(prediction_row, lines, range(len(lines))) if row["event_id"] in wanted]
        if {row["event_id"] for row in found if row["role"] != "shadow"} == wanted:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{len(found)} rows of {count} answers are logged")


def test_models_are_swapped_in_place_under_traffic_and_no_request_fails(serving: Serving) -> None:
    replica = (control.current() or {})["replica"]
    traffic = Traffic(100_000)
    thread = threading.Thread(target=traffic.run)
    thread.start()
    try:
        for routing in (
            Routing({"*": Route(serving.one, serving.two)}),
            Routing({"*": Route(serving.one, serving.two, 0.5)}),
            Routing({"*": Route(serving.two)}),
            Routing({"*": Route(serving.one)}),
        ):
            traffic.wait_for(15)
            state = serving.deploy(routing).state
            assert (state["routing"], state["replica"]) == (routing.version, replica)
        traffic.wait_for(15)
    finally:
        traffic.stopped.set()
        thread.join()
    assert {status for status, _ in traffic.answers} == {200}
    versions = [version for _, version in traffic.answers]
    assert (versions[0], versions[-1], set(versions)) == ("1", "1", {"1", "2"})
    logged = rows(serving, 100_000, len(versions))
    told = {row["event_id"]: row["version"] for row in logged if row["role"] != "shadow"}
    assert [told[str(100_000 + place)] for place in range(len(versions))] == versions
    assert {row["version"] for row in logged if row["role"] == "shadow"} == {"1", "2"}


def test_a_routing_with_a_broken_model_is_refused_and_the_one_before_goes_on(serving: Serving) -> None:
    before = serving.deploy(Routing({"*": Route(serving.one)})).state
    broken = make_model(serving.home / "models" / "broken", pipeline, "*", 3)
    (broken.path / MODEL_FILE).write_bytes(b"not a model")
    with pytest.raises(DataError, match="the routing is refused"):
        serving.deploy(Routing({"*": Route(serving.one, broken)}))
    deadline = time.monotonic() + 60
    while (control.current() or {}).get("refused") is not None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert control.current() == before


def test_a_model_of_another_definition_never_reaches_the_service(serving: Serving) -> None:
    with pytest.raises(DataError, match="trained on definition other"):
        serving.deploy(Routing({"*": Route(replace(serving.one, definition="other"))}))


def test_bad_input_is_refused_through_the_whole_front(serving: Serving) -> None:
    url = f"{settings().serve_url}/score"
    with httpx.Client(trust_env=False, timeout=60) as client:
        assert client.post(url, content=b"\xff").status_code == 400
        reply = client.post(url, json={"events": [payment(1), payment(2, channel="moon")]})
        assert (reply.status_code, reply.json()["errors"][0]["index"]) == (422, 1)
        assert client.get(f"{settings().serve_url}/health").json() == {"status": "ok"}
        assert client.get(f"{settings().serve_url}/openapi.json").status_code == 200


def test_no_process_of_the_service_listens_beyond_loopback(serving: Serving) -> None:
    ours = {process.pid for record in Records(serving.home).all() for process in processes.members(record)}
    beyond = [
        (psutil.Process(each.pid).name(), each.laddr)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.pid in ours and each.laddr.ip not in LOOPBACK
    ]
    assert beyond == []


def test_a_pipeline_with_tables_answers_by_what_the_lake_holds(serving: Serving) -> None:
    """Last, since it replaces the replicas by those of another pipeline."""
    lake = Lake(settings().places.lake_uri, priced.pipeline.name)
    for table, held in priced.ROWS.items():
        write(lake, table, held)
    open_store(settings().online_uri, priced.pipeline.name).close()
    model = make_model(serving.home / "models" / "priced", priced.pipeline, "*", 1)
    log = serving.home / "priced.jsonl"
    state = control.deploy(str(Path(priced.__file__)), Routing({"*": Route(model)}), log=log.as_uri()).state
    assert (state["pipeline"], state["tables"]) == ("priced", VERSIONS)
    event = {"payment_id": 7, "paid_at": "2024-02-04T01:00:00Z", "card": 3, "shop": "a", "amount": 12.5}
    with httpx.Client(trust_env=False, timeout=60) as client:
        asked = {"events": [{**event, "channel": "pos", "country": "FR"}]}
        assert client.post(f"{settings().serve_url}/score", json=asked).status_code == 200
    (row,) = rows(replace(serving, log=log), 7, 1)
    values, valid = unpack(priced.pipeline, [row["vector"]])["calendar__is_holiday"]
    assert (orjson.loads(row["knowledge"])["tables"], values[0], valid[0]) == (VERSIONS, 1.0, True)


LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
