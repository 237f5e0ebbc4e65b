from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from feature_repo.fraud import pipeline
from serve.routing import Model, Route, Routing
from serve.scoring import Parts, ScoringService
from sluice.clock import HandClock, from_datetime
from sluice.engine.encode import encode
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.store import MemoryStore, Position, TileStore
from sluice.lake.contract import BRONZE, check
from sluice.stream.predictions import MemoryLog
from tests.serve.tiny_model import make_model

NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
TOPIC = ("fraud.transactions", 0)


def payment(number: int = 100, **changes: object) -> dict[str, Any]:
    """A payment of card 3 at terminal 4 on 2026-01-01 at 08:30."""
    event = {
        "transaction_id": number,
        "event_time": "2026-01-01T08:30:00Z",
        "customer_id": 3,
        "terminal_id": 4,
        "amount": 12.34,
        "channel": "pos",
        "country": "DE",
    }
    return {**event, **changes}


def encoded(events: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Events through the contract, as the fold consumer encodes them."""
    count = len(events)
    bronze = pa.table(
        {
            "payload": [orjson.dumps(event) for event in events],
            "source": [f"kafka:{TOPIC[0]}"] * count,
            "partition": [0] * count,
            "position": list(range(count)),
            "known": [from_datetime(dt.datetime.fromisoformat(event["event_time"])) for event in events],
            "revision": [0] * count,
            "op": [0] * count,
            "batch": [""] * count,
        },
        schema=BRONZE,
    )
    return encode(check(pipeline.events, bronze, batch="").accepted, pipeline.events)


def fill(store: TileStore, events: Sequence[Mapping[str, Any]]) -> None:
    """Fold past payments into a store."""
    positions = {TOPIC: Position(len(events), NOW)}
    fold(pipeline, store, MicroBatch({"transactions": encoded(events)}, {TOPIC: None}, positions))


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(base=0)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Model]:
    """Makes models: `model("pos", 2, bias=1.0)`."""

    def make(segment: str = "*", version: int = 1, **given: Any) -> Model:
        return make_model(
            tmp_path / f"{'all' if segment == '*' else segment}-{version}", pipeline, segment, version, **given
        )

    return make


@pytest.fixture
def service(store: MemoryStore, log: MemoryLog, model: Callable[..., Model]) -> Iterator[ScoringService]:
    """An open service: segment pos has a model of probability 1/2, all others fall back to one of 3/4."""
    scoring = ScoringService(pipeline, Parts(lambda: store, lambda: log, HandClock(NOW)))
    assert scoring.open()
    assert scoring.route(Routing({"pos": Route(model("pos")), "*": Route(model(bias=1.0986123))}))
    yield scoring
    scoring.close()


def body(*events: object) -> bytes:
    """A request."""
    return orjson.dumps({"events": events})
