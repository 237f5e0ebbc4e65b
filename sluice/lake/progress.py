"""How far a job has come, in lines for a person: a line every few seconds, and none of what took less."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

EVERY_S = 5.0


@dataclass(frozen=True)
class Progress:
    """Tells of steps while they run, at most every `every_s` seconds; with 0 every step is told once, at its end."""

    tell: Callable[[str], None]
    every_s: float = EVERY_S

    @contextmanager
    def step(self, name: str, total: int, rows: int, done: Callable[[], int]) -> Iterator[None]:
        """Tell of a step while the block runs; `done()` counts its finished pieces, `rows` is what all of them have."""
        begun, first, ended = time.monotonic(), done(), threading.Event()

        def told() -> str:
            return line(name, done(), first, total, rows, time.monotonic() - begun)

        def watch() -> None:
            while not ended.wait(self.every_s):
                self.tell(told())

        watcher = threading.Thread(target=watch, daemon=True)
        if self.every_s:
            watcher.start()
        try:
            yield
        finally:
            ended.set()
            if self.every_s:
                watcher.join()
        if time.monotonic() - begun >= self.every_s:
            self.tell(told())


def line(name: str, done: int, first: int, total: int, rows: int, seconds: float) -> str:
    """One line: of `total` pieces with `rows` in all `done` are finished, `first` of them before these `seconds`.

    >>> line("compute", 48, 16, 64, 6_400_000, 32)
    'compute: 48 of 64 pieces, about 4,800,000 of 6,400,000 rows, 100,000 rows/s, 16 s left'
    """
    told = [f"{name}: {done:,} of {total:,} pieces", f"about {rows * done // max(1, total):,} of {rows:,} rows"]
    fresh = done - first
    if fresh > 0 and seconds > 0:
        told.append(f"{int(rows * fresh / max(1, total) / seconds):,} rows/s")
        if done < total:
            told.append(f"{(total - done) * seconds / fresh:,.0f} s left")
    return ", ".join(told)
