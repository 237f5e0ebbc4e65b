"""The way to the log of predictions: off the path of the answer, bounded, and counted where it loses."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlparse

from sluice.errors import UserError
from sluice.stream.predictions import KafkaLog, Prediction, PredictionLog, encode_prediction

logger = logging.getLogger(__name__)

CAPACITY = 10_000
"""Requests that may wait for the log; beyond them answers go out unlogged and are counted."""
_LOOK_S = 0.005
Work = Callable[[], Sequence[Prediction]]


class FileLog:
    """Answers as lines of JSON in a file, as they would stand in the topic: for a service without Kafka."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = path.open("ab")

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Hand over answers."""
        self._file.writelines(encode_prediction(prediction) + b"\n" for prediction in predictions)
        self._file.flush()

    def close(self) -> None:
        """Wait until everything is stored."""
        self._file.close()


def open_log(uri: str, pipeline: str) -> PredictionLog:
    """The log at `kafka://host:port` (ServiceDown if it is down) or `file:///path.jsonl`; else UserError."""
    parsed = urlparse(uri)
    if parsed.scheme == "kafka":
        return KafkaLog(parsed.netloc, pipeline)
    if parsed.scheme == "file":
        return FileLog(Path(unquote(parsed.path)))
    raise UserError(f"no log of predictions at {uri!r}", allowed=["kafka://host:port", "file:///path.jsonl"])


class LogDesk:
    """Takes work that ends in rows of the log, and does it in a thread of its own, in order.

    The thread looks for work every few milliseconds instead of being woken: waking it would make it compete with the
    very answer whose row it is to write.
    """

    def __init__(self, log: PredictionLog, lost: Callable[[int], None], *, capacity: int = CAPACITY) -> None:
        self._log = log
        self._lost = lost
        self._capacity = capacity
        self._waiting: deque[tuple[Work, int]] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def submit(self, work: Work, rows: int) -> None:
        """Leave work that makes about so many rows; without room it is dropped and counted, and nobody waits."""
        if len(self._waiting) < self._capacity:
            self._waiting.append((work, rows))
        else:
            self._lost(rows)

    def close(self) -> None:
        """Finish what waits and flush the log."""
        self._closing.set()
        self._thread.join()
        self._log.close()

    def _run(self) -> None:
        while not self._closing.wait(_LOOK_S):
            self._work()
        self._work()

    def _work(self) -> None:
        while self._waiting:
            work, rows = self._waiting.popleft()
            try:
                self._log.write(work())
            except Exception:  # one bad row must not end the log of all others; it is counted and told
                logger.exception("%d predictions could not be logged", rows)
                self._lost(rows)
