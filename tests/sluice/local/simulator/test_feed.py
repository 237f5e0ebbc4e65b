from collections import Counter

import orjson
import pytest

from sluice.clock import from_datetime, to_datetime
from sluice.local.simulator import CHARGEBACKS, TRANSACTIONS, feed

pytestmark = pytest.mark.unit

FIRST_LIVE_DAY = 45


@pytest.fixture(scope="module")
def items(troubled):
    return list(feed(troubled, FIRST_LIVE_DAY))


def readable(payload: bytes) -> dict | None:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None


def test_both_streams_come_merged_in_order_of_arrival(troubled, items):
    arrivals = [item.arrival for item in items]
    assert arrivals == sorted(arrivals)
    assert arrivals[0] >= troubled.world.midnight(FIRST_LIVE_DAY)
    assert arrivals[-1] < troubled.world.midnight(60)
    counts = Counter(item.stream for item in items)
    assert counts == {
        stream: troubled.tally(stream, FIRST_LIVE_DAY).produced for stream in ("transactions", "chargebacks")
    }


def test_a_feed_is_the_same_bytes_every_time(troubled, items):
    assert list(feed(troubled, FIRST_LIVE_DAY)) == items


def test_a_message_is_the_event_in_json_with_times_in_utc_to_the_microsecond(quiet):
    first = next(iter(feed(quiet)))
    row = quiet.transactions.slice(0, 1).to_pylist()[0]
    time = row["event_time"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert first.payload == orjson.dumps({**row, "event_time": time})
    assert len(time) == len("2026-01-01T00:00:35.828000Z")
    assert (first.stream, first.id, first.arrival) == (
        "transactions",
        row["transaction_id"],
        from_datetime(row["event_time"]),
    )


def test_a_message_holds_the_streams_own_columns_and_nothing_of_the_truth(items):
    names = {"transactions": set(TRANSACTIONS.names), "chargebacks": set(CHARGEBACKS.names)}
    for item in items:
        row = readable(item.payload)
        assert row is None or names[item.stream] - set(row) <= {"transaction_id"}
        assert row is None or set(row) <= names[item.stream]


def test_a_chargeback_arrives_when_it_is_reported(quiet):
    for item in feed(quiet):
        if item.stream == "chargebacks":
            row = orjson.loads(item.payload)
            assert row["is_fraud"] == 1
            assert row["reported_time"] == to_datetime(item.arrival).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_malformed_messages_are_broken_in_the_ways_that_the_tally_counts(troubled, items):
    rows = [readable(item.payload) for item in items if item.stream == "transactions"]
    parsed = [row for row in rows if row is not None]
    assert troubled.tally("transactions", FIRST_LIVE_DAY).malformed == {
        "unparsable": rows.count(None),
        "missing_id": sum("transaction_id" not in row for row in parsed),
        "negative_amount": sum(row["amount"] < 0 for row in parsed),
        "unknown_channel": sum(row["channel"] == "phone" for row in parsed),
        "null_time": sum(row["event_time"] is None for row in parsed),
    }


def test_a_message_whose_id_cannot_be_read_has_none(items):
    for item in items:
        row = readable(item.payload)
        assert item.id == (None if row is None else row.get(f"{item.stream[:-1]}_id"))


def test_a_duplicate_is_the_same_bytes_again_and_nothing_else_is(troubled):
    seen = Counter(item.payload for item in feed(troubled) if item.stream == "transactions")
    assert sum(count - 1 for count in seen.values()) == troubled.tally("transactions").duplicates > 0
