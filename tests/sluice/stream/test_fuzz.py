"""Messages that nobody could have meant, among good ones: nothing crashes, sums close, stores have what history has."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from sluice.lake.accounts import accounts
from sluice.lake.delivery import Delivery
from sluice.lake.workers import Here
from sluice.monitor.tiles import check_tiles
from sluice.stream.producer import Producer
from sluice.stream.topics import stream_topic
from spark_jobs.ingest import ingest
from tests.doctor import ailments
from tests.sluice.stream.conftest import fresh_seed
from tests.sluice.stream.feeds import Message, feed, send
from tests.sluice.stream.runs import archived, finish, folded
from tests.sluice.stream.workers import Place

STRANGE: list[Any] = [
    None, True, 0, -1, 2**53, 2**63, 1e308, -0.0, "", " ", "\x00", "NaN", "2026-13-45", "9999-12-31T23:59:59Z",
    [], [1], {}, {"a": {"b": [None]}}, "1e999", "\u0663", "\uff11", "x" * 2_000,
]  # fmt: skip
BYTES = [
    b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b"{}" * 2, b'{"payment_id": 1', b'{"a": NaN}', b"[" * 5_000,
    b'{"payment_id": 1, "payment_id": 2}', b'{"a":"\\ud800"}', b"\x00" * 100, b"1" * 5_000, b"\x00\x00\x00\x00\x07abc",
]  # fmt: skip
HEADERS = [
    [("_revision", b"-1")], [("_revision", b"two")], [("_revision", b"")], [("_op", b"drop")], [("_op", b"delete")],
    [("_revision", b"99999999999999999999")], [("_revision", b"1"), ("_revision", b"2")], [("other", b"\xff")],
]  # fmt: skip


@pytest.mark.integration
def test_fuzzed_messages_crash_nothing_and_every_one_is_in_one_place(place: Place) -> None:
    messages_are_told_of(place, 1_000)


@pytest.mark.soak
def test_ten_thousand_fuzzed_messages_crash_nothing(place: Place) -> None:
    messages_are_told_of(place, 10_000)


def messages_are_told_of(place: Place, size: int) -> None:
    """Send so many fuzzed messages among as many good ones, through fold, archive and ingest."""
    seed = fresh_seed()
    chance = random.Random(seed)
    good = feed(seed, size)
    with Producer(place.bootstrap) as producer:
        for number in range(0, len(good), 100):
            some = good[number : number + 100]
            send(place.pipeline, producer, some)
            for message in some:
                fuzzed(chance, place, producer, message)
        producer.flush()
    total = 2 * len(good)
    finish(place, "fold", lambda: folded(place) >= total)
    finish(place, "archive", lambda: archived(place) >= total)
    at = max(message.at for message in good)
    ingest(Here(), Delivery(str(place.file), str(place.folder / "lake"), "fuzzed", at, from_bronze=True))
    found = {stream.name: accounts(place.lake, stream.name) for stream in place.pipeline.streams}
    assert sum(one.produced_bronze for one in found.values()) == total
    assert [one.missing for one in found.values()] == [0] * len(found)
    assert sum(sum(one.quarantined.values()) for one in found.values()) > len(good) // 3
    assert ailments(place.lake, place.pipeline) == []
    store = place.store()
    audited = check_tiles(place.lake, place.pipeline, store, most=200, seed=seed)
    assert len(audited) > 20
    assert [one for one in audited if one.differences] == []
    store.close()


def fuzzed(chance: random.Random, place: Place, producer: Producer, message: Message) -> None:
    """Send a message with something wrong: its bytes, some of its values, or its headers."""
    stream = chance.choice(place.pipeline.streams)
    payload, headers = message.payload, message.headers
    how = chance.choice(["bytes", "bytes", "values", "values", "headers", "damage", "other stream"])
    if how == "bytes" or not payload:
        payload = chance.choice(BYTES)
    elif how == "values":
        payload = with_strange_values(chance, payload)
    elif how == "headers":
        headers = chance.choice(HEADERS)
    elif how == "damage":
        at = chance.randrange(len(payload))
        payload = payload[:at] + bytes([payload[at] ^ 1 << chance.randrange(8)]) + payload[at + 1 :]
    topic = stream_topic(place.pipeline.name, stream.name if how == "other stream" else message.stream)
    producer.send(topic, payload, at=message.at, headers=headers)


def with_strange_values(chance: random.Random, payload: bytes) -> bytes:
    """A message with strange values in place of some; one that has none as it is."""
    try:
        row = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload
    if not isinstance(row, dict) or not row:
        return payload
    changed = chance.sample(sorted(row), min(len(row), chance.choice([1, 1, 2])))
    return orjson.dumps(row | {name: chance.choice(STRANGE) for name in changed})
