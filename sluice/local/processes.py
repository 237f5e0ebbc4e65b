"""Child processes: started apart from us, found again by pid and start time, stopped with everything they began."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from sluice.local.pauses import pauses
from sluice.local.records import TOKEN_VARIABLE, Record

LARGEST_LOG = 20_000_000
"""Bytes; a log that is larger when its service starts is put aside as `<name>.log.1`."""
SAME_START = 1.0
"""Seconds by which two readings of one start time may differ: psutil adds ticks to the boot time."""

POLL = 0.2
"""Most seconds between two looks at whether all of a service is gone; a look goes through every process there is."""
ORPHANS_END_IN = 2.0
"""Seconds that the children of a process that is gone may take to follow it."""
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores these; a child that inherited that would not die of a closed pipe."""


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
    """Start a process in a session of its own, without input, output appended to the log; the pid."""
    _make_room(log)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    streams = [no_input, (os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    program, arguments = command[0], list(command)
    try:
        return os.posix_spawn(
            program, arguments, dict(environment), file_actions=streams, setsid=True, setsigdef=_RESTORED
        )
    finally:
        os.close(output)


def start_time(pid: int) -> float:
    """When a process was created, Unix seconds."""
    return float(psutil.Process(pid).create_time())


def is_alive(record: Record) -> bool:
    """Whether the recorded process still runs: the pid exists and was created when the record says."""
    return record.pid is not None and record.started is not None and is_running(record.pid, record.started)


def is_running(pid: int, started: float) -> bool:
    """Whether a process runs that was created at a time, and not another that got its pid."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            _reap(pid)
            return False
        return bool(abs(process.create_time() - started) < SAME_START)
    except psutil.NoSuchProcess:
        return False


def find_started(record: Record) -> Record:
    """The record with its process, when a start was cut off before the pid was written; else the record itself."""
    if record.pid is not None:
        return record
    leaders = [process for process in _holders(record.token) if _session(process.pid) == process.pid]
    first = min(leaders, key=lambda process: float(process.create_time()), default=None)
    return record.with_process(first.pid, first.create_time()) if first else record


def members(record: Record) -> list[psutil.Process]:
    """Every living process that the service began, but this one: its session, and whatever carries its token."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [process for process in others if _belongs(process, record)]


def stop(record: Record, *, patience: float) -> bool:
    """End a service and all it began, asked twice within the patience in seconds, then killed; False if some live."""
    for attempt, wait in (("ask", patience / 2), ("ask again", patience / 2), ("kill", 10.0)):
        remaining = members(record)
        for process in _addressees(record, remaining, attempt):
            _signal(process, signal.SIGKILL if attempt == "kill" else signal.SIGTERM)
        if _all_gone(record, wait):
            return True
    return False


def memory_mb(record: Record) -> float:
    """Megabytes that the service holds alone plus its share of what it holds with others (PSS)."""
    return sum(_share_mb(process) for process in members(record))


def token_of(pid: int) -> str | None:
    """The token of the start that a process descends from, if it descends from one."""
    try:
        return psutil.Process(pid).environ().get(TOKEN_VARIABLE)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _addressees(record: Record, remaining: list[psutil.Process], attempt: str) -> list[psutil.Process]:
    """The main process ends its children in good order, so it is asked first, and the rest when it is gone."""
    main = [process for process in remaining if process.pid == record.pid]
    return main if main and attempt == "ask" else remaining


def _all_gone(record: Record, wait: float) -> bool:
    """Whether nothing is left within the wait; orphans that do not follow the main process end it early."""
    deadline, waits = time.monotonic() + wait, pauses(POLL)
    while members(record):
        if not is_alive(record):
            deadline = min(deadline, time.monotonic() + ORPHANS_END_IN)
        if time.monotonic() > deadline:
            return False
        time.sleep(next(waits))
    return True


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _belongs(process: psutil.Process, record: Record) -> bool:
    in_session = record.pid is not None and _session(process.pid) == record.pid
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            if in_session:
                _reap(process.pid)
            return False
        if in_session:
            return bool(process.create_time() > (record.started or 0.0) - SAME_START)
    except psutil.NoSuchProcess:
        return False
    return token_of(process.pid) == record.token


def _holders(token: str) -> Iterator[psutil.Process]:
    return (process for process in psutil.process_iter() if token_of(process.pid) == token)


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _reap(pid: int) -> None:
    """Let a dead child of this very process go; another's child is not ours to wait for."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _share_mb(process: psutil.Process) -> float:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0
    return float(getattr(memory, "pss", memory.rss)) / 1e6


def _make_room(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_name(f"{log.name}.1"))
