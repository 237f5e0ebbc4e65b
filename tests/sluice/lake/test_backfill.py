"""The backfill's vectors and tiles are the batch kernel's, however the work is dealt and whatever died before."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.declare.operate import KnowledgeTime
from sluice.declare.pipeline import Pipeline
from sluice.engine.arrivals import scored
from sluice.engine.build import build
from sluice.engine.encode import integers
from sluice.engine.fold import load_base
from sluice.engine.history import keep, rows
from sluice.engine.labels import label_at
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import vectors
from sluice.errors import DataError
from sluice.lake.plan import Plan
from sluice.lake.tiles import standing
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.lake.tile_tables import in_order
from tests.sluice.stream.feeds import START, Message, feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline
from tests.sluice.stream.reference import answered, computed, questions

pytestmark = pytest.mark.integration

AT = START + 20 * HOUR
MESSAGES = feed(seed=31, size=900)
dealt = pytest.mark.parametrize(
    ("parts", "most"), [(2, 10**6), (8, 10**6), (2, 40)], ids=["2 buckets", "8 buckets", "2 buckets, cut by time"]
)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files, then events of topics, with corrections of each by the other."""
    made = History(tmp_path_factory.mktemp("ingested"), pipeline)
    made.deliver("files", MESSAGES[:500])
    made.produce(MESSAGES[500:])
    made.archive()
    made.ingest_archived("archived", AT)
    return made.folder


@pytest.fixture
def history(ingested: Path, tmp_path: Path) -> History:
    """A copy of it for a test of its own."""
    shutil.copytree(ingested / "lake", tmp_path / "lake")
    return History(tmp_path, pipeline)


def plan(history: History, *, base: int | None = None, at: int = AT, parts: int = 3, most: int = 10**6) -> Plan:
    newest = history.lake.version("batches")
    return Plan(str(FILE), str(history.folder / "lake"), newest if base is None else base, at, parts, most)


def expected(
    declared: Pipeline, events: dict[str, pa.Table], at: int, knowledge: KnowledgeTime = "event_time"
) -> pa.Table:
    """The vectors table by the plainest use of the engine."""
    asked = scored(events[declared.events.name], knowledge)
    ids, times = asked.column("_id").combine_chunks(), integers(asked.column("_time"))[0]
    label, known = label_at(declared.label, events, ids, times, at)
    channels = pa.array(["pos", "web"]).take(asked.column("channel").combine_chunks())
    head = {"event_id": ids, "event_time": asked.column("_time")}
    head |= {key: asked.column(key) for key in declared.keys} | {"segment": channels}
    head |= {"label": pa.array(label, pa.int8(), mask=~known)}
    return pa.table({**head, **dict(vectors(declared, events, asked, knowledge=knowledge).to_pydict())}).sort_by(
        "event_id"
    )


def published(history: History) -> pa.Table:
    return history.lake.read("vectors").sort_by("event_id")


@dealt
def test_vectors_are_those_of_the_kernel_however_the_work_is_dealt(history: History, parts: int, most: int) -> None:
    backfill(Here(), plan(history, parts=parts, most=most))

    found, wanted = published(history), expected(pipeline, dict(history.versions()), AT)
    assert found.to_pydict() == wanted.to_pydict()
    assert found.column_names == wanted.column_names
    assert len(found) > 400
    assert found.column("label").null_count > 0
    assert found.column("bank").null_count > 0


@dealt
def test_tiles_are_those_of_all_events_at_once(history: History, parts: int, most: int) -> None:
    backfill(Here(), plan(history, parts=parts, most=most))

    for view in pipeline.windows:
        counted = rows(view, history.versions(), kept=keep(pipeline))
        built = build(view, counted, since=AT - view.horizon)
        assert in_order(standing(history.lake, view).to_pylist()) == in_order(built.to_pylist())


def test_tiles_in_a_store_answer_what_is_asked_from_their_moment_on_as_the_kernel_computes(history: History) -> None:
    backfill(Here(), plan(history))
    store, events = MemoryStore(), history.versions()

    made = {view.name: standing(history.lake, view) for view in pipeline.windows}
    load_base(pipeline, store, 0, made, events)

    asked = [row for row in questions(MESSAGES, seed=1, size=300) if row["paid_at"] >= rfc3339(AT)]
    assert len(asked) > 100
    assert answered(pipeline, store, asked) == computed(pipeline, events, asked)


def test_a_label_is_what_was_known_at_the_moment(history: History) -> None:
    backfill(Here(), plan(history, at=START + 8 * HOUR))
    early = published(history).column("label")
    backfill(Here(), plan(history, at=START + 10**6 * HOUR))
    late = published(history).column("label")

    assert late.null_count == 0
    told = pc.is_valid(early)
    assert 0 < pc.sum(told).as_py() < len(early)


def test_the_base_says_which_batches_are_history(history: History) -> None:
    files_only = 1  # one row of `batches` for each stream
    backfill(Here(), plan(history, base=files_only))

    events = {name: _of_batch(history, name, "files") for name in history.versions()}
    assert published(history).to_pydict() == expected(pipeline, events, AT).to_pydict()
    assert len(published(history)) < len(expected(pipeline, dict(history.versions()), AT))


def test_running_again_adds_nothing(history: History) -> None:
    first = backfill(Here(), plan(history))
    files = sorted((history.folder / "lake").rglob("*"))

    assert backfill(Here(), plan(history, parts=2)) == first
    assert sorted((history.folder / "lake").rglob("*")) == files


def test_a_new_backfill_replaces_the_one_before(history: History) -> None:
    first = backfill(Here(), plan(history, base=1))
    second = backfill(Here(), plan(history))

    assert (first, second) == (0, 1)
    assert published(history).to_pydict() == expected(pipeline, dict(history.versions()), AT).to_pydict()


def test_a_run_that_died_between_two_tables_is_completed(history: History) -> None:
    class Died(Exception):
        pass

    dying = plan(history)
    left = history.lake.uri(f"tiles/spend/{dying.folder}")

    class Dying(Here):
        def each(self, task, work, *, rows):
            found = super().each(task, work, rows=rows)
            if Path(left).exists():
                raise Died
            return found

    with pytest.raises(Died):
        backfill(Dying(), dying)
    assert history.lake.open("tiles/spend") is None

    backfill(Here(), plan(history))

    assert published(history).to_pydict() == expected(pipeline, dict(history.versions()), AT).to_pydict()
    assert not list(Path(history.lake.uri("work")).iterdir())


def test_a_stream_that_has_told_nothing_yet_is_enough(tmp_path: Path) -> None:
    history = History(tmp_path, pipeline)
    history.deliver("files", [message for message in MESSAGES[:300] if message.stream == "payments"])

    backfill(Here(), plan(history, at=START + 12 * HOUR))

    labels = published(history).column("label")
    assert set(labels.to_pylist()) == {0, None}
    for view in ("reports", "claims"):
        found = standing(history.lake, pipeline.view(view))
        assert (len(found), found.column_names) == (0, ["key", "start", "body", "first", "last"])


def test_a_view_that_lost_all_its_events_has_no_tiles_left(tmp_path: Path) -> None:
    history = History(tmp_path, pipeline)
    told = [message for message in feed(seed=3, size=80) if not message.headers]
    history.deliver("files", told)
    backfill(Here(), plan(history, at=told[-1].at))
    assert len(standing(history.lake, pipeline.view("claims"))) > 0

    taken_back = [
        Message("disputes", message.payload, message.at, [("_revision", b"9"), ("_op", b"delete")])
        for message in told
        if message.stream == "disputes"
    ]
    history.deliver("again", taken_back)
    backfill(Here(), plan(history))

    assert len(standing(history.lake, pipeline.view("claims"))) == 0


def test_files_that_delta_has_compacted_are_read(history: History) -> None:
    wanted = expected(pipeline, dict(history.versions()), AT)
    for stream in ("payments", "disputes"):
        table = history.lake.open(f"silver/{stream}")
        before = table.file_uris()
        table.optimize.compact()
        assert set(history.lake.open(f"silver/{stream}").file_uris()).isdisjoint(before)

    backfill(Here(), plan(history))

    assert published(history).to_pydict() == wanted.to_pydict()


@pytest.mark.parametrize("name", ["a b", "é#?"])
def test_a_lake_may_be_in_any_folder(ingested: Path, tmp_path: Path, name: str) -> None:
    history = History(tmp_path / name, pipeline)
    shutil.copytree(ingested / "lake", history.folder / "lake")

    backfill(Here(), plan(history))

    assert published(history).to_pydict() == expected(pipeline, dict(history.versions()), AT).to_pydict()


def test_a_lake_may_be_named_by_a_uri(history: History) -> None:
    named = replace(plan(history), lake=(history.folder / "lake").as_uri())

    backfill(Here(), named)

    assert published(history).to_pydict() == expected(pipeline, dict(history.versions()), AT).to_pydict()


def test_a_column_that_is_younger_than_a_file_is_null_in_it(history: History) -> None:
    folder = Path(history.lake.uri("silver/payments"))
    older = next(path for path in folder.rglob("*.parquet") if "country" in pq.read_schema(path).names)
    pq.write_table(pq.read_table(older).drop(["country"]), older)

    backfill(Here(), plan(history))

    country = published(history).column("moment__channel_x_country")
    assert 0 < country.null_count < len(country)


def test_without_published_history_there_is_nothing_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no published history"):
        backfill(Here(), plan(History(tmp_path, pipeline)))


def _of_batch(history: History, stream: str, batch: str) -> pa.Table:
    from sluice.engine.encode import encode

    silver = history.lake.read(f"silver/{stream}", where=pc.field("_batch") == batch)
    return encode(silver, pipeline.stream(stream))
