"""Requests per second and latency of the scoring service on loopback, behind HAProxy, and of the service alone.

Run with `python benchmarks/bench_serving.py [seconds per part]`; it starts a Ray head of its own in a temporary folder
and stops it. CPU time is that of the answering thread: on a busy machine it says more than the wall.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson

from feature_repo.fraud import pipeline
from serve import control
from serve.routing import Route, Routing
from serve.scoring import Parts, ScoringService
from sluice.clock import WallClock
from sluice.engine.places import open_store
from sluice.local import services
from sluice.local.ports import free_port
from sluice.settings import Ports, settings, variable
from sluice.stream.predictions import MemoryLog
from tests.serve.conftest import fill, payment
from tests.serve.tiny_model import make_model

CARDS, TERMINALS, PAST = 200, 400, 6_000


def main(seconds: float) -> None:
    """Print one line per part: requests per second, p50 and p99 in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        use_own_ports(home)
        fill(open_store(settings().online_uri, "fraud"), [past(number) for number in range(PAST)])
        routing = Routing({"*": Route(make_model(home / "model", pipeline))})
        alone(routing, seconds)
        try:
            services.up(["serve"])
            control.deploy("fraud", routing, log=(home / "log.jsonl").as_uri())
            for connections in (1, 4, 8):
                behind_haproxy(connections, 1, seconds)
            behind_haproxy(1, 100, seconds)
        finally:
            services.down()


def use_own_ports(home: Path) -> None:
    """Settings of a home and ports that nobody else uses."""
    os.environ["SLUICE_HOME"] = str(home)
    port = 28_000 + os.getpid() % 3_000
    for name in Ports.model_fields:
        port = free_port(port + 1)
        os.environ[variable(Ports, name)] = str(port)


def past(number: int) -> dict[str, Any]:
    """A payment of December 2025."""
    moment = f"2025-12-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00Z"
    return payment(number, event_time=moment, customer_id=number % CARDS, terminal_id=number % TERMINALS)


def request(number: int, events: int) -> bytes:
    """A request for payments of 2026-01-01."""
    places = range(number, number + events)
    found = [payment(10_000 + at, customer_id=at % CARDS, terminal_id=at % TERMINALS) for at in places]
    return orjson.dumps({"events": found})


def alone(routing: Routing, seconds: float) -> None:
    """The service in this process, without HTTP."""
    uri = settings().online_uri
    service = ScoringService(pipeline, Parts(lambda: open_store(uri, "fraud", read_only=True), MemoryLog, WallClock()))
    if not (service.open() and service.route(routing)):
        raise SystemExit(str(service.readiness()[1]))
    for events in (1, 100):
        taken = timed(lambda number, size=events: service.score(request(number, size)), seconds, time.thread_time)
        report(f"in process, {events} event(s), CPU", len(taken) / sum(taken), taken)
    service.close()


def behind_haproxy(connections: int, events: int, seconds: float) -> None:
    """Keep-alive connections that each send one request after the other."""
    found: list[list[float]] = [[] for _ in range(connections)]

    def send(place: int) -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            url = f"{settings().serve_url}/score"

            def ask(number: int) -> None:
                client.post(url, content=request(number * connections + place, events)).raise_for_status()

            found[place] = timed(ask, seconds, time.perf_counter)

    threads = [threading.Thread(target=send, args=(place,)) for place in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [each for times in found for each in times]
    report(f"HTTP, {connections} connection(s), {events} event(s)", len(taken) / (time.perf_counter() - began), taken)


def timed(work: Callable[[int], object], seconds: float, clock: Callable[[], float]) -> list[float]:
    """How long each call took, for about so many seconds of wall time, after some to warm up."""
    taken, number = [], 0
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        began = clock()
        work(number)
        taken.append(clock() - began)
        number += 1
    return taken[len(taken) // 10 :]


def report(part: str, rate: float, taken: list[float]) -> None:
    """One line of the benchmark."""
    ordered = sorted(taken)
    p50, p99 = (ordered[int(share * (len(ordered) - 1))] * 1_000 for share in (0.5, 0.99))
    print(f"{part:36} {rate:8,.0f} requests/s   p50 {p50:7.2f} ms   p99 {p99:7.2f} ms")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
