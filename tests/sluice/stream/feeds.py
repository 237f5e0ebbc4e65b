"""A feed in which everything happens that may happen to events, by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.stream.keys import record_key
from sluice.stream.producer import Sender
from sluice.stream.topics import stream_topic

START = 1_706_918_400_000_000
"""2024-02-03 00:00 UTC."""
STEP = MINUTE
BROKEN = (
    b"{",
    b"[]",
    b"",
    b'{"paid_at": "2024-02-03T00:00:00Z", "amount": 1}',
    b'{"payment_id": 1, "paid_at": "yesterday"}',
    b'{"payment_id": 1, "paid_at": "2024-02-03T00:00:00Z", "card": 1, "shop": "a", "amount": -1, "channel": "pos"}',
)


@dataclass(frozen=True)
class Message:
    """What a producer sends to the topic of a stream; `at` is the event clock."""

    stream: str
    payload: bytes
    at: int
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def feed(seed: int, size: int) -> list[Message]:
    """Messages in order of arrival: payments and disputes, with copies, conflicts, corrections and the rest."""
    return list(_Feed(random.Random(seed)).messages(size))


def send(pipeline: Pipeline, sender: Sender, messages: Sequence[Message]) -> None:
    """Produce messages to a pipeline's topics; what has no key is given one, so that every broker puts it alike."""
    for message in messages:
        key = record_key(pipeline.stream(message.stream), message.payload) or b"unreadable"
        topic = stream_topic(pipeline.name, message.stream)
        sender.send(topic, message.payload, at=message.at, key=key, headers=message.headers)
    sender.flush()


class _Feed:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._now = START
        self._sent: list[Message] = []
        self._paid: list[dict[str, Any]] = []
        self._told: list[dict[str, Any]] = []

    def messages(self, size: int) -> Iterator[Message]:
        kinds = {
            self._payment: 60,
            self._late: 6,
            self._copy: 6,
            self._conflict: 3,
            self._correction: 4,
            self._deletion: 2,
            self._dispute: 10,
            self._second_thought: 4,
            self._broken: 5,
        }
        for _ in range(size):
            self._now += self._chance.randrange(2 * STEP)
            made = self._chance.choices(list(kinds), list(kinds.values()))[0]()
            self._sent.append(made)
            yield made

    def _payment(self, age: int = 0) -> Message:
        chance, number = self._chance, len(self._paid)
        row = {
            "payment_id": number,
            "paid_at": rfc3339(self._now - age - chance.randrange(5 * MINUTE)),
            "card": chance.randrange(12),
            "shop": chance.choice("abcdé"),
            "bank": chance.choice(["x", "y", None]),
            "amount": chance.randrange(1_000_000) / 100,
            "channel": chance.choice(["pos", "web"]),
            "country": chance.choice(["DE", "FR", None]),
        }
        self._paid.append(row)
        return self._message("payments", row)

    def _late(self) -> Message:
        """By up to 36 hours: some inside every horizon, some outside of all."""
        return self._payment(self._chance.randrange(36 * HOUR))

    def _copy(self) -> Message:
        if not self._sent:
            return self._payment()
        sent = self._chance.choice(self._sent[-400:])
        return Message(sent.stream, sent.payload, self._now, sent.headers)

    def _conflict(self) -> Message:
        return self._message("payments", {**self._earlier(), "amount": self._chance.randrange(100)})

    def _correction(self) -> Message:
        """Another amount, card or shop under a higher revision."""
        changes: list[dict[str, Any]] = [
            {"amount": 1.25},
            {"card": self._chance.randrange(12)},
            {"shop": "b"},
            {"bank": None},
        ]
        row = {**self._earlier(), **self._chance.choice(changes)}
        return self._message("payments", row, _revision=str(self._chance.randrange(1, 4)))

    def _deletion(self) -> Message:
        row = self._earlier()
        bare = {name: row[name] for name in ("payment_id", "paid_at")}
        return self._message("payments", self._chance.choice([row, bare]), _revision="2", _op="delete")

    def _dispute(self) -> Message:
        row = {
            "dispute_id": len(self._told),
            "disputed_at": rfc3339(self._now - self._chance.randrange(HOUR)),
            # sometimes about a payment that has not come yet, or never will
            "payment_id": self._earlier()["payment_id"] + self._chance.choice([0, 0, 0, 0, 25, 10**6]),
            "is_fraud": self._chance.choice([1, 1, 0]),
            "bank": self._chance.choice(["x", "y", None]),
        }
        self._told.append(row)
        return self._message("disputes", row)

    def _second_thought(self) -> Message:
        """A dispute that is taken back, turned round, or moved to another payment."""
        if not self._told:
            return self._dispute()
        row, revision = self._chance.choice(self._told[-50:]), str(self._chance.randrange(1, 4))
        bare = {name: row[name] for name in ("dispute_id", "disputed_at")}
        match self._chance.randrange(5):
            case 0:
                return self._message("disputes", self._chance.choice([row, bare]), _revision=revision, _op="delete")
            case 1:
                return self._message("disputes", {**row, "is_fraud": 1 - row["is_fraud"]}, _revision=revision)
            case 2:
                other = self._earlier()["payment_id"]
                return self._message("disputes", {**row, "payment_id": other}, _revision=revision)
            case 3:
                return self._message("disputes", {**row, "bank": "y"}, _revision=revision)
            case _:
                return self._message("disputes", row)

    def _broken(self) -> Message:
        if self._chance.random() < 0.5:
            return Message("payments", self._chance.choice(BROKEN), self._now)
        control = self._chance.choice([{"_revision": "one"}, {"_op": "upsert"}, {"_revision": "-1"}])
        return self._message("payments", self._earlier(), **control)

    def _earlier(self) -> dict[str, Any]:
        if not self._paid:
            self._payment()
        return self._chance.choice(self._paid[-300:])

    def _message(self, stream: str, row: dict[str, Any], **headers: str) -> Message:
        return Message(stream, orjson.dumps(row), self._now, [(name, text.encode()) for name, text in headers.items()])
