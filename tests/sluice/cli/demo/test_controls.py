"""Negative controls: what the run shows it shows because it is so. A damage is named, and a calm world stays calm."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sluice.cli.demo.ending import broker_ends
from sluice.cli.demo.workers import stream_workers
from sluice.declare.durations import DAY
from sluice.declare.pipeline import Pipeline
from sluice.engine.layout import FLAGS, PRESENT, TIME, width
from sluice.lake.tables import Lake
from sluice.monitor.audit import audit, served_rows
from sluice.monitor.report.events import accounted, closes, event_figures
from sluice.settings import settings
from sluice.stream.archive import wait_until_archived
from tests.sluice.cli.conftest import CALM, Loop

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1500)]

LONGEST = 30 * DAY


@pytest.fixture(scope="module")
def calm(loop: Loop) -> dict[str, Any]:
    """The figures of a world where nothing is injected, and of good challengers at its end."""
    figures = loop.home / "calm.json"
    environment = {**os.environ, "SLUICE_CLOCK": (loop.home / "calm-clock").as_uri(), "COLUMNS": "200"}
    command = [sys.executable, "-m", "tests.sluice.cli.demo.calm_run", str(figures)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(figures.read_text())
    return found


@dataclass(frozen=True)
class Scored:
    """A served vector by request and event."""

    request_id: str
    event_id: str
    keys: dict[str, Any]


def test_a_flipped_bit_in_a_tile_makes_the_audit_name_exactly_the_vectors_that_read_it(loop: Loop) -> None:
    here = loop.here
    asked = list({row["event_id"]: orjson.loads(row["request"]) for row in newest(here.lake, days=2)}.values())
    customer = busiest([request["customer_id"] for request in asked])
    before = min(time_of(request) for request in asked) - 2 * DAY
    with stream_workers(here.settings, "fraud"), flipped(loop.home, here.pipeline, customer, before):
        answered = ask(here.settings.serve_url, asked)
        wait_until_archived(here.pipeline, here.lake, here.settings.kafka)
    rows = here.lake.read("predictions", where=ds.field("request_id").isin(answered)).to_pylist()
    found = audit(here.lake, here.pipeline, served_rows(rows))
    assert len(found) == len(asked)
    hit = {item.served.event_id for item in found if item.differences}
    assert hit == {str(request["transaction_id"]) for request in asked if request["customer_id"] == customer}
    assert {name.split("__")[0] for item in found for name in item.differences} <= {"customer_spend", "moment"}


def test_an_altered_row_of_bronze_makes_the_audit_name_exactly_the_vectors_that_knew_it(loop: Loop) -> None:
    here = loop.here
    rows = newest(here.lake, days=8)
    event = some_event(here.lake, before=min(time_of(orjson.loads(row["request"])) for row in rows) + 4 * DAY)
    with altered(here.lake, event):
        found = audit(here.lake, here.pipeline, served_rows(rows))
    hit = {(item.served.request_id, item.served.event_id) for item in found if item.differences}
    assert hit == {(row["request_id"], row["event_id"]) for row in rows if knew(row, event)}
    assert 0 < len(hit) < len(found) / 10


@pytest.mark.parametrize(("change", "difference"), [("dropped", -1), ("doubled", 1)])
def test_an_event_more_or_less_and_the_sums_do_not_close(
    loop: Loop, tmp_path: Path, change: str, difference: int
) -> None:
    here = loop.here
    shutil.copytree(loop.home / "lake" / "fraud", tmp_path / "fraud")
    lake, ends = Lake(str(tmp_path), "fraud"), broker_ends(here)
    stream = here.pipeline.events
    assert closes(event_figures(lake, here.pipeline, stream, ends))
    files = Path(tmp_path, "fraud", "silver", stream.name).glob("*/*.parquet")
    file = max((path for path in files if "_delta_log" not in path.parts), key=lambda path: path.stat().st_size)
    table = pq.read_table(file)
    pq.write_table(table.slice(1) if change == "dropped" else pa.concat_tables([table, table.slice(0, 1)]), file)
    after = event_figures(lake, here.pipeline, stream, ends)
    assert not closes(after)
    assert accounted(after) - after["produced"] == difference


def test_a_calm_world_raises_no_alarm_and_nothing_is_retrained(calm: dict[str, Any]) -> None:
    assert calm["drift"]
    assert [row for row in calm["drift"] if row["alarm"]] == []
    assert len(calm["decisions"]) >= 12
    assert {row["action"] for row in calm["decisions"]} == {"hold"}
    assert calm["serving"]["failed"] == calm["audit"]["mismatched"] == 0


def test_a_good_challenger_in_place_of_the_control_is_not_rolled_back(calm: dict[str, Any]) -> None:
    moves = [row["move"] for row in calm["promotions"] if row["from"] is not None]
    assert moves.count("shadow") == 2
    assert "rollback" not in moves


def newest(lake: Lake, *, days: int) -> list[dict[str, Any]]:
    """What the run itself answered and audited about the last days, each vector once."""
    audited = set(lake.read("audits", columns=["request_id"]).column("request_id").to_pylist())
    last = max(lake.read("predictions", columns=["event_time"]).column("event_time").to_pylist())
    rows = lake.read("predictions", where=ds.field("event_time") > last - days * DAY).to_pylist()
    once = {(row["request_id"], row["event_id"]): row for row in rows if row["request_id"] in audited}
    return list(once.values())


def busiest(keys: list[int]) -> int:
    return max(sorted(set(keys)), key=keys.count)


def time_of(request: dict[str, Any]) -> int:
    instant = pa.array([request["event_time"]]).cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    found: int = instant[0].as_py()
    return found


def ask(url: str, requests: list[dict[str, Any]]) -> list[str]:
    """Score events again, some at a time; the ids of the answers."""
    ids = []
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        for first in range(0, len(requests), 20):
            answer = client.post("/score", content=orjson.dumps({"events": requests[first : first + 20]}))
            assert answer.status_code == httpx.codes.OK, answer.text
            ids.append(answer.json()["request_id"])
    return ids


@contextmanager
def flipped(home: Path, pipeline: Pipeline, key: int, before: int) -> Iterator[None]:
    """The last event of a customer before a moment does not count in the store while the block runs: one bit less."""
    store = sqlite3.connect(home / "online" / "fraud.db", timeout=30)
    (head,) = store.execute('SELECT head FROM "heads customer_spend" WHERE key = ?', (key,)).fetchone()
    words = np.frombuffer(head, np.int64).copy()
    rows = words[3:].reshape(-1, width(pipeline.view("customer_spend")))
    rows[np.searchsorted(rows[:, TIME], before) - 1, FLAGS] ^= PRESENT
    update = 'UPDATE "heads customer_spend" SET head = ? WHERE key = ?'
    with store:
        store.execute(update, (words.tobytes(), key))
    try:
        yield
    finally:
        with store:
            store.execute(update, (head, key))
        store.close()


@dataclass(frozen=True)
class Event:
    """One archived transaction as it came."""

    position: int
    id: int
    time: int
    customer: int
    terminal: int


def some_event(lake: Lake, before: int) -> Event:
    """The last transaction before a moment that came once, as an accepted event of a topic."""
    topic = pc.starts_with(ds.field("_source"), "kafka:")
    rows = lake.read("silver/transactions", where=topic & (ds.field("_time") < before)).to_pylist()
    archived = lake.read("events/transactions", columns=["payload"]).column("payload")
    found = pc.extract_regex(archived.cast(pa.string()), r'"transaction_id":(?P<id>\d+)')
    copies = Counter(pc.struct_field(found, "id").to_pylist())
    once = [row for row in rows if copies[str(row["_id"])] == 1]
    last = max(once, key=lambda row: row["_time"])
    return Event(last["_position"], last["_id"], last["_time"], last["customer_id"], last["terminal_id"])


@contextmanager
def altered(lake: Lake, event: Event) -> Iterator[None]:
    """The amount of one event in bronze is another while the block runs."""
    folder = Path(lake.uri("events/transactions").removeprefix("file://"))
    for file in sorted(path for path in folder.rglob("*.parquet") if "_delta_log" not in path.parts):
        table = pq.read_table(file)
        mine = pc.and_(pc.starts_with(table["source"], "kafka:"), pc.equal(table["position"], event.position))
        if pc.any(mine).as_py():
            break
    whole = file.read_bytes()
    payloads = [
        changed(payload) if hit else payload
        for payload, hit in zip(table["payload"].to_pylist(), mine.to_pylist(), strict=True)
    ]
    at = table.schema.get_field_index("payload")
    pq.write_table(table.set_column(at, table.schema.field(at), pa.array(payloads, table.schema.field(at).type)), file)
    try:
        yield
    finally:
        file.write_bytes(whole)


def changed(payload: bytes) -> bytes:
    row = orjson.loads(payload)
    return orjson.dumps({**row, "amount": round(row["amount"] + 1.0, 2)})


def knew(row: dict[str, Any], event: Event) -> bool:
    """Whether a vector's windows of the amount hold the event, by the definition alone."""
    request, position = orjson.loads(row["request"]), json.loads(row["knowledge"])["positions"]
    near = event.customer == request["customer_id"] or event.terminal == request["terminal_id"]
    at, own = row["event_time"], request["transaction_id"]
    before = at - LONGEST < event.time and (event.time, event.id) < (at, own)
    return near and before and event.position < position["fraud.transactions/0"]


def test_the_settings_of_these_tests_are_those_of_the_run(loop: Loop) -> None:
    assert settings().places.home == loop.home
    assert CALM.endswith("calm.py")
