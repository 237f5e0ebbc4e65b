"""What is read and does not count is counted by those who read it, and said while they run."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.engine.store import LostPartition, MemoryStore, Partition, Position
from sluice.stream.fold import FoldConsumer, micro_batch
from sluice.stream.memory import MemoryRecord
from sluice.stream.uncounted import Tally, Uncounted, uncounted
from tests.sluice.stream.feeds import START
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit

TOPIC = "payments.payments"
NEWEST = START + 12 * HOUR
REFUSED = Uncounted({"range": 1})


def paid(offset: int, time: int = NEWEST, **changes: Any) -> MemoryRecord:
    row = {"payment_id": offset, "paid_at": rfc3339(time), "card": 1, "shop": "a", "amount": 5, "channel": "pos"}
    return MemoryRecord(TOPIC, 0, offset, NEWEST // 1000, orjson.dumps(row | changes))


def of_batch(*records: MemoryRecord) -> Uncounted:
    return uncounted(pipeline, micro_batch(pipeline, records, {}))


def test_refused_events_are_counted_by_rule() -> None:
    unreadable = MemoryRecord(TOPIC, 0, 3, 0, b"{")
    assert of_batch(paid(0), paid(1, amount=-1), paid(2, amount=-2), unreadable) == Uncounted({"range": 2, "json": 1})


def test_expired_events_are_counted_for_each_view_that_they_are_too_late_for() -> None:
    """The shop's horizon is six hours, the card's eight; the label's view, of twenty, counts them all."""
    late = [paid(offset, NEWEST - behind) for offset, behind in enumerate([0, 6 * HOUR, 6 * HOUR + 1, 8 * HOUR + 1])]
    assert of_batch(*late) == Uncounted(expired={"traffic": 2, "spend": 1})


def test_where_everything_counts_nothing_is_left_over() -> None:
    assert not of_batch(paid(0), paid(1))
    assert Uncounted().lines() == ["0 events refused", "too late for a view: none"]


def test_the_words_name_the_most_frequent_first() -> None:
    found = Uncounted({"range": 2, "json": 1_200}, {"spend": 1, "traffic": 2})
    assert found.lines() == ["1,202 events refused: json 1,200, range 2", "too late for a view: traffic 2, spend 1"]


def test_a_fold_adds_up_what_its_batches_left_out() -> None:
    fold = FoldConsumer(pipeline, MemoryStore(), bootstrap="")
    known = fold.fold([paid(0), paid(1, amount=-1)], {})
    fold.fold([paid(1, amount=-1), paid(2, amount=-1), paid(3, START)], known)
    assert fold.tally.total == Uncounted({"range": 2}, {"traffic": 1, "spend": 1})


def test_a_batch_without_effect_is_not_counted() -> None:
    store, known = MemoryStore(), dict[Partition, Position]()
    fold = FoldConsumer(pipeline, store, bootstrap="")
    FoldConsumer(pipeline, store, bootstrap="").fold([paid(0)], known)
    with pytest.raises(LostPartition):
        fold.fold([paid(0), paid(1, amount=-1)], known)
    assert not fold.tally.total


@pytest.mark.parametrize(("every_s", "lines"), [(0, ["1 event", "2 events"]), (3600, ["1 event"])])
def test_a_worker_says_it_at_once_and_then_no_more_often_than_it_should(
    caplog: pytest.LogCaptureFixture, every_s: float, lines: list[str]
) -> None:
    tally = Tally(pipeline, "payments", every_s)
    with caplog.at_level(logging.WARNING):
        for record in (paid(0, amount=-1), paid(1), paid(2, amount=-1)):
            tally.add(micro_batch(pipeline, [record], {}))
    assert [record.getMessage() for record in caplog.records] == [
        f"payments, since the start: {said} refused: range {said[0]}; too late for a view: none" for said in lines
    ]
    assert tally.total == REFUSED + REFUSED
