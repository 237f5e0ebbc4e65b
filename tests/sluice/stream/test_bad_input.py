"""What comes wrong: refused by the stream as it is by the lake, and what comes too late, by each view for itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.engine.read import answer
from sluice.engine.store import MemoryStore, Position
from sluice.errors import GateStopped
from sluice.lake.accounts import accounts
from sluice.lake.contract import check
from sluice.lake.requests import encode_requests
from sluice.stream.fold import FoldConsumer, micro_batch
from sluice.stream.memory import MemoryRecord
from sluice.stream.records import bronze_rows
from tests.sluice.engine.contents import contents
from tests.sluice.stream.feeds import START
from tests.sluice.stream.histories import History
from tests.sluice.stream.payments import payments, pipeline

pytestmark = pytest.mark.unit

TOPIC = "payments.payments"
GOOD = {"payment_id": 1, "paid_at": "2024-02-03T00:00:10Z", "card": 1, "shop": "a", "amount": 5, "channel": "pos"}
KNOWN = START + 10_000_000
"""When all of them reach us."""
WRONG: list[tuple[dict[str, Any], tuple[str, str, str, str]]] = [
    ({"amount": 10_000.01}, ("range", "amount", "10000.01", "0 to 10000")),
    ({"amount": -0.01}, ("range", "amount", "-0.01", "0 to 10000")),
    ({"amount": 1.001}, ("scale", "amount", "1.001", "a number with 2 decimals")),
    ({"amount": "five"}, ("type", "amount", '"five"', "a number with 2 decimals")),
    ({"channel": "phone"}, ("category", "channel", '"phone"', "pos, web")),
    ({"channel": None}, ("missing", "channel", "null", "a value")),
    ({"payment_id": None}, ("missing", "payment_id", "null", "a value")),
    ({"paid_at": None}, ("missing", "paid_at", "null", "a value")),
    ({"paid_at": "soon"}, ("type", "paid_at", '"soon"', "a time such as 2024-01-01T13:00:00Z")),
    (
        {"paid_at": "2024-02-03T00:05:10.000001Z"},
        ("future", "paid_at", '"2024-02-03T00:05:10.000001Z"', "at most 5min after it is known"),
    ),
]


def record(offset: int, **changes: Any) -> MemoryRecord:
    return MemoryRecord(TOPIC, 0, offset, KNOWN // 1000, orjson.dumps(GOOD | {"payment_id": offset + 1} | changes))


wrong = pytest.mark.parametrize(
    ("changes", "reason"), WRONG, ids=[f"{rule} {value}" for _, (rule, _, value, _) in WRONG]
)


@wrong
def test_the_lake_keeps_what_is_wrong_with_the_reason(changes: dict[str, Any], reason: tuple[str, ...]) -> None:
    checked = check(payments, bronze_rows([record(0), record(1, **changes)], batch=""), batch="b")
    assert checked.accepted.column("payment_id").to_pylist() == [1]
    told = checked.rejected.select(["rule", "column", "value", "allowed"]).to_pylist()
    assert [tuple(row.values()) for row in told] == [reason]
    assert orjson.loads(checked.rejected.column("payload")[0].as_py()) == GOOD | {"payment_id": 2} | changes


@wrong
def test_the_stream_refuses_it_too_and_goes_on(changes: dict[str, Any], reason: tuple[str, ...]) -> None:
    records = [record(0), record(1, **changes), record(2)]
    batch = micro_batch(pipeline, records, {})
    assert batch.events["payments"].column("_id").to_pylist() == [1, 3]
    assert batch.positions[TOPIC, 0] == Position(3, KNOWN)

    stores = [MemoryStore(), MemoryStore()]
    for store, told in zip(stores, (records, [records[0], records[2]]), strict=True):
        FoldConsumer(pipeline, store, bootstrap="").fold(told, {})
    one, other = (contents(pipeline, store, []) for store in stores)
    assert (one.heads, one.chunks) == (other.heads, other.chunks)
    assert stores[0].facts([2]) == []


def test_the_doctor_finds_nothing_wrong_with_a_lake_that_has_met_all_of_it(tmp_path: Path) -> None:
    history = History(tmp_path, pipeline)
    wrong = [record(10 + offset, **changes) for offset, (changes, _) in enumerate(WRONG)]
    history.topics.records[TOPIC] = [*(record(offset) for offset in range(10)), *wrong]
    history.archive()
    with suppress(GateStopped):  # half of it is refused, and history all the same
        history.ingest_archived("one", KNOWN)
    found = accounts(history.lake, "payments")
    assert (found.silver, sum(found.quarantined.values()), found.missing) == (10, 10, 0)
    assert history.ailments() == []


def test_what_is_right_to_the_last_step_enters() -> None:
    edges = [{"amount": 10_000}, {"amount": 0}, {"paid_at": "2024-02-03T00:05:10Z"}, {"bank": None}, {"country": "X"}]
    records = [record(offset, **changes) for offset, changes in enumerate(edges)]
    assert len(micro_batch(pipeline, records, {}).events["payments"]) == len(edges)


def counts_after(late: int) -> tuple[float, float]:
    """The counts of a card and of a shop an hour after a payment that came so much behind the newest one."""
    newest = START + 12 * HOUR
    times = [newest, newest - late]
    records = [record(offset, paid_at=rfc3339(time)) for offset, time in enumerate(times)]
    records = [replace(one, timestamp=newest // 1000) for one in records]
    store = MemoryStore()
    FoldConsumer(pipeline, store, bootstrap="").fold(records, {})
    asked = encode_requests(pipeline, [GOOD | {"payment_id": 99, "paid_at": rfc3339(newest - late + HOUR)}])
    values = answer(pipeline, store, asked).values
    return tuple(float(values[name][0][0]) for name in ("spend__count_6h", "traffic__count_4h"))


@pytest.mark.parametrize(
    ("late", "card", "shop"),
    [
        (6 * HOUR, 2, 1),  # the shop's windows of four hours and the two of accept_late
        (6 * HOUR + 1, 2, 0),  # too late for the shop's view, in time for the card's
        (8 * HOUR, 2, 0),  # the card's six hours and two
        (8 * HOUR + 1, 1, 0),  # the request alone
    ],
)
def test_what_comes_after_a_views_horizon_has_expired_for_that_view_alone(late: int, card: int, shop: int) -> None:
    assert counts_after(late) == (card, shop)
