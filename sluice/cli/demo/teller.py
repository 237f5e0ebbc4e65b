"""How the demo speaks: a section for each step, what happened in numbers, and how long and how much memory it took."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import psutil
from rich.console import Console

from sluice.local import services

_EVERY_S = 1.0


@dataclass(frozen=True)
class Step:
    """One section of the story."""

    name: str
    seconds: float
    peak_mb: float


@dataclass
class Teller:
    """Tells the story and measures each of its steps."""

    console: Console = field(default_factory=lambda: Console(highlight=False))
    steps: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, why: str) -> Iterator[None]:
        """One section: its heading, and at its end the seconds and the peak of memory."""
        self.console.print(f"\n[bold]{len(self.steps) + 1}. {name}[/]  [dim]{why}[/]")
        begun = time.monotonic()
        with _Memory() as memory, self.console.status(name):
            yield
        self.steps.append(Step(name, round(time.monotonic() - begun, 1), round(memory.peak_mb)))
        self.console.print(f"   [dim]{self.steps[-1].seconds:.0f} s, {self.steps[-1].peak_mb / 1000:.1f} GB[/]")

    def say(self, text: str) -> None:
        """One line of what happened."""
        self.console.print(f"   {text}")


class _Memory:
    """Samples the memory of this process, its children and the services, shared pages counted once."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_mb = max(self.peak_mb, memory_mb())
            if self._done.wait(_EVERY_S):
                return


def memory_mb() -> float:
    """Megabytes that this process, its children and the embedded services hold now, shared pages divided."""
    own = psutil.Process(os.getpid())
    found = {process.pid: process for process in (own, *own.children(recursive=True))}
    tree = sum(_share(process) for process in found.values())
    return tree + sum(each.memory_mb or 0 for each in services.status() if each.pid not in found)


def _share(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1e6
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0.0  # it ended between being listed and being looked at
