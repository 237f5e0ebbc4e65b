"""A small lake and online store of the fraud pipeline, and a stock Feast SDK over them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sluice.clock import FileClock, rfc3339
from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.build import build
from sluice.engine.encode import encode
from sluice.engine.fold import MicroBatch, fold, load_base
from sluice.engine.history import keep, rows
from sluice.engine.places import open_store
from sluice.engine.store import Position, TileStore
from sluice.engine.versions import DELETE, PUT
from sluice.lake.contract import BRONZE, check
from sluice.lake.publish import BATCHES
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from feast import FeatureStore

START = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC."""
NOW = START + 60 * DAY + 123_457
LOADED = START + 40 * DAY
"""What is older starts the online store; the rest is folded into it."""


@dataclass(frozen=True)
class World:
    """One pipeline's history in the lake and in the online store at one moment of the clock, and some requests."""

    pipeline: Pipeline
    events: Mapping[str, pa.Table]
    requests: list[dict[str, Any]]
    store: TileStore
    feast: FeatureStore


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    with made_worlds(tmp_path_factory.mktemp("home")) as found:
        yield found


@contextmanager
def made_worlds(home: Path, online: str | None = None) -> Iterator[dict[str, World]]:
    """A world of each pipeline, its online store at a URI, or in files."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(home))
        environment.setenv("SLUICE_CLOCK", (home / "clock").as_uri())
        if online:
            environment.setenv("SLUICE_ONLINE", online)
        settings.cache_clear()
        FileClock(home / "clock").move_to(NOW)
        fraud = _world(load_pipeline("fraud"), history(), request_rows())
        clinic = _world(load_pipeline(str(Path(__file__).with_name("clinic.py"))), visits(), visit_requests())
        yield {"fraud": fraud, "clinic": clinic}
        fraud.store.close()
        clinic.store.close()


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def everywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, World]]:
    """The worlds on each kind of online store."""
    online = None
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("running_redis")
        server.empty()
        online = server.url
    with made_worlds(tmp_path_factory.mktemp("home"), online) as found:
        yield found


@pytest.fixture
def world(worlds: dict[str, World]) -> World:
    return worlds["fraud"]


def _world(pipeline: Pipeline, raw: Mapping[str, Sequence[Mapping[str, Any]]], asked: list[dict[str, Any]]) -> World:
    from sluice.feast.registry import apply

    places = settings().places
    events = publish(Lake(places.lake_uri, pipeline.name), pipeline, raw)
    store = open_store(settings().online_uri, pipeline.name)
    fill(pipeline, store, events)
    return World(pipeline, events, asked, store, apply(pipeline))


def history() -> dict[str, list[dict[str, Any]]]:
    """Payments of few customers at few terminals, with ties, missing keys, corrections, a deletion and chargebacks."""
    chance = random.Random(20260101)
    payments = [_payment(chance, number) for number in range(600)]
    claims = [
        {
            "chargeback_id": number,
            "reported_time": rfc3339(payment["at"] + chance.randrange(20 * DAY)),
            "transaction_id": payment["transaction_id"],
            "is_fraud": 1,
        }
        for number, payment in enumerate(chance.sample(payments, 40))
    ]
    corrected = [{**payment, "amount": 1.5, "_revision": 1} for payment in payments[100:110]]
    removed = [{**payments[200], "_revision": 2, "_op": DELETE}]
    return {"transactions": [*payments, *corrected, *removed], "chargebacks": claims}


def publish(lake: Lake, pipeline: Pipeline, raw: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, pa.Table]:
    """Raw events as one published batch of each stream; the encoded events."""
    events = {}
    for name, listed in raw.items():
        stream = pipeline.stream(name)
        checked = check(stream, bronze(stream, listed), batch="first")
        assert len(checked.rejected) == 0, checked.rejected.to_pylist()[:3]
        lake.append(f"silver/{name}", checked.accepted)
        lake.append_rows("batches", [{"batch": "first", "stream": name, "at": NOW}], BATCHES)
        events[name] = encode(checked.accepted, stream)
    return events


def bronze(stream: Stream, listed: Sequence[Mapping[str, Any]]) -> pa.Table:
    declared = {stream.source(name): name for name in stream.all_columns}
    table = [
        {
            "payload": orjson.dumps({source: row.get(name) for source, name in declared.items()}),
            "source": "file",
            "partition": 0,
            "position": position,
            "revision": row.get("_revision", 0),
            "op": row.get("_op", PUT),
            "batch": "first",
        }
        for position, row in enumerate(listed)
    ]
    return pa.Table.from_pylist(table, schema=BRONZE)


def fill(pipeline: Pipeline, store: TileStore, events: Mapping[str, pa.Table]) -> None:
    """The older events as the base, the newer ones folded in."""
    older = {name: table.filter(pc.less(table.column("_time"), LOADED)) for name, table in events.items()}
    newer = {name: table.filter(pc.greater_equal(table.column("_time"), LOADED)) for name, table in events.items()}
    kept = keep(pipeline)
    tiles = {view.name: build(view, rows(view, older, kept=kept)) for view in pipeline.windows}
    load_base(pipeline, store, 1, tiles, older)
    place = ("all", 0)
    fold(pipeline, store, MicroBatch(newer, {place: None}, {place: Position(1, None)}))


def request_rows() -> list[dict[str, Any]]:
    """Requests of known, unknown and missing entities, at the clock, at an event's own moment, and in the past."""
    own = history()["transactions"][590]
    rest = {"channel": "online", "country": "FR"}
    asked = [
        {**own, "event_time": own["event_time"]},
        {"customer_id": 1, "terminal_id": 2, "amount": 10.25, **rest, "transaction_id": 9001, "at": NOW},
        {"customer_id": 2, "terminal_id": None, "amount": 0.0, **rest, "transaction_id": 9002, "at": NOW - 3 * DAY + 1},
        {"customer_id": None, "terminal_id": 77, "amount": 7.0, **rest, "transaction_id": 9003, "at": NOW},
        {"customer_id": 1, "terminal_id": 2, "amount": 10.25, **rest, "transaction_id": 9001, "at": NOW},
    ]
    return [{**{n: v for n, v in row.items() if n != "at"}, "event_time": rfc3339(row["at"])} for row in asked]


def visits() -> dict[str, list[dict[str, Any]]]:
    """Visits with text ids and keys, and the label that a later event tells."""
    chance = random.Random(7)
    listed = [_visit(chance, number) for number in range(200)]
    told = [
        {"visit_id": visit["visit_id"], "relapse_time": rfc3339(visit["at"] + DAY), "relapse": chance.randrange(2)}
        for visit in listed
    ]
    return {"visits": listed, "visits_relapse": told}


def visit_requests() -> list[dict[str, Any]]:
    own = {name: value for name, value in visits()["visits"][150].items() if name != "at"}
    missing = {"visit_id": "y", "began_at": rfc3339(NOW), "patient": None, "ward": 1, "cost": 0.125, "reason": None}
    return [own, missing, {**missing, "patient": "émile", "ward": None, "reason": "fever"}]


def _visit(chance: random.Random, number: int) -> dict[str, Any]:
    at = START + chance.randrange(60 * 24) * DAY // 24
    return {
        "visit_id": f"v{number}",
        "began_at": rfc3339(at),
        "patient": chance.choice(["anna", "émile", "", None]),
        "ward": chance.choice([1, 2, None]),
        "cost": chance.randrange(10_000_000) / 1000,
        "reason": chance.choice(["fever", "check", None]),
        "at": at,
    }


def _payment(chance: random.Random, number: int) -> dict[str, Any]:
    # every fifth payment falls on a whole hour, so that some share their moment
    at = START + (chance.randrange(60 * 24) * DAY // 24 if number % 5 == 0 else chance.randrange(60 * DAY))
    return {
        "transaction_id": number,
        "event_time": rfc3339(at),
        "customer_id": chance.choice([1, 2, 3, 4, None]),
        "terminal_id": chance.choice([1, 2, 3, None]),
        "amount": chance.randrange(1, 50_000) / 100,
        "channel": chance.choice(["pos", "online", "atm"]),
        "country": chance.choice(["FR", "DE", "IT"]),
        "at": at,
    }
