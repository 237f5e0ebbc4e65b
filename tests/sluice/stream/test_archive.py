"""What the archive writes: every offset once, events before answers, and nothing when another archive was there."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from sluice.errors import Outage
from sluice.lake.tables import Lake
from sluice.stream.archive import REFUSED, Archive, application_of, brought_by
from sluice.stream.memory import MemoryRecord, MemoryTopics
from sluice.stream.predictions import encode_prediction
from sluice.stream.records import bronze_rows
from tests.sluice.stream.feeds import feed, send
from tests.sluice.stream.payments import pipeline
from tests.sluice.stream.test_predictions import answer

pytestmark = pytest.mark.unit

EVENTS, DISPUTES, ANSWERS = "payments.payments", "payments.disputes", "payments.predictions"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), pipeline.name)


def archive(lake: Lake) -> Archive:
    return Archive(pipeline, lake, bootstrap="")


def answers(*offsets: int) -> list[MemoryRecord]:
    return [MemoryRecord(ANSWERS, 0, offset, 12, encode_prediction(answer())) for offset in offsets]


def events(*offsets: int, topic: str = EVENTS, partition: int = 0) -> list[MemoryRecord]:
    return [MemoryRecord(topic, partition, offset, 12, b"{}") for offset in offsets]


def test_every_record_lands_as_it_came(lake: Lake) -> None:
    topics = MemoryTopics()
    send(pipeline, topics, feed(seed=5, size=300))
    writer = archive(lake)

    writer.write([*topics.records[EVENTS][:100], *topics.records[DISPUTES]])
    writer.write(topics.records[EVENTS][100:])

    for stream, topic in (("payments", EVENTS), ("disputes", DISPUTES)):
        found = lake.read(f"events/{stream}").sort_by("position")
        assert found.to_pylist() == bronze_rows(topics.records[topic], batch="").to_pylist()


def test_a_new_archive_goes_on_where_the_last_one_ended(lake: Lake) -> None:
    archive(lake).write(events(0, 1, 2))

    archive(lake).write(events(3, 4))

    assert lake.read("events/payments").column("position").to_pylist() == [3, 4, 0, 1, 2]


def test_partitions_are_archived_each_from_its_own_position(lake: Lake) -> None:
    writer = archive(lake)
    writer.write([*events(0, 1), *events(0, partition=1)])
    writer.write([*events(1, 2, partition=1), *events(2)])

    found = lake.read("events/payments").select(["partition", "position"]).to_pylist()
    assert sorted((row["partition"], row["position"]) for row in found) == [
        (0, 0),
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
        (1, 2),
    ]


def test_an_archive_that_another_one_overtook_writes_nothing_more(lake: Lake) -> None:
    first, second = archive(lake), archive(lake)
    first.write(events(0))
    second.write(events(1, 2))

    with pytest.raises(Outage, match="another process"):
        first.write(events(1, 2, 3))

    assert sorted(lake.read("events/payments").column("position").to_pylist()) == [0, 1, 2]


def brought(lake: Lake, *offsets: int) -> None:
    """What a job does beside an archive: it moves the archive's mark, and its own with it."""
    place = (EVENTS, 0)
    rows = bronze_rows(events(*offsets), batch="")
    marks = [Transaction(name(place), offsets[-1]) for name in (application_of, brought_by)]
    write_deltalake(
        lake.uri("events/payments"), rows, mode="append", commit_properties=CommitProperties(app_transactions=marks)
    )


def test_an_archive_passes_over_what_a_job_has_brought_beside_it(lake: Lake) -> None:
    writer = archive(lake)
    writer.write(events(0))
    brought(lake, 1, 2, 3)
    writer.write(events(1, 2))
    writer.write(events(3, 4))
    brought(lake, 5)
    brought(lake, 6, 7)
    writer.write(events(5, 6, 7, 8))

    assert sorted(lake.read("events/payments").column("position").to_pylist()) == [*range(9)]


def test_an_archive_that_another_one_overtook_behind_a_job_writes_nothing_more(lake: Lake) -> None:
    first, second = archive(lake), archive(lake)
    first.write(events(0))
    brought(lake, 1, 2)
    second.write(events(3))

    with pytest.raises(Outage, match="another process"):
        first.write(events(1, 2, 3))


def test_answers_are_written_after_the_events_they_were_computed_from(lake: Lake) -> None:
    other = archive(lake)
    other.write(events(0))
    overtaken = archive(lake)
    overtaken.write(events(1))

    with pytest.raises(Outage):
        other.write([*answers(0), *events(1)])

    assert lake.open("predictions") is None


def test_what_is_no_answer_is_kept_once(lake: Lake) -> None:
    garbage = MemoryRecord(ANSWERS, 0, 1, 12, b"{")
    writer = archive(lake)
    writer._keep_refused((ANSWERS, 0), refused_rows([garbage]), last=2)  # killed between the two tables

    archive(lake).write([*answers(0), garbage, *answers(2)])
    archive(lake).write([MemoryRecord(ANSWERS, 0, 3, 12, b"[]")])

    assert sorted(lake.read("predictions").column("position").to_pylist()) == [0, 2]
    assert sorted(lake.read(REFUSED).column("position").to_pylist()) == [1, 3]
    assert lake.reached_by("predictions", f"archive:{ANSWERS}/0") == 3


def refused_rows(records: list[MemoryRecord]):
    from sluice.stream.predictions import prediction_rows

    return prediction_rows(records)[1]
