"""Brings services up, takes them down and looks at them, given as values; knows none of them by name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sluice.errors import Outage, ServiceDown, UserError
from sluice.local import processes
from sluice.local.pauses import pauses
from sluice.local.ports import refuse_taken
from sluice.local.records import TOKEN_VARIABLE, Record, Records
from sluice.local.service import Service

START_PATIENCE = 180.0
"""Seconds until a service that runs but does not answer counts as failed; ten times what a cold start takes."""
POLL = 0.25
"""Most seconds between two questions whether a service answers; asking costs processor time that the start needs."""
STOP_PATIENCE = 30.0
"""Seconds until a service that was asked to end is killed."""

Action = Literal["started", "recovered", "up already", "external"]
Progress = Callable[[str, str], None]
"""Told a service's name and what happens to it now."""


@dataclass(frozen=True, slots=True)
class Up:
    """What `up` did about one service."""

    name: str
    address: str
    action: Action
    seconds: float


@dataclass(frozen=True, slots=True)
class Status:
    """One service as it is now."""

    name: str
    address: str
    state: Literal["runs", "stopped", "dead", "ready", "external"]
    healthy: bool
    pid: int | None = None
    memory_mb: float | None = None
    since: float | None = None
    """When its process was created, Unix seconds."""
    log: str | None = None


def bring_up(services: Sequence[Service], records: Records, progress: Progress) -> list[Up]:
    """Make every service run and answer, each as soon as those it needs do; what a killed run left is cleared first.

    UserError for a taken port, ServiceDown for a service that ends or does not answer.
    """
    with records.alone():
        recovered = _clear_away_dead(services, records)
        _refuse_moved(services, records)
        _refuse_taken_ports(services, records)
        return _Start(records, progress, recovered).all(services)


def take_down(services: Sequence[Service], records: Records, progress: Progress, names: set[str] | None) -> list[str]:
    """Stop the named services (None: all) that were started, those that need others first; the names stopped."""
    with records.alone():
        found = [processes.find_started(record) for record in records.all() if names is None or record.name in names]
        needing = {service.name for service in services if service.after}
        _stop_together([record for record in found if record.name in needing], records, progress)
        _stop_together([record for record in found if record.name not in needing], records, progress)
        stopped = [record.name for record in found]
        for service in services:
            if service.name in stopped:
                service.tidy()
        return stopped


def look(services: Sequence[Service], records: Records) -> list[Status]:
    """Every service as it is now; one that needs an unhealthy one is not healthy either."""
    with ThreadPoolExecutor(len(services)) as pool:
        seen = list(pool.map(lambda service: _seen(service, records.read(service.name)), services))
    unwell = {each.name for each in seen if not each.healthy}
    return [_with_needs(each, service, unwell) for each, service in zip(seen, services, strict=True)]


class _Start:
    """One run of `up`: every service in a thread of its own, which waits for those that the service needs."""

    def __init__(self, records: Records, progress: Progress, recovered: set[str]) -> None:
        self._records = records
        self._progress = progress
        self._recovered = recovered
        self._called_off = threading.Event()
        self._begun: dict[str, Future[Up]] = {}

    def all(self, services: Sequence[Service]) -> list[Up]:
        with ThreadPoolExecutor(len(services)) as pool:
            for service in services:
                self._begun[service.name] = pool.submit(self._bring_up, service)
            try:
                done, _ = wait(self._begun.values(), return_when=FIRST_EXCEPTION)
                failed = [future for future in self._begun.values() if future in done and future.exception()]
                return [future.result() for future in failed or self._begun.values()]
            finally:
                self._called_off.set()

    def _bring_up(self, service: Service) -> Up:
        for name in service.after:
            self._begun[name].result()
        begun = time.monotonic()
        action = self._ensure(service)
        self._progress(service.name, f"{action}, {service.address}")
        return Up(service.name, service.address, action, time.monotonic() - begun)

    def _ensure(self, service: Service) -> Action:
        if service.external:
            return "external"
        record = self._records.read(service.name)
        if record is None and not service.stays and service.healthy(0.0):
            return "up already"
        if record is not None:
            self._wait(service, record)
            return "up already"
        self._wait(service, self._launch(service))
        return "recovered" if service.name in self._recovered else "started"

    def _launch(self, service: Service) -> Record:
        self._progress(service.name, "starting")
        command = service.command()
        intent = self._records.intend(service.name, service.address)
        environment = {**os.environ, **service.environment, TOKEN_VARIABLE: intent.token}
        pid = processes.spawn(command, environment, Path(intent.log))
        record = intent.with_process(pid, processes.start_time(pid))
        self._records.write(record)
        return record

    def _wait(self, service: Service, record: Record) -> None:
        deadline, waits = time.monotonic() + START_PATIENCE, pauses(POLL)
        while not self._is_ready(service, record):
            if self._called_off.is_set():
                raise Outage("the start was called off", where=service.name)
            if service.stays and not processes.is_alive(record):
                self._give_up(record, "it ended while it started")
            if time.monotonic() > deadline:
                self._give_up(record, f"it does not answer after {START_PATIENCE:.0f} s")
            time.sleep(next(waits))

    def _is_ready(self, service: Service, record: Record) -> bool:
        if service.stays:
            return processes.is_alive(record) and service.healthy(record.started or 0.0)
        if processes.is_alive(record):
            return False
        if not service.healthy(0.0):
            self._give_up(record, "its preparation ended without success")
        self._records.forget(service.name)
        return True

    def _give_up(self, record: Record, what: str) -> None:
        """Stop what is left of it, so that the next `up` begins afresh, and say why."""
        processes.stop(record, patience=STOP_PATIENCE)
        self._records.forget(record.name)
        raise ServiceDown(
            f"{what}; its last words:\n    {_last_words(Path(record.log))}",
            where=f"{record.name} ({record.log})",
            next_step="mend what it says, then `sluice up` again",
        )


def _clear_away_dead(services: Iterable[Service], records: Records) -> set[str]:
    """Adopt what a killed run left running, and stop what a dead service left behind; the names of the dead ones."""
    dead: set[str] = set()
    for service in services:
        record = records.read(service.name)
        if record is None:
            continue
        record = processes.find_started(record)
        if processes.is_alive(record):
            records.write(record)
        else:
            processes.stop(record, patience=STOP_PATIENCE)
            records.forget(service.name)
            dead.add(service.name)
    return dead


def _refuse_moved(services: Iterable[Service], records: Records) -> None:
    for service in services:
        record = records.read(service.name)
        if record is not None and record.address != service.address:
            raise UserError(
                f"{service.name} runs at {record.address}, and the settings now say {service.address}",
                where=str(records.home),
                next_step="`sluice down` with the old settings or these, then `sluice up`",
            )


def _refuse_taken_ports(services: Iterable[Service], records: Records) -> None:
    for service in services:
        if not service.external and records.read(service.name) is None:
            refuse_taken(service.ports)


def _stop_together(stopping: Sequence[Record], records: Records, progress: Progress) -> None:
    if not stopping:
        return
    with ThreadPoolExecutor(len(stopping)) as pool:
        for _ in pool.map(lambda record: _stop(record, records, progress), stopping):
            pass


def _stop(record: Record, records: Records, progress: Progress) -> None:
    progress(record.name, "stopping")
    if not processes.stop(record, patience=STOP_PATIENCE):
        left = ", ".join(str(process.pid) for process in processes.members(record))
        raise Outage("it does not end, even killed", where=f"{record.name}, pid {left}", next_step="sluice down")
    records.forget(record.name)
    progress(record.name, "stopped")


def _seen(service: Service, record: Record | None) -> Status:
    if service.external:
        return Status(service.name, service.address, "external", service.healthy(0.0))
    if not service.stays:
        healthy = service.healthy(0.0)
        return Status(service.name, service.address, "ready" if healthy else "stopped", healthy)
    if record is None:
        return Status(service.name, service.address, "stopped", healthy=False)
    if not processes.is_alive(record):
        return Status(service.name, record.address, "dead", healthy=False, log=record.log)
    return Status(
        service.name,
        record.address,
        "runs",
        service.healthy(record.started or 0.0),
        record.pid,
        processes.memory_mb(record),
        record.started,
        record.log,
    )


def _with_needs(each: Status, service: Service, unwell: set[str]) -> Status:
    if each.healthy and set(service.after) & unwell:
        return replace(each, healthy=False, state=each.state if service.stays else "stopped")
    return each


def _last_words(log: Path, lines: int = 8) -> str:
    text = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return "\n    ".join(text[-lines:]) or "(none)"
