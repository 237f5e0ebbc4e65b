"""Vectors that are computed as they would have been served: those of the kernel, and those that were served."""

from __future__ import annotations

import heapq
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice.declare.durations import HOUR
from sluice.engine.arrivals import first_told
from sluice.engine.encode import integers
from sluice.engine.vectors import as_values, pack, vectors
from sluice.lake.plan import Plan
from sluice.lake.requests import encode_requests
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.monitor.serving import Serving, payment
from tests.sluice.stream.feeds import START, Message, feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

AT = START + 20 * HOUR


@pytest.fixture
def seed() -> int:
    found = secrets.randbits(32)
    print(f"seed {found}")  # noqa: T201 pytest shows it when the test fails
    return found


def plan(history: History, parts: int = 3) -> Plan:
    return Plan(str(FILE), str(history.folder / "lake"), history.lake.version("batches"), AT, parts)


def test_they_are_those_of_the_kernel_however_the_work_is_dealt(tmp_path: Path, seed: int) -> None:
    history = History(tmp_path, pipeline)
    messages = feed(seed, 500)
    history.deliver("files", messages[:200])
    history.produce(messages[200:])
    history.archive()
    history.ingest_archived("archived", AT)

    backfill(Here(), plan(history))
    backfill(Here(), plan(history).as_served())

    events = history.versions()
    asked = first_told(events["payments"]).sort_by("_id")
    found = history.lake.read("vectors_as_served").sort_by("event_id")
    wanted = vectors(pipeline, events, asked, knowledge="as_served")
    assert found.column("event_id").to_pylist() == asked.column("_id").to_pylist()
    assert found.select(wanted.column_names).to_pydict() == wanted.to_pydict()
    everything = history.lake.read("vectors").sort_by("event_id")
    assert found.schema == everything.schema
    assert found.column("event_id") == everything.column("event_id")
    assert found.to_pydict() != everything.to_pydict()


def test_they_are_computed_when_they_are_asked_for_and_leave_the_others_as_they_are(tmp_path: Path) -> None:
    history = History(tmp_path, pipeline)
    history.deliver("files", feed(5, 200))
    backfill(Here(), plan(history))
    assert history.lake.open("vectors_as_served") is None
    tables = plan(history).written
    before = {table: history.lake.version(table) for table in tables}
    wanted = plan(history).as_served()

    assert [backfill(Here(), wanted), backfill(Here(), wanted)] == [0, 0]

    assert {table: history.lake.version(table) for table in tables} == before
    assert len(history.lake.read("vectors_as_served")) == len(history.lake.read("vectors"))
    assert not list(Path(history.lake.uri("work")).iterdir())


def test_a_service_that_keeps_up_has_served_exactly_them(tmp_path: Path, seed: int) -> None:
    """Each payment is asked about when it is made, and every record is folded the moment that it is produced."""
    messages = feed(seed, 600)
    serving = Serving.start(tmp_path, messages[:200], seed)
    served = {}
    for what in timeline(serving, messages[200:]):
        if isinstance(what, Message):
            serving.fold([what])
        else:
            served[what["payment_id"]] = serving.serve([what])[0]
    serving.history.archive()
    serving.history.ingest_archived("archived", AT)

    backfill(Here(), plan(serving.history))
    backfill(Here(), plan(serving.history).as_served())

    assert len(served) > 100
    assert differing(serving.history, "vectors_as_served", served) == set()
    assert len(differing(serving.history, "vectors", served)) > 10


def timeline(serving: Serving, messages: list[Message]) -> Iterator[Message | dict[str, Any]]:
    """Records as they are produced, and the request about each payment at its time, if that is after the files'."""
    first: dict[int, dict[str, Any]] = {}
    for message in messages:
        row = payment(message)
        if row is not None and not message.headers:
            first.setdefault(row["payment_id"], row)
    encoded = encode_requests(pipeline, list(first.values()))
    times, _ = integers(encoded.column("_time"))
    events = serving.history.versions()
    begin = max(max(integers(table.column("_time"))[0]) for table in events.values())
    old = set(events["payments"].column("_id").to_pylist())
    asked = [
        (int(time), 1, place, row)
        for place, (time, row) in enumerate(zip(times, first.values(), strict=True))
        if time > begin and row["payment_id"] not in old
    ]
    # a record's timestamp is in milliseconds
    told = [(message.at // 1000 * 1000, 0, place, message) for place, message in enumerate(messages)]
    return (what for *_, what in heapq.merge(told, sorted(asked, key=lambda item: item[:3])))


def differing(history: History, table: str, served: dict[int, bytes]) -> set[int]:
    """The payments whose vectors in a table are not those that were served; one that no longer stands has none."""
    found = history.lake.read(table)
    ids = found.column("event_id").to_pylist()
    computed = dict(zip(ids, pack(pipeline, as_values(pipeline, found)), strict=True))
    return {id_ for id_, vector in served.items() if id_ in computed and computed[id_] != vector}


def test_the_label_is_the_one_known_in_the_end_and_the_request_the_one_that_was_made(tmp_path: Path) -> None:
    history = History(tmp_path, pipeline)
    row = {"payment_id": 1, "paid_at": "2024-02-03T00:00:00Z", "card": 7, "shop": "a", "bank": None, "amount": 10}
    row |= {"channel": "pos", "country": "DE"}
    dispute = {"dispute_id": 1, "disputed_at": "2024-02-03T02:00:00Z", "payment_id": 1, "is_fraud": 1, "bank": None}
    history.produce(
        [
            message("payments", row, START),
            message("payments", {**row, "amount": 30, "card": 8}, START + HOUR, _revision="1"),
            message("disputes", dispute, START + 2 * HOUR),
        ]
    )
    history.archive()
    history.ingest_archived("archived", AT)

    backfill(Here(), plan(history))
    backfill(Here(), plan(history).as_served())

    def shown(table: str) -> dict[str, object]:
        (found,) = history.lake.read(table).to_pylist()
        return {name: found[name] for name in ("event_id", "card", "label", "spend__sum_amount_1h")}

    assert shown("vectors") == {"event_id": 1, "card": 8, "label": 1, "spend__sum_amount_1h": 30.0}
    assert shown("vectors_as_served") == {"event_id": 1, "card": 7, "label": 1, "spend__sum_amount_1h": 10.0}


def message(stream: str, row: dict[str, Any], at: int, **headers: str) -> Message:
    return Message(stream, orjson.dumps(row), at, [(name, text.encode()) for name, text in headers.items()])
