"""A scripted history: of each event that a vector did not know, the audit says why, and what it would have changed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR, MINUTE
from sluice.engine.sqlite import SqliteStore
from sluice.monitor.staleness import Steps, causes_of
from tests.sluice.monitor.serving import Serving
from tests.sluice.stream.feeds import START, Message
from tests.sluice.stream.histories import History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

OLD = {"payment_id": 1, "paid_at": rfc3339(START), "card": 1, "shop": "a", "bank": None, "amount": 10}
OLD |= {"channel": "pos", "country": "DE"}
ELSEWHERE = {"dispute_id": 0, "disputed_at": rfc3339(START), "payment_id": 10**6, "is_fraud": 0, "bank": None}


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """A service that knows one payment of a file, 10 at midnight, and a dispute about another one."""
    history = History(tmp_path, pipeline)
    told = {"payments": OLD, "disputes": ELSEWHERE}
    history.deliver("files", [Message(stream, orjson.dumps(row), START) for stream, row in told.items()])
    store = SqliteStore(tmp_path / "online.db")
    history.load(store)
    return Serving(history, store, random.Random(1))


def paid(number: int, at: str, amount: int, known: str, *, card: int = 1, **headers: str) -> Message:
    """A payment at a time of the day, `hh:mm`, that is produced at another."""
    row = {**OLD, "payment_id": number, "paid_at": rfc3339(moment(at)), "card": card, "amount": amount}
    row |= {"shop": "a" if card == 1 else "z"}
    return Message(
        "payments", orjson.dumps(row), moment(known), [(name, text.encode()) for name, text in headers.items()]
    )


def moment(clock: str) -> int:
    hours, minutes = map(int, clock.split(":"))
    return START + hours * HOUR + minutes * MINUTE


def ask(serving: Serving, at: str, card: int = 1) -> None:
    """A request about a payment of 100."""
    shop = "a" if card == 1 else "y"
    serving.serve(
        [{**OLD, "payment_id": 99, "paid_at": rfc3339(moment(at)), "card": card, "shop": shop, "amount": 100}]
    )


def stale(serving: Serving) -> list[dict[str, Steps]]:
    """The stale features of every vector served, in the order of serving; none of them differs from what it knew."""
    found = sorted(serving.audit(), key=lambda item: item.served.request_id)
    assert [item.differences for item in found] == [{}] * len(found)
    return [dict(item.stale) for item in found]


def causes(found: dict[str, Steps]) -> set[str]:
    return {cause for steps in found.values() for cause, _, _ in causes_of(steps)}


def test_late_pending_expired_and_corrected_events_are_told_apart_and_each_by_what_it_changes(serving: Serving) -> None:
    serving.fold([paid(2, "01:10", 20, known="01:10")])
    pending = paid(3, "01:30", 40, known="01:30")
    serving.history.produce([pending])
    ask(serving, "02:00")
    ask(serving, "02:00", card=3)
    serving.history.produce(
        [
            paid(4, "01:15", 80, known="03:00"),
            paid(2, "01:10", 25, known="03:30", _revision="1"),
            paid(9, "12:00", 1, known="12:00", card=2),
            paid(5, "01:45", 160, known="12:30"),  # behind the newest by more than 8 hours, the horizon of `spend`
        ]
    )

    first, other = stale(serving)

    assert other == {}
    assert first == {
        # known: 10 and 20 of old and 100 of its own; pending: 40; then 80, and 25 for 20; expired: 160
        "spend__count_1h": (2.0, 3.0, 4.0, 5.0),
        "spend__count_6h": (3.0, 4.0, 5.0, 6.0),
        "spend__mean_amount_6h": (130 / 3, 170 / 4, 255 / 5, 415 / 6),
        "spend__sum_amount_1h": (120.0, 160.0, 245.0, 405.0),
        "spend__since_last": (3000.0, 1800.0, 1800.0, 900.0),
        # the shop's payments, without the request's own
        "traffic__count_1h": (1.0, 2.0, 3.0, 4.0),
        "traffic__count_4h": (2.0, 3.0, 4.0, 5.0),
        "traffic__mean_amount_4h": (15.0, 70 / 3, 155 / 4, 63.0),
        "moment__amount_per_spend_mean_amount_6h": (
            100 / (130 / 3),
            100 / (170 / 4),
            100 / (255 / 5),
            100 / (415 / 6),
        ),
    }


@pytest.mark.parametrize(
    ("known", "folded", "cause", "steps"),
    [
        ("01:50", False, "pending", (20.0, 30.0, 30.0, 30.0)),
        ("02:01", False, "lateness", (20.0, 20.0, 30.0, 30.0)),
        ("02:00", False, "pending", (20.0, 30.0, 30.0, 30.0)),
        ("01:50", True, None, None),
    ],
    ids=["on its way", "after the request", "at its very moment", "folded"],
)
def test_a_correction_is_pending_or_late_by_when_it_was_known(
    serving: Serving, known: str, folded: bool, cause: str | None, steps: Steps | None
) -> None:
    serving.fold([paid(2, "01:10", 20, known="01:10")])
    correction = paid(2, "01:10", 30, known=known, _revision="1")
    if folded:
        serving.fold([correction])
        ask(serving, "02:00")
    else:
        ask(serving, "02:00")
        serving.history.produce([correction])

    (found,) = stale(serving)

    assert causes(found) == ({cause} if cause else set())
    assert found.get("traffic__mean_amount_4h") == (None if steps is None else tuple((10 + step) / 2 for step in steps))


def test_a_delete_that_comes_later_takes_away_what_was_known(serving: Serving) -> None:
    serving.fold([paid(2, "01:10", 20, known="01:10")])
    ask(serving, "02:00")
    serving.history.produce([paid(2, "01:10", 20, known="03:00", _revision="1", _op="delete")])

    (found,) = stale(serving)

    assert causes(found) == {"lateness"}
    assert found["traffic__count_4h"] == (2.0, 2.0, 1.0, 1.0)
    assert found["traffic__mean_amount_4h"] == (15.0, 15.0, 10.0, 10.0)


def test_a_file_that_was_published_after_the_base_was_pending_for_what_its_rule_says_was_known(
    serving: Serving,
) -> None:
    ask(serving, "02:00")
    serving.history.deliver("later", [paid(2, "01:10", 20, known="04:00"), paid(3, "02:30", 40, known="04:00")])

    (found,) = stale(serving)

    assert causes(found) == {"pending"}
    assert found["spend__count_6h"] == (2.0, 3.0, 3.0, 3.0)


def test_what_is_in_the_base_is_known_whatever_its_offset(serving: Serving) -> None:
    serving.history.produce([paid(2, "01:10", 20, known="01:10")])
    serving.restart()
    ask(serving, "02:00")

    assert stale(serving) == [{}]


def test_a_label_is_late_for_a_request_before_it_was_told_and_pending_for_one_after(serving: Serving) -> None:
    dispute = {"dispute_id": 1, "disputed_at": rfc3339(moment("11:00")), "payment_id": 1, "is_fraud": 1, "bank": None}
    ask(serving, "11:30")
    serving.history.produce([Message("disputes", orjson.dumps(dispute), moment("11:40"))])
    ask(serving, "11:45")

    first, second = stale(serving)

    assert (causes(first), causes(second)) == ({"lateness"}, {"pending"})
    assert second["risk__share_is_fraud_2h"] == (0.0, 1.0, 1.0, 1.0)
    assert first["reports__count_3h"] == (0.0, 0.0, 1.0, 1.0)
    # what was told after a request never counts for it, however much is known by now
    assert "risk__share_is_fraud_2h" not in first


def test_a_service_that_knows_nothing_is_stale_by_everything_there_was(tmp_path: Path, serving: Serving) -> None:
    serving.history.produce([paid(2, "01:10", 20, known="01:10")])
    empty = Serving(serving.history, SqliteStore(tmp_path / "empty.db"), random.Random(1), answers=7)
    ask(empty, "02:00")

    (found,) = stale(empty)

    assert causes(found) == {"pending"}
    assert found["spend__count_6h"] == (1.0, 3.0, 3.0, 3.0)
    assert found["spend__since_last"] == (None, 3000.0, 3000.0, 3000.0)


def test_the_requests_of_one_group_are_each_judged_by_their_own_time(serving: Serving) -> None:
    ask(serving, "01:00")
    ask(serving, "02:00")
    ask(serving, "03:00")
    serving.history.produce([paid(2, "00:50", 20, known="02:00")])

    found: list[Any] = [one.get("spend__count_6h") for one in stale(serving)]

    assert found == [(2.0, 2.0, 3.0, 3.0), (2.0, 3.0, 3.0, 3.0), (2.0, 3.0, 3.0, 3.0)]
