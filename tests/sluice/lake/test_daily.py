"""A backfill that goes on from another leaves what one over everything would, at the cost of what is new."""

from __future__ import annotations

import random
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from sluice.declare.durations import DAY, HOUR
from sluice.engine.build import build
from sluice.engine.history import keep, rows
from sluice.lake.backfills import begin
from sluice.lake.buckets import laid, place
from sluice.lake.plan import Plan
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.lake.test_backfill import expected
from tests.sluice.stream.feeds import Message, feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration
PARTS = 2


def gone_on(history: History, at: int, **options: bool) -> list[str]:
    """Run a backfill over what is published; what it said."""
    told: list[str] = []
    plan = Plan(str(FILE), str(history.folder / "lake"), history.lake.version("batches"), at, PARTS, most=100)
    backfill(Here(), plan, tell=told.append, **options)
    return told


def assert_whole(history: History, at: int) -> None:
    """The tables hold what a backfill over everything would have left."""
    events = dict(history.versions())
    found = history.lake.read("vectors").sort_by("event_id")
    assert found.to_pydict() == expected(pipeline, events, at).to_pydict()
    order = [("key", "ascending"), ("start", "ascending")]
    for view in pipeline.windows:
        counted = rows(view, events, kept=keep(pipeline))
        built = build(view, counted, since=at - view.horizon).sort_by(order)
        assert history.lake.read(f"tiles/{view.name}").sort_by(order).to_pylist() == built.to_pylist()
        parts = [
            laid(history.lake, view, history.lake.version(place(view)), part, since=None, fresh=None)
            for part in range(PARTS)
        ]
        assert sorted(map(str, pa.concat_tables(parts).to_pylist())) == sorted(map(str, counted.to_pylist()))


@pytest.mark.parametrize("seed", random.SystemRandom().sample(range(10**6), 1))
def test_every_new_batch_leaves_what_a_backfill_over_everything_would(tmp_path: Path, seed: int) -> None:
    history, chance = History(tmp_path, pipeline), random.Random(seed)
    messages = feed(seed=seed, size=800)
    cut = 500
    history.deliver("first", messages[:cut])
    at = messages[cut - 1].at
    assert gone_on(history, at) == ["computing everything: it is the first"]
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
        (told,) = gone_on(history, at)
        assert told.startswith("going on from")
        assert_whole(history, at)
        later = [Message(m.stream, m.payload, max(m.at, at), m.headers) for m in messages[following:]]
        messages, cut = [*messages[:following], *later], following


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

    kept = before & set(history.lake.open("vectors").file_uris())
    assert len(kept) == len(before) - 1
    assert_whole(history, at)


def test_another_declaration_an_earlier_clock_or_a_wish_compute_everything(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=5, size=200)
    history.deliver("first", messages)
    at = messages[-1].at
    gone_on(history, at)

    assert gone_on(history, at - 1) == ["computing everything: the one before is of a later moment"]
    assert gone_on(history, at + 1, whole=True) == ["computing everything: so it was asked for"]
    assert_whole(history, at + 1)


def test_a_run_that_died_while_it_published_is_computed_anew(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=6, size=300)
    history.deliver("first", messages[:200])
    gone_on(history, messages[199].at)
    history.deliver("second", messages[200:])
    at = messages[-1].at

    plan = Plan(str(FILE), str(history.folder / "lake"), history.lake.version("batches"), at, PARTS)
    begin(plan)

    assert gone_on(history, at) == ["computing everything: the one before was not finished"]
    assert_whole(history, at)
