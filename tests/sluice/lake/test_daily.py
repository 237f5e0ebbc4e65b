"""A backfill that goes on from another leaves what one over everything would, and computes what is new."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from sluice.declare.durations import DAY, HOUR
from sluice.declare.operate import KnowledgeTime
from sluice.declare.pipeline import Pipeline
from sluice.engine.arrivals import counted
from sluice.engine.build import build
from sluice.engine.history import keep, rows
from sluice.lake.backfills import begin
from sluice.lake.buckets import laid
from sluice.lake.plan import Plan
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.lake.test_backfill import expected
from tests.sluice.lake.test_publish import Killed, MortalLake
from tests.sluice.lake.tile_tables import in_order, tiles_at
from tests.sluice.stream import lifelong
from tests.sluice.stream.feeds import START, Message, feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration
PARTS = 2


def gone_on(history: History, at: int, knowledge: KnowledgeTime = "event_time", **options: bool) -> list[str]:
    """Run a backfill over what is published; what it said."""
    told: list[str] = []
    plan = Plan(history.reference, str(history.folder / "lake"), history.lake.version("batches"), at, PARTS, most=100)
    backfill(Here(), plan if knowledge == "event_time" else plan.as_served(), tell=told.append, **options)
    return told


def assert_whole(history: History, at: int) -> None:
    """The tables hold what a backfill over everything would have left."""
    events = dict(history.versions())
    found = history.lake.read("vectors").sort_by("event_id")
    assert found.to_pydict() == expected(history.pipeline, events, at).to_pydict()
    assert_rows(history, "event_time")
    for view in history.pipeline.windows:
        built = build(view, rows(view, events, kept=keep(history.pipeline)), since=at - view.horizon)
        assert tiles_at(history.lake, view, at) == in_order(built.to_pylist())


def assert_rows(history: History, knowledge: KnowledgeTime) -> None:
    """The buckets hold the rows of all events, each as often as they give it."""
    events = dict(history.versions())
    folder = {"event_time": "rows", "as_served": "rows_as_served"}[knowledge]
    for view in history.pipeline.windows:
        wanted = counted(view, events, kept=keep(history.pipeline), knowledge=knowledge)
        found = pa.concat_tables([laid(history.lake, f"{folder}/{view.name}", part) for part in range(PARTS)])
        assert sorted(map(str, found.to_pylist())) == sorted(map(str, wanted.to_pylist()))


def assert_whole_as_served(history: History, at: int) -> None:
    found = history.lake.read("vectors_as_served").sort_by("event_id")
    assert found.to_pydict() == expected(history.pipeline, dict(history.versions()), at, "as_served").to_pydict()
    assert_rows(history, "as_served")


def batches(history: History, seed: int) -> Iterator[int]:
    """Deliver a history in batches, in files or by topics; the clock after each, which only goes on."""
    chance, messages = random.Random(seed), feed(seed=seed, size=800)
    cut = 500
    history.deliver("first", messages[:cut])
    at = messages[cut - 1].at
    yield at
    while cut < len(messages):
        # sometimes nothing arrives but time, which alone brings labels to rest
        following = min(len(messages), cut + chance.choice([0, 40, 120, 200, 250]))
        if following > cut and chance.random() < 0.7:
            history.deliver(f"to {following}", messages[cut:following])
        elif following > cut:
            history.produce(messages[cut:following])
            history.archive()
            history.ingest_archived(f"to {following}", messages[following - 1].at)
        at = max(at, messages[following - 1].at) + chance.randrange(3 * HOUR)
        yield at
        later = [Message(m.stream, m.payload, max(m.at, at), m.headers) for m in messages[following:]]
        messages, cut = [*messages[:following], *later], following


SEEDS = pytest.mark.parametrize("seed", random.SystemRandom().sample(range(10**6), 1))


PIPELINES = pytest.mark.parametrize(
    ("declared", "file"), [(pipeline, str(FILE)), (lifelong.pipeline, lifelong.__file__)], ids=["windows", "lifetimes"]
)


@SEEDS
@PIPELINES
def test_every_new_batch_leaves_what_a_backfill_over_everything_would(
    tmp_path: Path, seed: int, declared: Pipeline, file: str
) -> None:
    history = History(tmp_path, declared, file)
    moments = batches(history, seed)
    assert gone_on(history, next(moments)) == ["computing everything: it is the first"]
    for at in moments:
        (told,) = gone_on(history, at)
        assert told.startswith("going on from")
        assert_whole(history, at)


@SEEDS
@PIPELINES
def test_so_it_does_for_vectors_as_they_were_served(tmp_path: Path, seed: int, declared: Pipeline, file: str) -> None:
    """A file that comes today may say what was known long ago; what was served since is then computed again."""
    history = History(tmp_path, declared, file)
    moments = batches(history, seed)
    assert gone_on(history, next(moments), "as_served") == ["computing everything: it is the first"]
    for at in moments:
        (told,) = gone_on(history, at, "as_served")
        assert told.startswith("going on from")
        assert_whole_as_served(history, at)
    assert history.lake.open("vectors") is None


def test_a_day_added_and_a_whole_backfill_leave_the_same_vectors_as_served(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=12, size=700)
    history.deliver("first", messages[:500])
    gone_on(history, messages[499].at, "as_served")
    history.produce(messages[500:])
    history.archive()
    at = messages[-1].at
    history.ingest_archived("a day", at)
    shutil.copytree(tmp_path / "lake", tmp_path / "other" / "lake")
    other = History(tmp_path / "other", pipeline)

    (added,) = gone_on(history, at, "as_served")
    (whole,) = gone_on(other, at, "as_served", whole=True)

    assert added.startswith("going on from")
    assert whole == "computing everything: so it was asked for"
    added_vectors, whole_vectors = (
        each.lake.read("vectors_as_served").sort_by("event_id") for each in (history, other)
    )
    assert added_vectors.to_pydict() == whole_vectors.to_pydict()
    assert len(added_vectors) > 300


def test_a_label_rests_by_the_time_that_the_request_was_made_at_whatever_is_corrected_later(tmp_path: Path) -> None:
    """Nothing told within ten hours is no fraud: of the first version in the one table, of the last in the other."""
    history = History(tmp_path, pipeline)
    row = {"payment_id": 1, "card": 7, "shop": "a", "bank": None, "amount": 10, "channel": "pos", "country": "DE"}
    first, second = (orjson.dumps({**row, "paid_at": f"2024-02-03T0{hour}:00:00Z"}) for hour in (0, 3))

    def known(message: Message, at: int) -> None:
        history.produce([message])
        history.archive()
        history.ingest_archived(f"until {at}", at)
        gone_on(history, at)
        gone_on(history, at, "as_served")

    known(Message("payments", first, START, []), START + HOUR)
    known(Message("payments", second, START + 4 * HOUR, [("_revision", b"1")]), START + 5 * HOUR)
    gone_on(history, START + 11 * HOUR)
    gone_on(history, START + 11 * HOUR, "as_served")

    labels = {name: history.lake.rows(name)[0]["label"] for name in ("vectors", "vectors_as_served")}
    assert labels == {"vectors": None, "vectors_as_served": 0}


def test_a_quiet_week_changes_nothing_but_labels(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=7, size=300)
    history.deliver("first", messages)
    at = messages[-1].at
    gone_on(history, at)

    (told,) = gone_on(history, at + 7 * DAY)

    assert "0 versions of events are new, 0 vectors and " in told
    assert_whole(history, at + 7 * DAY)
    before = history.lake.open("vectors").file_uris()
    (again,) = gone_on(history, at + 8 * DAY)
    assert again.endswith("0 versions of events are new, 0 vectors and 0 labels change")
    assert history.lake.open("vectors").file_uris() == before


def test_only_the_files_of_touched_days_are_written_again(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=9, size=2_400)
    history.deliver("first", messages)
    at = messages[-1].at
    gone_on(history, at)
    before = set(history.lake.open("vectors").file_uris())

    paid = next(m for m in reversed(messages) if m.stream == "payments" and not m.headers)
    corrected = orjson.dumps({**orjson.loads(paid.payload), "amount": 1.25})
    history.deliver("one", [Message("payments", corrected, at, [("_revision", b"9")])])
    gone_on(history, at)

    gone = before - set(history.lake.open("vectors").file_uris())
    assert len({day_of(file) for file in gone}) == 1
    assert len({day_of(file) for file in before}) > 1
    assert_whole(history, at)


def day_of(file: str) -> str:
    """The day of a file of vectors; one with many events has several."""
    return file.rpartition("/")[2].partition(".")[0].partition("-")[0]


def test_another_declaration_an_earlier_clock_or_a_wish_compute_everything(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=5, size=200)
    history.deliver("first", messages)
    at = messages[-1].at
    gone_on(history, at)

    assert gone_on(history, at - 1) == ["computing everything: the one before is of a later moment"]
    assert gone_on(history, at + 1, whole=True) == ["computing everything: so it was asked for"]
    assert_whole(history, at + 1)


@pytest.mark.parametrize("commits", [2, 5, 7, 9, 11])
def test_a_day_that_died_between_two_tables_is_finished_in_the_buckets_that_it_had(
    tmp_path: Path, commits: int
) -> None:
    """The lake has grown, so that it would be dealt into more of them; what was published is not published again."""
    history, messages = History(tmp_path, pipeline), feed(seed=6, size=500)
    history.deliver("first", messages[:300])
    gone_on(history, messages[299].at)
    history.deliver("second", messages[300:400])
    at = messages[399].at
    lake = MortalLake(str(history.folder / "lake"), pipeline.name, commits)

    class Dying(Plan):
        def tables(self) -> Lake:
            return lake

    asked = (history.reference, str(history.folder / "lake"), history.lake.version("batches"), at, PARTS + 1)
    with pytest.raises(Killed):
        backfill(Here(), Dying(*asked), tell=lambda _: None)
    backfill(Here(), Plan(*asked), tell=lambda _: None)
    assert_whole(history, at)

    history.deliver("third", messages[400:])
    (told,) = gone_on(history, messages[-1].at)
    assert told.startswith("going on from")
    assert_whole(history, messages[-1].at)


def test_a_run_that_died_while_it_published_is_computed_anew(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=6, size=300)
    history.deliver("first", messages[:200])
    gone_on(history, messages[199].at)
    history.deliver("second", messages[200:])
    at = messages[-1].at

    plan = Plan(history.reference, str(history.folder / "lake"), history.lake.version("batches"), at, PARTS)
    begin(plan)

    assert gone_on(history, at) == ["computing everything: the one before was not finished"]
    assert_whole(history, at)
