"""What records are keyed by, and which partition a key has."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner.default import DefaultPartitioner, murmur2

from sluice import Decimal, ForeignKey, Key, Stream
from sluice.declare.streams import position
from sluice.stream.keys import anchor_key, partition_of, record_key
from sluice.stream.memory import MemoryTopics
from tests.sluice.stream.payments import disputes, payments
from tests.sluice.stream.refunds import refunds

pytestmark = pytest.mark.unit


def key(stream: Stream, **row: object) -> bytes | None:
    return record_key(stream, orjson.dumps(row))


def test_an_event_is_keyed_by_its_id_and_what_is_told_by_the_event_that_it_is_about() -> None:
    assert key(payments, payment_id=17, card=3) == b"17"
    assert key(disputes, dispute_id=4, payment_id=17) == b"17"
    assert key(refunds, payment_id=17, line="2") == b"17"


def test_what_names_no_event_is_keyed_by_its_own_id() -> None:
    assert key(disputes, dispute_id=4) == b"4"
    assert key(disputes, dispute_id=4, payment_id=None) == b"4"


@pytest.mark.parametrize("written", [17, "17", " 17 ", 17.0])
def test_one_id_has_one_key_however_it_is_written(written: object) -> None:
    assert key(payments, payment_id=written) == b"17"


@pytest.mark.parametrize("payload", [b"{", b"[1]", b"", b'{"card": 1}', b'{"payment_id": "x"}', b'{"payment_id": 1.5}'])
def test_what_says_of_no_event_has_no_key(payload: bytes) -> None:
    assert record_key(payments, payload) is None


def test_ids_of_text_and_of_several_columns_are_keyed_as_they_are_stored() -> None:
    columns = {"branch": Key("text"), "amount": Decimal()}
    sales = Stream("sales", id=("branch", "number"), time="at", columns=columns, sources={"branch": "BRANCH"})
    returns = Stream("returns", id="code", id_type="text", time="at", columns={"sale": ForeignKey(sales)})
    assert key(sales, BRANCH="né", number="2") == "2:né|1:2".encode()
    assert key(sales, BRANCH="né") is None
    assert key(returns, code="r", sale="2:né|1:2") == "2:né|1:2".encode()
    assert key(returns, code="r") == b"r"
    assert key(Stream("clicks", id=position, time="at", columns=columns), at="2024-02-03") is None


def test_the_partition_of_a_key_is_what_kafkas_own_clients_choose() -> None:
    # org.apache.kafka.common.utils.Utils.murmur2 of Java gives these
    assert [murmur2(text) - 2**32 if murmur2(text) >= 2**31 else murmur2(text) for text in (b"21", b"foobar")] == [
        -973932308,
        -790332482,
    ]
    assert [partition_of(anchor_key(number), 4) for number in range(8)] == [0, 3, 0, 3, 1, 2, 2, 3]


class Cluster:
    """Five partitions of any topic, as a client knows them."""

    def topics(self) -> list[str]:
        return ["t"]

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0, 1, 2, 3, 4}

    available_partitions_for_topic = partitions_for_topic


@given(st.binary(max_size=12))
def test_the_twin_in_memory_puts_a_key_where_the_client_does(key: bytes) -> None:
    topics = MemoryTopics(partitions=5)
    topics.send("t", b"", at=0, key=key)
    assert topics.records["t"][0].partition == DefaultPartitioner().partition("t", key, key, b"", b"", Cluster())


def test_the_twin_counts_offsets_by_partition_and_says_where_a_record_lies() -> None:
    topics, places = MemoryTopics(partitions=3), list[tuple[int, int]]()
    for partition in (2, 0, 2, None, None):
        topics.send("t", b"", at=0, partition=partition, stored=lambda *place: places.append(place))
    topics.send("u", b"", at=0, partition=2, stored=lambda *place: places.append(place))
    assert places == [(2, 0), (0, 0), (2, 1), (0, 1), (1, 0), (2, 0)]
