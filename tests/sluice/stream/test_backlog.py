"""A range of a topic that a job brings is what an archive would write, each record once, whoever was there first."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, TopicPartition

from sluice.errors import UserError
from sluice.lake.contract import ERASED
from sluice.lake.forgetting.erasures import ANNOUNCED, ENTITY, Receipt, announce
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from sluice.settings import settings
from sluice.stream.archive import Archive, application_of
from sluice.stream.backlog import Backlog, Brought, bring
from sluice.stream.memory import MemoryTopics
from sluice.stream.spans import Asked, Span, rows_of
from sluice.stream.subscription import Subscription
from sluice.stream.topics import stream_topic
from tests.doctor import ailments
from tests.sluice.stream.feeds import START, feed
from tests.sluice.stream.runs import finish, produced, wait_for
from tests.sluice.stream.workers import ROOT, Place

pytestmark = pytest.mark.integration

SIZE, SPAN = 900, 25
MESSAGES = feed(seed=61, size=SIZE)


@pytest.fixture
def topics(place: Place) -> MemoryTopics:
    return produced(place, MESSAGES)


def backlog(place: Place, stream: str = "payments", **asked: int) -> Backlog:
    return Backlog(place.lake, place.bootstrap, place.pipeline.stream(stream), Asked(**asked), SPAN)


def brought(place: Place, stream: str = "payments", **asked: int) -> Brought:
    return bring(Here(), backlog(place, stream, **asked), lambda _: None)


def archive(place: Place, lake: Lake, until: int) -> Archive:
    """An archive that has read a topic up to an offset."""
    made = Archive(place.pipeline, lake, place.bootstrap)
    topic = stream_topic(place.pipeline.name, "payments")
    with Subscription(place.bootstrap, [topic], made._start, most=50) as subscription:
        while (made._reached((topic, 0)) or -1) < until - 1:
            made.write([record for record in subscription.poll(200) if record.offset < until])
    return made


def rows(lake: Lake, stream: str = "payments") -> list[dict[str, Any]]:
    table = lake.read(f"events/{stream}").sort_by([("partition", "ascending"), ("position", "ascending")])
    return table.to_pylist()


def archived(place: Place, folder: Path, stream: str = "payments") -> list[dict[str, Any]]:
    """What an archive that nobody disturbs makes of the topic."""
    lake, topic = Lake(str(folder), place.pipeline.name), stream_topic(place.pipeline.name, stream)
    made = Archive(place.pipeline, lake, place.bootstrap)
    with Subscription(place.bootstrap, [topic], lambda _: None) as subscription:
        ends = subscription.ends()
        while any(lake.reached_by(f"events/{stream}", application_of(at)) != end - 1 for at, end in ends.items()):
            made.write(subscription.poll(200))
    return rows(lake, stream)


def test_what_is_brought_is_what_an_archive_writes(place: Place, topics: MemoryTopics, tmp_path: Path) -> None:
    for stream in ("payments", "disputes"):
        done = brought(place, stream)
        held = topics.records[stream_topic(place.pipeline.name, stream)]
        assert (done.rows, done.archived, done.gaps) == (len(held), 0, [])
        assert rows(place.lake, stream) == archived(place, tmp_path / "other", stream)


def test_it_goes_on_behind_an_archive_and_the_archive_behind_it(
    place: Place, topics: MemoryTopics, tmp_path: Path
) -> None:
    first = archive(place, place.lake, 130)
    done = brought(place, until_offset=400)
    assert (done.rows, done.archived) == (270, 130)
    assert brought(place, until_offset=400).rows == 0

    topic = stream_topic(place.pipeline.name, "payments")
    with Subscription(place.bootstrap, [topic], lambda _: 130, most=50) as subscription:
        while first._reached((topic, 0)) < len(topics.records[topic]) - 1:
            first.write(subscription.poll(200))
    assert rows(place.lake) == archived(place, tmp_path / "other")


def test_a_running_archive_and_a_job_beside_it_write_each_record_once(
    place: Place, topics: MemoryTopics, tmp_path: Path
) -> None:
    total = sum(len(topics.records[stream_topic(place.pipeline.name, name)]) for name in ("payments", "disputes"))
    with place.worker("archive") as worker:
        for stream in ("payments", "disputes"):
            brought(place, stream)
        assert worker.process.poll() is None
    finish(place, "archive", lambda: sum(map(place.lake.count, ("events/payments", "events/disputes"))) == total)
    for stream in ("payments", "disputes"):
        assert rows(place.lake, stream) == archived(place, tmp_path / "other", stream)
    assert ailments(place.lake, place.pipeline) == []


def test_what_an_archive_brought_meanwhile_is_taken_out_of_a_file(
    place: Place, topics: MemoryTopics, tmp_path: Path
) -> None:
    class Slow(Here):
        """While the job's first spans are read, an archive comes into the middle of the second one."""

        def each(self, task, work, *, rows):
            found = super().each(task, work, rows=rows)
            if place.lake.open("events/payments") is None:
                archive(place, place.lake, 40)
            return found

    done = bring(Slow(), backlog(place), lambda _: None)
    assert done.rows == len(topics.records[stream_topic(place.pipeline.name, "payments")]) - 40
    assert rows(place.lake) == archived(place, tmp_path / "other")


def test_a_job_that_is_killed_goes_on_behind_its_last_commit(
    place: Place, topics: MemoryTopics, tmp_path: Path
) -> None:
    """Killed once some of it is in the lake; the next one tells how much was there."""
    command = [sys.executable, str(ROOT / "spark_jobs" / "topics.py"), "--pipeline", str(place.file), "--span", "10"]
    command += ["--lake", str(place.folder / "lake"), "--bootstrap", place.bootstrap, "--stream", "payments"]
    environment = {**os.environ, "SLUICE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    start = partial(subprocess.Popen, command, env=environment, stdout=subprocess.PIPE, text=True)
    with start() as first:
        wait_for(lambda: place.lake.count("events/payments") >= 100)
        first.kill()
    before = place.lake.count("events/payments")
    total = len(topics.records[stream_topic(place.pipeline.name, "payments")])
    assert 100 <= before < total

    with start() as second:
        told, _ = second.communicate(timeout=120)
    assert second.returncode == 0
    last = (
        f"topics: {total - before} records of {place.pipeline.name}.payments are brought, {before} offsets were there"
    )
    assert last in told
    assert rows(place.lake) == archived(place, tmp_path / "other")
    assert ailments(place.lake, place.pipeline) == []


def test_records_of_a_span_of_time_are_brought_by_their_timestamps(place: Place, topics: MemoryTopics) -> None:
    since, until = START + 3 * 3_600_000_000, START + 6 * 3_600_000_000
    done = brought(place, since=since, until=until)
    held = topics.records[stream_topic(place.pipeline.name, "payments")]
    wanted = [record.offset for record in held if since <= record.timestamp * 1000 < until]
    assert [row["position"] for row in rows(place.lake)] == wanted
    assert done.rows == len(wanted) > 50


def test_a_range_that_would_leave_records_out_before_it_is_refused(place: Place, topics: MemoryTopics) -> None:
    brought(place, until_offset=100)
    with pytest.raises(UserError, match=r"offsets 100 to 199 of .* would be left out for ever"):
        brought(place, from_offset=200)
    assert brought(place, from_offset=50, until_offset=150).rows == 50


def test_what_the_broker_has_dropped_is_told_as_a_gap_and_the_rest_is_brought(
    place: Place, topics: MemoryTopics
) -> None:
    topic = stream_topic(place.pipeline.name, "payments")
    brought(place, until_offset=100)
    admin = KafkaAdminClient(bootstrap_servers=place.bootstrap)
    admin.delete_records({TopicPartition(topic, 0): 160})
    admin.close()
    done = brought(place, until_offset=200)
    assert done.gaps == [f"offsets 100 to 159 of {topic}/0 are gone from the broker"]
    assert done.rows == 40
    assert [row["position"] for row in rows(place.lake)] == [*range(100), *range(160, 200)]


def test_of_what_was_forgotten_its_place_alone_is_brought(
    place: Place, topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_ERASURE_KEY", "a secret")
    settings.cache_clear()
    names, until = pseudonyms_of("a secret"), MESSAGES[-1].at
    told = Receipt("e", ANNOUNCED, "Ada", "a letter", until, "card", names.of("card", 3).hex(), names.name)
    who = {"kind": ENTITY, "of": "card", "hash": names.of("card", 3), "first": None, "until": until}
    announce(place.lake, told, [{"erasure": "e", **who}], None)
    brought(place)
    found = rows(place.lake)
    assert [row["position"] for row in found] == list(range(len(topics.records[backlog(place).topic])))
    assert {row["payload"] for row in found if row["op"] == ERASED} == {b""}
    assert [row for row in found if b'"card":3,' in row["payload"] and row["op"] != ERASED] == []
    assert len([row for row in found if row["op"] == ERASED]) > 5
    settings.cache_clear()


def test_a_stream_without_records_brings_nothing_and_one_without_a_topic_is_a_mistake(place: Place) -> None:
    assert brought(place).rows == 0
    assert place.lake.open("events/payments") is None
    nowhere = Backlog(Lake(str(place.folder), "nowhere"), place.bootstrap, place.pipeline.stream("payments"), Asked())
    with pytest.raises(UserError, match=r"there is no topic .nowhere\.payments"):
        bring(Here(), nowhere, lambda _: None)


def test_a_span_is_read_to_its_end_and_no_further(place: Place, topics: MemoryTopics) -> None:
    topic = stream_topic(place.pipeline.name, "payments")
    found = [row for table in rows_of(place.bootstrap, Span((topic, 0), 17, 33)) for row in table.to_pylist()]
    assert [row["position"] for row in found] == list(range(17, 33))
