"""What the archive wrote, into history: from the last position on, with watermarks that know no batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.engine.versions import settled
from sluice.errors import GateStopped, UserError
from sluice.lake.contract import BRONZE
from sluice.lake.delivery import Delivery
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest
from tests.spark_jobs.deliveries import AT, HOUR, MINUTE, START, Shop, order, orders, returned

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def at(minute: int, number: int, **changes: Any) -> dict[str, Any]:
    return order(number, ordered_at=f"2026-01-01 10:{minute:02}:00", **changes)


def test_archived_events_become_history_once(shop: Shop) -> None:
    shop.archive("orders", orders(1, 4))
    shop.archive("returns", [returned(2)])
    assert shop.deliver("one", from_bronze=True) is None
    shop.archive("orders", orders(5, 6))
    assert shop.deliver("two", from_bronze=True) is None
    assert shop.deliver("three", from_bronze=True) is None
    assert [(batch["batch"], batch["rows"]) for batch in shop.lake.published("orders")] == [("one", 4), ("two", 2)]
    assert shop.lake.reached("orders") == {"kafka:shop.orders/0": 5}
    assert shop.accounts().silver == 6
    assert shop.accounts("returns").silver == 1


def test_archived_events_and_files_are_one_history(shop: Shop) -> None:
    shop.deliver("file", orders=orders(1, 4))
    shop.archive("orders", orders(3, 6))
    shop.deliver("topic", from_bronze=True)
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (8, 6, 2)


def test_an_event_meets_the_greatest_accepted_time_at_smaller_offsets(shop: Shop) -> None:
    refused = at(39, 3, channel="phone")
    future = at(50, 4)  # beyond the moment it is known
    shop.archive("orders", [at(5, 1), at(20, 2), refused, future, at(10, 5), b"torn", at(15, 6)])
    shop.deliver("one", from_bronze=True)
    twenty = START + 20 * MINUTE
    assert shop.silver("order_id", "_watermark") == [(1, None), (2, START + 5 * MINUTE), (5, twenty), (6, twenty)]
    assert shop.lake.watermarks("orders") == {"kafka:shop.orders/0": twenty}
    assert shop.accounts().quarantined == {"category": 1, "future": 1, "json": 1}


def test_the_watermark_goes_on_across_batches_also_from_a_duplicate(shop: Shop) -> None:
    shop.deliver("file", orders=[at(30, 1), at(1, 2)])
    shop.archive("orders", [at(30, 1)])  # the same bytes: nothing for silver, and yet this time was seen here
    shop.deliver("one", from_bronze=True)
    shop.archive("orders", [at(10, 3)])
    shop.deliver("two", from_bronze=True)
    assert shop.silver("order_id", "_watermark") == [(1, None), (2, None), (3, START + 30 * MINUTE)]


def test_partitions_have_watermarks_and_positions_of_their_own(shop: Shop) -> None:
    shop.archive("orders", [at(20, 1), at(10, 2)], partition=0)
    shop.archive("orders", [at(5, 3), at(1, 4)], partition=1)
    shop.deliver("one", from_bronze=True, rows_per_task=1)
    assert sorted(shop.silver("order_id", "_watermark"))[1] == (2, START + 20 * MINUTE)
    assert sorted(shop.silver("order_id", "_watermark"))[3] == (4, START + 5 * MINUTE)
    assert shop.lake.reached("orders") == {"kafka:shop.orders/0": 1, "kafka:shop.orders/1": 1}


def test_a_late_event_is_in_silver_and_listed_as_late_and_expired_by_its_watermark(shop: Shop) -> None:
    shop.archive("orders", [at(39, 1), at(5, 2, _known=AT + HOUR), at(38, 3)])
    shop.deliver("one", from_bronze=True)
    assert [row["order_id"] for row in shop.lake.rows("late/orders")] == [2]
    found = shop.accounts(horizon=30 * MINUTE)
    assert (found.silver, found.late, found.expired) == (3, 1, 1)
    assert shop.lake.published("orders")[0]["late"] == 1


def test_an_event_has_expired_from_a_microsecond_behind_the_horizon_on(shop: Shop) -> None:
    shop.archive("orders", [at(39, 1), at(9, 2), at(8, 3)])
    shop.deliver("one", from_bronze=True)
    horizons = {"half": 30 * MINUTE, "less": 30 * MINUTE - 1, "more": 31 * MINUTE}
    assert [shop.accounts(horizon=horizon).expired for horizon in horizons.values()] == [1, 2, 0]
    assert shop.accounts(horizons=horizons).expired_by_view == {"half": 1, "less": 2, "more": 0}


def test_an_event_that_came_too_late_is_mended_by_delivering_it_in_a_file(shop: Shop) -> None:
    shop.archive("orders", [at(39, 1), at(5, 2)])
    shop.deliver("one", from_bronze=True)
    shop.deliver("file", orders=[at(5, 2), at(6, 3)])
    copies = [row for row in shop.silver("order_id", "_watermark", "_batch") if row[0] == 2]
    assert copies == [(2, None, "file"), (2, START + 39 * MINUTE, "one")]
    standing = settled(shop.lake.read("silver/orders")).select(["order_id", "_watermark"]).to_pylist()
    assert {row["order_id"]: row["_watermark"] for row in standing} == {1: None, 2: None, 3: None}
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (4, 3, 1)


def test_a_stop_on_a_topic_is_an_incident_and_the_events_are_history(shop: Shop) -> None:
    shop.archive("orders", [at(1, 1), at(2, 2, channel="phone")])
    stopped = shop.deliver("one", from_bronze=True)
    assert "orders: quarantined: 50.00% of the rows refused" in str(stopped)
    assert "the events are history all the same" in str(stopped)
    found = shop.accounts()
    assert (found.silver, found.held, found.quarantined) == (1, 0, {"category": 1})
    stops = {row["rule"] for row in shop.lake.rows("verdicts") if row["verdict"] == "stop"}
    assert stops == {"quarantined"}


def test_archived_events_do_not_take_the_name_of_a_batch_of_files(shop: Shop) -> None:
    assert shop.deliver("a", orders=[order(1)]) is not None
    shop.archive("orders", orders(2, 4))
    with pytest.raises(UserError, match="'a' is a batch of files"):
        shop.deliver("a", from_bronze=True)
    assert shop.deliver("b", from_bronze=True) is None
    assert (shop.accounts().silver, shop.accounts().held) == (3, 1)


def test_revisions_and_deletes_come_by_their_headers(shop: Shop) -> None:
    gone = {"order_id": 1, "ordered_at": "2026-01-01 10:01:00", "_revision": 1, "_op": 1}
    shop.archive("orders", [at(1, 1), gone, at(2, 2, _revision=None)])
    shop.deliver("one", from_bronze=True)
    assert settled(shop.lake.read("silver/orders")).column("order_id").to_pylist() == []
    assert shop.accounts().quarantined == {"type": 1}


EVENTS = st.lists(
    st.one_of(
        st.builds(
            at,
            st.integers(0, 39),
            st.integers(1, 4),
            amount=st.sampled_from([1.0, 2.0, -1.0]),
            _revision=st.integers(0, 1),
            _op=st.sampled_from([0, 0, 0, 1]),
            _known=st.sampled_from([AT, AT + 2 * HOUR]),
        ),
        st.just(b"torn"),
    ),
    min_size=1,
    max_size=10,
)
STANDING = ["_id", "_revision", "_hash", "_op", "_time", "_known", "_watermark"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, st.integers(0, 10), st.integers(1, 3))
def test_what_stands_does_not_depend_on_where_batches_begin(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any], cut: int, size: int
) -> None:
    told = []
    for name, parts in (("whole", [events]), ("cut", [events[:cut], events[cut:]])):
        shop = Shop(tmp_path_factory.mktemp(name))
        for number, part in enumerate(parts):
            if part:
                shop.archive("orders", part)
                shop.deliver(f"batch-{number}", from_bronze=True, rows_per_task=size if name == "cut" else 250_000)
        found = shop.accounts(horizon=10 * MINUTE)
        history = shop.lake.open("silver/orders")
        standing = [] if history is None else settled(shop.lake.read("silver/orders", columns=STANDING)).to_pylist()
        told.append((sorted(standing, key=lambda row: row["_id"]), found))
    assert told[0] == told[1]


def test_a_label_of_the_row_that_comes_by_a_topic_is_as_fresh_as_its_own_time(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), "handbook")
    payload = orjson.dumps({"TRANSACTION_ID": 1, "is_fraud_time": "2026-01-01 10:39:00", "TX_FRAUD": 1})
    place = {"source": "kafka:handbook.transactions_is_fraud", "partition": 0, "position": 0}
    row = {"payload": payload, **place, "known": AT, "revision": 0, "op": 0, "batch": ""}
    lake.append("events/transactions_is_fraud", pa.Table.from_pylist([row], schema=BRONZE))
    with pytest.raises(GateStopped, match="foreign_keys"):  # nobody knows the transaction
        ingest(Here(), Delivery("handbook", str(tmp_path / "lake"), "one", AT, from_bronze=True))
    freshness = [each for each in lake.rows("verdicts") if each["rule"] == "freshness"]
    assert [each["verdict"] for each in freshness] == ["pass"]
