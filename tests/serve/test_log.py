from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from serve.log import FileLog, LogDesk, open_log
from sluice.errors import UserError
from sluice.stream.predictions import MemoryLog, Prediction, prediction_row

pytestmark = pytest.mark.unit


def prediction(number: int) -> Prediction:
    return Prediction(
        request_id=f"r{number}",
        event_id=str(number),
        event_time=1,
        answered=2,
        request={"amount": 1.5},
        keys={"card": 3},
        knowledge={"base": 0, "positions": {}},
        definition="d",
        segment="pos",
        model="m",
        version="1",
        role="champion",
        score=0.25,
        decision="approve",
        degraded=False,
        vector=b"\x00\xff",
        latency_us=9,
    )


def test_what_was_left_is_in_the_log_in_order_when_the_desk_has_closed() -> None:
    log, lost = MemoryLog(), list[int]()
    desk = LogDesk(log, lost.append)
    for number in range(200):
        desk.submit(lambda number=number: [prediction(number)], 1)  # type: ignore[misc]
    desk.close()
    assert [row.request_id for row in log.written] == [f"r{number}" for number in range(200)]
    assert lost == []


def test_work_that_fails_is_counted_and_the_rest_is_logged() -> None:
    log, lost = MemoryLog(), list[int]()
    desk = LogDesk(log, lost.append)
    desk.submit(lambda: [1 / 0], 3)  # type: ignore[list-item]
    desk.submit(lambda: [prediction(1)], 1)
    desk.close()
    assert lost == [3]
    assert len(log.written) == 1


class BlockedLog(MemoryLog):
    """A log whose writes wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.writing, self.go = threading.Event(), threading.Event()

    def write(self, predictions: Iterable[Prediction]) -> None:
        self.writing.set()
        self.go.wait(30)
        super().write(predictions)


def test_a_full_desk_loses_and_counts_rather_than_wait() -> None:
    log, lost = BlockedLog(), list[int]()
    desk = LogDesk(log, lost.append, capacity=2)
    desk.submit(lambda: [prediction(0)], 1)
    assert log.writing.wait(30)
    for number in (1, 2, 3):
        desk.submit(lambda number=number: [prediction(number)], 1)  # type: ignore[misc]
    assert lost == [1]
    log.go.set()
    desk.close()
    assert [row.request_id for row in log.written] == ["r0", "r1", "r2"]


def test_a_file_keeps_the_records_of_the_topic(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "log.jsonl"
    for number in (1, 2):
        log = open_log(place.as_uri(), "fraud")
        assert isinstance(log, FileLog)
        log.write([prediction(number)])
        log.close()
    rows = [prediction_row(line, at) for at, line in enumerate(place.read_bytes().splitlines())]
    assert [(row["request_id"], row["vector"], row["position"]) for row in rows] == [
        ("r1", b"\x00\xff", 0),
        ("r2", b"\x00\xff", 1),
    ]
    assert orjson.loads(rows[0]["request"]) == {"amount": 1.5}


def test_a_log_elsewhere_is_refused() -> None:
    with pytest.raises(UserError, match="no log of predictions"):
        open_log("https://example.org", "fraud")
