"""A started process is known by pid and start time, and ends with everything it began."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from sluice.local import processes
from sluice.local.records import TOKEN_VARIABLE, Record, Records

pytestmark = pytest.mark.integration

SLEEPS = "import time; time.sleep(300)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}]); time.sleep(300)"
RUNAWAY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPS!r}], start_new_session=True)"


class Starter:
    """Starts one-line programs as services, and ends them when the test is over."""

    def __init__(self, home: Path) -> None:
        self.records = Records(home)
        self.begun: list[Record] = []

    def start(self, program: str) -> Record:
        intent = self.records.intend(f"service{len(self.begun)}", "nowhere")
        environment = {**os.environ, TOKEN_VARIABLE: intent.token}
        pid = processes.spawn([sys.executable, "-c", program], environment, Path(intent.log))
        record = intent.with_process(pid, processes.start_time(pid))
        self.begun.append(record)
        return record


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Starter]:
    made = Starter(tmp_path)
    yield made
    for record in made.begun:
        for process in processes.members(record):
            process.kill()


def until(condition: object, *arguments: object) -> None:
    """Wait for a condition that is bound to come true."""
    assert callable(condition)
    while not condition(*arguments):
        time.sleep(0.05)


def test_a_process_is_alive_until_it_ends(starter: Starter) -> None:
    record = starter.start(SLEEPS)
    assert processes.is_alive(record)

    os.kill(record.pid or 0, signal.SIGKILL)
    until(lambda: not processes.is_alive(record))


def test_another_process_with_the_same_pid_is_not_ours(starter: Starter) -> None:
    record = starter.start(SLEEPS)

    before = replace(record, started=(record.started or 0.0) - 5.0)

    assert not processes.is_alive(before)


def test_a_process_without_a_written_pid_is_found_by_its_token(starter: Starter) -> None:
    record = starter.start(SLEEPS)
    cut_off = replace(record, pid=None, started=None)

    assert processes.find_started(cut_off).pid == record.pid


def test_an_intent_whose_process_never_began_stays_without_one(starter: Starter) -> None:
    intent = starter.records.intend("kafka", "127.0.0.1:1")

    assert processes.find_started(intent) == intent
    assert processes.stop(intent, patience=1.0)


def test_children_belong_to_the_service_that_began_them(starter: Starter) -> None:
    record = starter.start(PARENT)
    until(lambda: len(processes.members(record)) == 2)

    assert processes.stop(record, patience=10.0)
    assert processes.members(record) == []


def test_a_child_that_left_the_session_and_outlived_its_parent_is_ended_too(starter: Starter) -> None:
    record = starter.start(RUNAWAY)
    until(lambda: not processes.is_alive(record))
    [orphan] = processes.members(record)

    assert processes.stop(record, patience=10.0)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_a_process_that_does_not_listen_is_killed_when_the_patience_is_over(starter: Starter) -> None:
    record = starter.start(DEAF)
    until(lambda: "deaf" in Path(record.log).read_text())

    assert processes.stop(record, patience=1.0)
    assert not processes.is_alive(record)


def test_a_stranger_is_never_ended(starter: Starter) -> None:
    stranger, ours = starter.start(SLEEPS), starter.start(SLEEPS)

    processes.stop(ours, patience=10.0)

    assert processes.is_alive(stranger)


def test_memory_counts_the_children(starter: Starter) -> None:
    alone, parent = starter.start(SLEEPS), starter.start(PARENT)
    until(lambda: len(processes.members(parent)) == 2)

    assert processes.memory_mb(alone) > 1.0
    assert processes.memory_mb(parent) > processes.memory_mb(alone)


def test_output_is_appended_to_the_log_and_there_is_no_input(starter: Starter) -> None:
    program = "import sys; print('out', repr(sys.stdin.read())); print('err', file=sys.stderr)"

    record = starter.start(program)
    until(lambda: not processes.is_alive(record))

    assert sorted(Path(record.log).read_text().split("\n")) == ["", "err", "out ''"]


def test_a_log_that_grew_large_is_put_aside_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    with log.open("wb") as file:
        file.truncate(processes.LARGEST_LOG + 1)

    pid = processes.spawn([sys.executable, "-c", "print('new')"], dict(os.environ), log)
    os.waitpid(pid, 0)

    assert log.read_text() == "new\n"
    assert (tmp_path / "kafka.log.1").stat().st_size == processes.LARGEST_LOG + 1
