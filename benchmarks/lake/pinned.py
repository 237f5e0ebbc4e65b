"""Which core is whose: ours for the fold and the archive, the other for the broker, whose work would be elsewhere."""

from __future__ import annotations

import os

import psutil

OURS, THEIRS = 1, 0


def pin(core: int) -> None:
    """Keep this thread, and those that it starts, on one core."""
    os.sched_setaffinity(0, {core})


def pin_broker() -> None:
    """Keep the broker off our core."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "java" and "kafka.Kafka" in (process.info["cmdline"] or []):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, {THEIRS})
