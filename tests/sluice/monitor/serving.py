"""A pipeline that serves while events arrive, as far as the audit is concerned: a store, a log, and the lake."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import NOTHING, Lookups
from sluice.engine.fold import fold
from sluice.engine.read import answer
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import Partition, Position, TileStore
from sluice.engine.vectors import pack
from sluice.lake.requests import encode_requests
from sluice.monitor.audit import Audited, audit, served_rows
from sluice.stream.fold import micro_batch
from sluice.stream.predictions import Prediction, encode_prediction
from sluice.stream.topics import prediction_topic
from tests.sluice.stream import payments
from tests.sluice.stream.feeds import Message
from tests.sluice.stream.histories import FILE, History


@dataclass
class Serving:
    """Serves from a store, folds what is produced, and keeps what it answered."""

    history: History
    store: TileStore
    chance: random.Random
    answers: int = 0
    positions: dict[Partition, Position] = field(default_factory=dict)
    lookups: Lookups = NOTHING

    @property
    def pipeline(self) -> Pipeline:
        return self.history.pipeline

    @property
    def base(self) -> int:
        """The base that the store was started from."""
        return self.store.read([]).knowledge.base

    @classmethod
    def start(
        cls,
        folder: Path,
        messages: Sequence[Message],
        seed: int,
        pipeline: Pipeline = payments.pipeline,
        reference: str = str(FILE),
        store: TileStore | None = None,
    ) -> Serving:
        """History from files, and a store (on SQLite, unless another is given) that was started from it."""
        history = History(folder, pipeline, reference)
        history.deliver("files", messages)
        store = store or SqliteStore(folder / "online.db")
        history.load(store)
        return cls(history, store, random.Random(seed))

    def run(
        self, messages: Sequence[Message], *, slice_: int = 40, together: int = 3, asked: float = 0.5
    ) -> Iterator[int]:
        """Live: ask about some payments, then produce and fold the next slice; yields after each slice.

        `together` is how many payments a request asks about, `asked` the part of them that is asked about.
        """
        for start in range(0, len(messages), slice_):
            coming = messages[start : start + slice_]
            for request in _groups(self._asked(coming, asked), together):
                self.serve(request)
            self.fold(coming)
            yield start

    def serve(self, rows: Sequence[Mapping[str, Any]]) -> list[bytes]:
        """Answer one request and log it; the packed vectors."""
        encoded = encode_requests(self.pipeline, rows)
        found = answer(self.pipeline, self.store, encoded, self.lookups)
        packed = pack(self.pipeline, found.values)
        ids, times = encoded.column("_id").to_pylist(), encoded.column("_time").to_pylist()
        self.answers += 1
        for place, (row, id_, time, vector) in enumerate(zip(rows, ids, times, packed, strict=True)):
            self._log(f"r{self.answers}-{place}", row, id_, time, vector, found.known(place))
        return packed

    def fold(self, messages: Sequence[Message]) -> None:
        """Produce messages and fold them."""
        batch = micro_batch(self.pipeline, self.history.produce(messages), self.positions)
        fold(self.pipeline, self.store, batch)
        self.positions |= batch.positions

    def restart(self) -> None:
        """Make history of what was archived, and start the store anew from it; the topics are read again from there."""
        self.history.archive()
        self.history.ingest_archived(f"archived-{self.answers}", 2**60)
        self.history.load(self.store)
        self.positions = {}

    def catch_up(self) -> None:
        """Fold everything that the topics hold and the store does not."""
        streams = {f"{self.pipeline.name}.{stream.name}" for stream in self.pipeline.streams}
        records = [record for topic in streams for record in self.history.topics.records.get(topic, [])]
        batch = micro_batch(self.pipeline, records, self.positions)
        fold(self.pipeline, self.store, batch)
        self.positions |= batch.positions

    def audit(self) -> list[Audited]:
        """Audit everything that was served."""
        self.history.archive()
        lake = self.history.lake
        return audit(lake, self.pipeline, served_rows(lake.read("predictions").to_pylist()))

    def named(self) -> dict[str, set[str]]:
        """What the audit names: the requests whose vectors differ, and the features."""
        return {item.served.request_id: set(item.differences) for item in self.audit() if item.differences}

    def _asked(self, coming: Sequence[Message], part: float) -> Iterator[dict[str, Any]]:
        """A part of the next slice's payments as they are, and some made up at the present moment."""
        for message in coming:
            row = payment(message)
            if row is not None and self.chance.random() < part:
                yield row
            if row is not None and self.chance.random() < 0.1:
                yield {**row, "payment_id": self.chance.choice([None, 0, 10**9]), "card": None}

    def _log(
        self, name: str, row: Mapping[str, Any], id_: Any, time: int, vector: bytes, knowledge: Mapping[str, Any]
    ) -> None:
        made = Prediction(
            request_id=name,
            event_id="" if id_ is None else str(id_),
            event_time=time,
            answered=time,
            request=row,
            keys={key: row.get(key) for key in self.pipeline.keys},
            knowledge=knowledge,
            definition=self.pipeline.definition,
            segment="pos",
            model="payments-pos",
            version="1",
            role="champion",
            score=0.5,
            decision="approve",
            degraded=False,
            vector=vector,
            latency_us=1,
        )
        self.history.topics.send(prediction_topic(self.pipeline.name), encode_prediction(made), at=time)


def payment(message: Message) -> dict[str, Any] | None:
    """The payment of a message, if a service would accept it as a request."""
    if message.stream != "payments" or not message.payload.startswith(b"{") or not message.payload.endswith(b"}"):
        return None
    row: dict[str, Any] = orjson.loads(message.payload)
    whole = set(row) >= {"payment_id", "paid_at", "card", "shop", "amount", "channel"} and row["amount"] >= 0
    return row if whole else None


def _groups(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
