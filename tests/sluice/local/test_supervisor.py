"""Up, down and status over small real processes: idempotent, exact, and able to go on from any half-done state."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.errors import ServiceDown, UserError
from sluice.local import processes
from sluice.local.health import http
from sluice.local.ports import free_port, is_taken
from sluice.local.records import TOKEN_VARIABLE, Records
from sluice.local.service import Service
from sluice.local.supervisor import Up, bring_up, look, take_down

pytestmark = pytest.mark.integration

SERVER = """
import http.server, sys
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Quiet).serve_forever()
"""
WITH_ORPHAN = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {SERVER!r}, sys.argv[1]])
time.sleep(300)
"""


def silent(_name: str, _what: str) -> None:
    """Nobody watches."""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records(tmp_path)
    yield made
    for record in made.all():
        processes.stop(record, patience=1.0)


def server(name: str, *, program: str = SERVER, after: tuple[str, ...] = (), lowest: int = 21_000) -> Service:
    """A small web server on a free port of its own."""
    port = free_port(lowest + os.getpid() % 4_000)
    return Service(
        name=name,
        address=f"127.0.0.1:{port}",
        healthy=lambda _since: http(f"http://127.0.0.1:{port}/")[0] == 200,
        command=lambda: [sys.executable, "-c", program, str(port)],
        ports={f"SLUICE_{name.upper()}_PORT": port},
        after=after,
    )


def did(ups: list[Up]) -> list[tuple[str, str]]:
    return [(each.name, each.action) for each in ups]


def test_a_second_up_leaves_what_runs_alone(records: Records) -> None:
    web = server("web")

    assert did(bring_up([web], records, silent)) == [("web", "started")]
    first = records.read("web")
    assert did(bring_up([web], records, silent)) == [("web", "up already")]
    assert records.read("web") == first


def test_a_service_starts_when_those_it_needs_answer(records: Records) -> None:
    base = server("base")
    upper = server("upper", after=("base",), lowest=26_000)

    bring_up([base, upper], records, silent)

    begun = {record.name: record.started or 0.0 for record in records.all()}
    assert begun["base"] <= begun["upper"]
    assert [(each.name, each.state, each.healthy) for each in look([base, upper], records)] == [
        ("base", "runs", True),
        ("upper", "runs", True),
    ]


def test_status_tells_pid_memory_and_since_of_a_running_service(records: Records) -> None:
    web = server("web")
    bring_up([web], records, silent)
    record = records.read("web")
    assert record is not None

    [seen] = look([web], records)

    assert (seen.pid, seen.since, seen.address, seen.log) == (record.pid, record.started, web.address, record.log)
    assert seen.memory_mb is not None
    assert seen.memory_mb > 1.0


def test_a_service_above_a_dead_one_is_not_healthy(records: Records) -> None:
    base, upper = server("base"), server("upper", after=("base",), lowest=26_000)
    bring_up([base, upper], records, silent)

    kill(records, "base")

    assert [(each.state, each.healthy) for each in look([base, upper], records)] == [("dead", False), ("runs", False)]


def test_up_recovers_a_service_that_was_killed(records: Records) -> None:
    web = server("web")
    bring_up([web], records, silent)
    killed = kill(records, "web")

    assert did(bring_up([web], records, silent)) == [("web", "recovered")]
    revived = records.read("web")
    assert revived is not None
    assert revived.pid != killed


def test_up_clears_away_what_a_dead_service_left_on_its_port(records: Records) -> None:
    web = server("web", program=WITH_ORPHAN)
    bring_up([web], records, silent)
    kill(records, "web")
    assert web.healthy(0.0), "the orphan still answers"

    assert did(bring_up([web], records, silent)) == [("web", "recovered")]


def test_up_adopts_a_process_whose_starter_died_before_it_wrote_the_pid(records: Records) -> None:
    web = server("web")
    intent = records.intend("web", web.address)
    pid = processes.spawn(web.command(), {**os.environ, TOKEN_VARIABLE: intent.token}, Path(intent.log))

    assert did(bring_up([web], records, silent)) == [("web", "up already")]
    adopted = records.read("web")
    assert adopted is not None
    assert adopted.pid == pid


def test_up_begins_afresh_when_its_predecessor_died_before_the_process_began(records: Records) -> None:
    web = server("web")
    records.intend("web", web.address)

    assert did(bring_up([web], records, silent)) == [("web", "recovered")]


def test_a_taken_port_stops_up_before_anything_starts(records: Records) -> None:
    base, web = server("base"), server("web", lowest=26_000)
    bring_up([web], Records(records.home / "other"), silent)

    expected = rf"(?s)SLUICE_WEB_PORT: port .* is taken by pid \d+ .* of the Sluice in {records.home}/other"
    with pytest.raises(UserError, match=expected):
        bring_up([base, web], records, silent)

    assert records.all() == []
    take_down([web], Records(records.home / "other"), silent, None)


def test_a_service_that_ends_while_it_starts_is_told_with_its_last_words(records: Records) -> None:
    broken = replace(
        server("web"), command=lambda: [sys.executable, "-c", "print('first'); raise SystemExit('no disk')"]
    )

    with pytest.raises(ServiceDown, match=r"(?s)web \(.*web.log\): it ended while it started.*first.*no disk"):
        bring_up([broken], records, silent)

    assert records.all() == []


def test_what_started_beside_a_failing_service_is_kept_for_the_next_up(records: Records) -> None:
    good = server("good")
    broken = replace(server("web", lowest=26_000), command=lambda: [sys.executable, "-c", "raise SystemExit(1)"])
    with pytest.raises(ServiceDown):
        bring_up([good, broken], records, silent)

    assert [record.name for record in records.all()] == ["good"]
    mended = replace(broken, command=server("web", lowest=26_000).command)
    assert did(bring_up([good, mended], records, silent)) == [("good", "up already"), ("web", "started")]


def test_settings_that_moved_while_it_runs_are_pointed_out(records: Records) -> None:
    web = server("web")
    bring_up([web], records, silent)

    with pytest.raises(UserError, match=r"web runs at 127.0.0.1:\d+, and the settings now say 127.0.0.1:1"):
        bring_up([replace(web, address="127.0.0.1:1")], records, silent)


def test_work_that_is_done_once_leaves_no_process(records: Records, tmp_path: Path) -> None:
    made = tmp_path / "made"
    work = Service(
        name="store",
        address=str(made),
        healthy=lambda _since: made.exists(),
        command=lambda: [sys.executable, "-c", f"open({str(made)!r}, 'w').close()"],
        stays=False,
    )

    assert did(bring_up([work], records, silent)) == [("store", "started")]
    assert did(bring_up([work], records, silent)) == [("store", "up already")]
    assert records.all() == []
    assert [(each.state, each.healthy, each.pid) for each in look([work], records)] == [("ready", True, None)]


def test_work_that_ends_without_success_is_told(records: Records) -> None:
    work = replace(
        server("store"),
        command=lambda: [sys.executable, "-c", "print('half')"],
        stays=False,
        healthy=lambda _since: False,
    )

    with pytest.raises(ServiceDown, match=r"(?s)preparation ended without success.*half"):
        bring_up([work], records, silent)


def test_an_external_service_is_shown_and_neither_started_nor_stopped(records: Records) -> None:
    foreign = replace(server("web"), external=True, healthy=lambda _since: True)

    assert did(bring_up([foreign], records, silent)) == [("web", "external")]
    assert [(each.state, each.healthy) for each in look([foreign], records)] == [("external", True)]
    assert take_down([foreign], records, silent, None) == []


def test_down_stops_what_was_started_and_nothing_else(records: Records, tmp_path: Path) -> None:
    ours, theirs = server("web"), server("web", lowest=26_000)
    others = Records(tmp_path / "other")
    bring_up([ours], records, silent)
    bring_up([theirs], others, silent)

    assert take_down([ours], records, silent, None) == ["web"]

    assert not is_taken(ours.ports["SLUICE_WEB_PORT"])
    assert theirs.healthy(0.0)
    assert take_down([ours], records, silent, None) == []
    take_down([theirs], others, silent, None)


def test_down_stops_those_that_need_others_first(records: Records) -> None:
    base, upper = server("base"), server("upper", after=("base",), lowest=26_000)
    bring_up([base, upper], records, silent)
    said: list[tuple[str, str]] = []

    take_down([base, upper], records, lambda name, what: said.append((name, what)), None)

    assert said == [("upper", "stopping"), ("upper", "stopped"), ("base", "stopping"), ("base", "stopped")]


def test_down_tidies_up_after_what_it_stopped_and_only_that(records: Records) -> None:
    tidied: list[str] = []
    base = replace(server("base"), tidy=lambda: tidied.append("base"))
    web = replace(server("web", lowest=26_000), tidy=lambda: tidied.append("web"))
    bring_up([base, web], records, silent)

    take_down([base, web], records, silent, {"web"})

    assert tidied == ["web"]


def test_down_with_names_leaves_the_others(records: Records) -> None:
    base, web = server("base"), server("web", lowest=26_000)
    bring_up([base, web], records, silent)

    assert take_down([base, web], records, silent, {"web"}) == ["web"]
    assert [each.state for each in look([base, web], records)] == ["runs", "stopped"]


def kill(records: Records, name: str) -> int:
    record = records.read(name)
    assert record is not None
    assert record.pid is not None
    os.kill(record.pid, signal.SIGKILL)
    while processes.is_alive(record):
        time.sleep(0.02)
    return record.pid
