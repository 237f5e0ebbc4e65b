"""Records as raw events: what Kafka's headers and timestamp mean, and what cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.lake.contract import BRONZE, check
from sluice.stream.memory import MemoryRecord
from sluice.stream.records import bronze_rows, by_partition
from tests.sluice.stream.payments import payments

pytestmark = pytest.mark.unit


def record(
    *headers: tuple[str, bytes], timestamp: int = 1_706_918_400_123, value: bytes | None = b"{}"
) -> MemoryRecord:
    return MemoryRecord("payments.payments", 2, 41, timestamp, value, headers)


def control(*headers: tuple[str, bytes]) -> tuple[int | None, int | None]:
    row = bronze_rows([record(*headers)], batch="").to_pylist()[0]
    return row["revision"], row["op"]


def test_a_record_becomes_a_raw_event_with_its_place() -> None:
    found = bronze_rows([record(("_revision", b"3"), ("_op", b"delete"), ("trace", b"x"))], batch="b")

    assert found.schema == BRONZE
    assert found.to_pylist() == [
        {
            "payload": b"{}",
            "source": "kafka:payments.payments",
            "partition": 2,
            "position": 41,
            "known": 1_706_918_400_123_000,
            "revision": 3,
            "op": 1,
            "batch": "b",
        }
    ]


def test_without_headers_an_event_is_put_at_revision_zero() -> None:
    assert control() == (0, 0)
    assert control(("_op", b"put")) == (0, 0)


@pytest.mark.parametrize("text", [b"", b"one", b"-1", b"1.0", b" 1", b"2147483648", "²".encode(), "٣".encode()])
def test_a_revision_that_cannot_be_read_is_null(text: bytes) -> None:
    assert control(("_revision", text)) == (None, 0)


@pytest.mark.parametrize("text", [b"", b"PUT", b"upsert", b"deleted"])
def test_an_operation_that_cannot_be_read_is_null(text: bytes) -> None:
    assert control(("_op", text)) == (0, None)


def test_the_contract_refuses_what_has_no_revision() -> None:
    payload = b'{"payment_id": 1, "paid_at": "2024-02-03", "card": 1, "shop": "a", "amount": 1, "channel": "web"}'
    rows = bronze_rows([record(value=payload), record(("_revision", b"one"), value=payload)], batch="")

    checked = check(payments, rows, batch="")

    assert len(checked.accepted) == 1
    assert checked.rejected.select(["rule", "column", "position"]).to_pylist() == [
        {"rule": "type", "column": "_revision", "position": 41}
    ]


def test_a_record_without_a_timestamp_has_no_known_time() -> None:
    assert bronze_rows([record(timestamp=-1)], batch="").column("known").to_pylist() == [None]


def test_a_record_without_a_value_is_an_empty_payload() -> None:
    assert bronze_rows([record(value=None)], batch="").column("payload").to_pylist() == [b""]


@given(st.integers(0, 2**31 - 1))
def test_every_revision_is_read_as_it_was_written(revision: int) -> None:
    assert control(("_revision", str(revision).encode())) == (revision, 0)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 1)), max_size=12))
def test_partitions_keep_the_order_of_their_records(places: list[tuple[str, int]]) -> None:
    records = [MemoryRecord(topic, part, offset, 0, b"") for offset, (topic, part) in enumerate(places)]

    groups = by_partition(records)

    assert {place: [r.offset for r in group] for place, group in groups.items()} == {
        place: [offset for offset, other in enumerate(places) if other == place] for place in set(places)
    }
