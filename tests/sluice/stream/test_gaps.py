"""A real topic into history: beside files nothing is missed or doubled, and what its broker dropped is an incident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import orjson
import pytest
from kafka import KafkaAdminClient, TopicPartition

from sluice.clock import rfc3339
from sluice.declare.durations import MINUTE
from sluice.declare.loading import load_pipeline
from sluice.errors import GateStopped
from sluice.lake.accounts import accounts
from sluice.lake.delivery import Delivery
from sluice.lake.workers import Here
from sluice.stream.backlog import Backlog, bring
from sluice.stream.spans import Asked
from sluice.stream.topics import stream_topic
from spark_jobs.ingest import ingest
from tests.doctor import ailments
from tests.sluice.stream.feeds import START, Message
from tests.sluice.stream.runs import archived, finish, produced
from tests.sluice.stream.workers import Place

pytestmark = pytest.mark.integration

CUT, LAST = 20, 40
"""Payment n comes n minutes after START; files have those from before the twentieth."""


@pytest.fixture
def hybrid(place: Place) -> Place:
    """A place whose payments are in files up to the cut, and in the topic from there on."""
    declared = f'hybrid=Hybrid("{rfc3339(START + CUT * MINUTE)}", silence="3min"),'
    text = place.file.read_text().replace("import (", "import (\n    Hybrid,", 1)
    file = place.file.with_name("hybrid.py")
    file.write_text(text.replace('accept_late="2h",', f'accept_late="2h",\n    {declared}', 1))
    return replace(place, file=file, pipeline=load_pipeline(str(file)))


def payments(first: int, last: int) -> list[Message]:
    """The payments of some numbers, both included, each known when it happened."""
    own = {"card": 1, "shop": "a", "amount": 5, "channel": "pos"}
    times = {number: START + number * MINUTE for number in range(first, last + 1)}
    return [
        Message("payments", orjson.dumps({"payment_id": number, "paid_at": rfc3339(at), **own}), at)
        for number, at in times.items()
    ]


def take(place: Place, batch: str, files: Sequence[Message] = ()) -> None:
    """Ingest a file of messages, or without any what was archived."""
    path = place.folder / f"{batch}.jsonl"
    path.write_bytes(b"\n".join(message.payload for message in files))
    how = {"files": [("payments", path)]} if files else {"from_bronze": True}
    ingest(Here(), Delivery(str(place.file), str(place.folder / "lake"), batch, START + LAST * MINUTE, **how))


def drop(place: Place, before: int) -> str:
    """Have the broker drop the beginning of the topic; what the topic is called in history."""
    topic = stream_topic(place.pipeline.name, "payments")
    admin = KafkaAdminClient(bootstrap_servers=place.bootstrap)
    admin.delete_records({TopicPartition(topic, 0): before})
    admin.close()
    return f"kafka:{topic}/0"


def verdict(place: Place, batch: str, rule: str) -> str:
    rows = place.lake.rows("verdicts")
    (found,) = [row for row in rows if (row["batch"], row["rule"], row["stream"]) == (batch, rule, "payments")]
    return str(found["verdict"])


@pytest.mark.parametrize("overlap", [0, 7])
def test_where_files_and_a_topic_overlap_each_event_is_there_once(hybrid: Place, overlap: int) -> None:
    take(hybrid, "file", payments(1, CUT + 1))
    produced(hybrid, payments(CUT - overlap, LAST))
    finish(hybrid, "archive", lambda: archived(hybrid) == CUT + 1 + LAST - CUT + overlap + 1)
    take(hybrid, "topic")
    found = accounts(hybrid.lake, "payments")
    assert (found.silver, found.duplicates, found.missing) == (LAST, overlap + 2, 0)
    assert verdict(hybrid, "topic", "seam") == "pass"
    assert ailments(hybrid.lake, hybrid.pipeline) == []


def test_a_topic_whose_broker_dropped_its_beginning_is_an_incident_and_what_is_left_is_history(hybrid: Place) -> None:
    take(hybrid, "file", payments(1, CUT - 1))
    produced(hybrid, payments(CUT, LAST))
    topic = drop(hybrid, 6)
    finish(hybrid, "archive", lambda: archived(hybrid) == LAST - 6)
    with pytest.raises(GateStopped, match=f"seam: positions 0 to 5 of {topic} are not there"):
        take(hybrid, "topic")
    assert accounts(hybrid.lake, "payments").silver == LAST - 6
    assert verdict(hybrid, "topic", "seam") == "stop"


def test_positions_that_are_missing_between_two_batches_are_an_incident(place: Place) -> None:
    range_of = partial(Backlog, place.lake, place.bootstrap, place.pipeline.stream("payments"))
    produced(place, payments(0, LAST))
    bring(Here(), range_of(Asked(until_offset=10)), lambda _: None)
    take(place, "one")
    topic = drop(place, 15)
    bring(Here(), range_of(Asked()), lambda _: None)
    with pytest.raises(GateStopped, match=f"positions: positions 10 to 14 of {topic} are not there"):
        take(place, "two")
    assert accounts(place.lake, "payments").silver == LAST + 1 - 5
