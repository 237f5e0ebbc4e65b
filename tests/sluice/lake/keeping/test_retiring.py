"""What is older than its retention goes, nothing else does, and the sums close without it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.errors import Outage
from sluice.lake.keeping import holds
from sluice.lake.keeping.holds import Held
from sluice.lake.keeping.keep import DROPPED, apply, show
from sluice.lake.keeping.retired import vectors_since
from sluice.lake.keeping.retiring import old, retire
from sluice.lake.keeping.rewriting import At, drop
from tests.sluice.lake.test_publish import Killed, mortal
from tests.spark_jobs.deliveries import AT, MINUTE, Shop, order, orders, returned
from tests.spark_jobs.test_ingest_formats import sent, take

pytestmark = pytest.mark.integration

FILE = Path(__file__).parent / "kept.py"
PIPELINE = load_pipeline(str(FILE))
LATER = AT + 61 * DAY


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Ten old orders of a file, three of a topic, and two young ones."""
    shop = Shop(tmp_path_factory.mktemp("made"), file=FILE)
    assert shop.deliver("old", orders=orders(1, 10), returns=[returned(1), returned(2)]) is None
    shop.archive("orders", [order(number) for number in (11, 12, 13)])
    assert shop.deliver("archived-1", from_bronze=True) is None
    assert shop.deliver("young", at=LATER, orders=[young(21), young(22)]) is None
    return shop


@pytest.fixture
def shop(made: Shop, tmp_path: Path) -> Shop:
    """The same, for one test."""
    return copied(made, tmp_path / "own")


def copied(shop: Shop, folder: Path) -> Shop:
    shutil.copytree(shop.folder, folder)
    found = Shop(folder, file=FILE)
    found.archived_like(shop)
    return found


def young(number: int, **changes: Any) -> dict[str, Any]:
    return order(number, ordered_at=rfc3339(LATER - number * MINUTE), **changes)


def kept(shop: Shop, at: int = LATER, *, pipeline: Pipeline = PIPELINE) -> dict[str, int]:
    """The rows that go of each table."""
    return {one.table: one.count for one in apply(shop.lake, pipeline, at, ()) if one.what == DROPPED}


def in_format(form: str, folder: Path) -> Path:
    """The same declaration, of orders that come by a topic in a format."""
    written = folder / f"kept_{form}.py"
    written.write_text(FILE.read_text().replace('retention="60d"', f'retention="60d", format="{form}"', 1))
    return written


def ids(shop: Shop, stream: str = "orders") -> list[int]:
    return sorted(found[0] for found in shop.silver("_id", stream=stream))


def test_what_is_older_than_its_retention_goes_and_nothing_else(shop: Shop) -> None:
    assert show(shop.lake, PIPELINE, LATER, ()) == show(shop.lake, PIPELINE, LATER, ())
    assert (len(ids(shop)), shop.lake.count("events/orders")) == (15, 15)
    would = {one.table: one.count for one in show(shop.lake, PIPELINE, LATER, ()) if one.what == DROPPED}
    assert would == kept(shop) == {"events/orders": 13, "silver/orders": 13, "baselines/orders": 10}
    assert ids(shop) == [21, 22]
    assert shop.lake.count("events/orders") == 2
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.retired) == (15, 2, 13)
    assert shop.ailments() == []


def test_a_second_time_there_is_nothing_to_drop(shop: Shop) -> None:
    kept(shop)
    versions = {table: shop.lake.version(table) for table in ("events/orders", "silver/orders", "retirements")}
    assert kept(shop) == {}
    assert {table: shop.lake.version(table) for table in versions} == versions


def test_what_is_a_microsecond_younger_stays(tmp_path: Path) -> None:
    """Sixty days before 2026-03-03 10:40."""
    shop = Shop(tmp_path, file=FILE)
    times = ("2026-01-02T10:39:59.999999Z", "2026-01-02T10:40:00Z")
    assert shop.deliver("a", orders=[order(number, ordered_at=time) for number, time in enumerate(times)]) is None
    kept(shop)
    assert ids(shop) == [1]


def test_an_event_goes_with_all_its_versions_and_copies_or_not_at_all(tmp_path: Path) -> None:
    """Order 1 was corrected to a young time and 2 to an old one; 3 came three times, and 4 with other bytes."""
    shop = Shop(tmp_path, file=FILE)
    first = [*orders(1, 4), order(3), order(4, amount=9)]
    assert shop.deliver("a", orders=first) is None
    assert (
        shop.deliver("b", at=LATER, orders=[young(1, _revision=1), order(2, _revision=1, amount=7), order(3)]) is None
    )
    found = shop.accounts()
    assert (found.duplicates, found.conflicts, found.superseded) == (2, 1, 2)
    kept(shop)
    assert ids(shop) == [1, 1]
    found = shop.accounts()
    assert (found.duplicates, found.conflicts, found.superseded, found.retired) == (0, 0, 1, 7)
    assert shop.lake.count("conflicts/orders") == 0
    assert shop.ailments() == []


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_copies_in_a_topic_with_registered_schemas_go_with_their_event(tmp_path: Path, form: str) -> None:
    shop = Shop(tmp_path, file=in_format(form, tmp_path))
    pipeline = load_pipeline(str(shop.declaration))
    assert shop.deliver("file", orders=orders(1, 2)) is None
    shop.archive("orders", [*(sent(form, number) for number in range(2, 9)), sent(form, 3)])
    take(shop, "topic")
    assert (shop.accounts().silver, shop.accounts().duplicates) == (8, 2)
    would = {one.table: one.count for one in show(shop.lake, pipeline, LATER, ()) if one.what == DROPPED}
    assert would["events/orders"] == kept(shop, pipeline=pipeline)["events/orders"] == 10
    found = shop.accounts()
    assert (found.silver, found.duplicates, found.retired) == (0, 0, 10)
    assert shop.ailments() == []


def test_what_tells_about_an_event_stays_as_long_as_it_does(shop: Shop) -> None:
    """Returns are kept for ninety days; one is told of a young order with a time that is long ago."""
    odd = returned(22, told_at="2025-11-01 10:00:00")
    assert shop.deliver("odd", at=LATER, returns=[odd, returned(99, told_at="2025-11-01 10:00:00")]) is None
    kept(shop)
    assert ids(shop, "returns") == [1001, 1002, 1022]
    kept(shop, AT + 91 * DAY)
    assert ids(shop, "returns") == [1022]
    assert shop.accounts("returns").retired == 3
    assert shop.ailments() == []


def test_refused_rows_go_when_their_batch_is_old_and_stopped_batches_when_nobody_looks_at_them(tmp_path: Path) -> None:
    shop = Shop(tmp_path, file=FILE)
    assert shop.deliver("a", orders=[order(1), order(2, channel="fax"), order(3, amount=-1)]) is None
    shop.archive("orders", [b"{torn", order(4)])
    assert shop.deliver("archived-1", from_bronze=True) is None
    kept(shop, AT + 60 * DAY)
    assert shop.lake.count("quarantine/orders") == 3
    kept(shop, AT + 60 * DAY + 1)
    assert (shop.lake.count("quarantine/orders"), shop.lake.count("events/orders")) == (0, 0)
    assert shop.accounts().retired == 5
    assert shop.ailments() == []


def test_what_nobody_has_judged_yet_stays(shop: Shop) -> None:
    shop.archive("orders", [order(14), order(11)])
    kept(shop)
    found = shop.accounts()
    assert (found.waiting, found.silver, found.retired) == (2, 2, 13)
    assert shop.deliver("archived-2", at=LATER, from_bronze=True) is None
    assert ids(shop) == [11, 14, 21, 22]


def test_the_same_file_again_adds_nothing_after_its_rows_have_gone(shop: Shop) -> None:
    file = shop.folder / "old-orders.parquet"
    kept(shop)
    assert shop.deliver("again", at=LATER, orders=file) is None
    assert ids(shop) == [21, 22]


def test_vectors_begin_where_their_windows_see_everything(shop: Shop) -> None:
    """Orders are there from sixty days before on, and a window reaches seven days back."""
    assert vectors_since(shop.lake, PIPELINE) is None
    kept(shop)
    assert vectors_since(shop.lake, PIPELINE) == LATER - 60 * DAY + 7 * DAY


def test_under_a_hold_nothing_of_an_entity_goes(shop: Shop) -> None:
    """Orders 1, 4, 7, 10 and 13 are customer c1's; order 1 came back."""
    hold = holds.place(shop.lake, PIPELINE, "customer=c1", by="Ada", because="a case", at=LATER)
    told = apply(shop.lake, PIPELINE, AT + 91 * DAY, ())
    assert ids(shop) == [1, 4, 7, 10, 13, 21, 22]
    assert ids(shop, "returns") == [1001]
    assert "legal holds on entities: their events, and every refused row, stay" in {one.because for one in told}
    assert shop.ailments() == []
    holds.lift(shop.lake, hold.hold, by="Bob", because="it is closed", at=AT + 91 * DAY)
    kept(shop, AT + 91 * DAY)
    assert ids(shop) == [21, 22]
    assert ids(shop, "returns") == []
    assert shop.ailments() == []


@pytest.mark.parametrize("on", ["orders", "quarantine/orders"])
def test_under_a_hold_on_a_table_nothing_of_its_stream_goes(shop: Shop, on: str) -> None:
    assert shop.deliver("bad", orders=[order(5, channel="fax", order_id=50)]) is None
    hold = holds.place(shop.lake, PIPELINE, on, by="Ada", because="a case", at=LATER)
    told = apply(shop.lake, PIPELINE, LATER, ())
    assert len(ids(shop)) == 15
    assert f"legal hold {hold.hold} on {on}" in {one.because for one in told}


def test_one_that_dies_before_any_commit_is_finished_by_the_next(made: Shop, tmp_path: Path) -> None:
    """An announcement, a commit for each of eight tables, and the end, for orders; then those of returns."""
    whole = copied(made, tmp_path / "whole")
    kept(whole, AT + 91 * DAY)
    for commits in (0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 19):
        shop = copied(made, tmp_path / f"after-{commits}")
        with pytest.raises(Killed):
            apply(mortal(shop.lake, commits), PIPELINE, AT + 91 * DAY, ())
        told = shop.ailments()
        half = commits not in (0, 10)
        assert told == (["retention is finished: " + told[0].partition(": ")[2]] if half else [])
        kept(shop, AT + 91 * DAY)
        for stream in ("orders", "returns"):
            assert shop.accounts(stream) == whole.accounts(stream)
            assert shop.silver("_id", "_position", stream=stream) == whole.silver("_id", "_position", stream=stream)
        assert shop.ailments() == []
        # what was never announced stays until a vacuum finds it old
        assert len(list((shop.folder / "lake" / "shop" / "retiring").iterdir())) == (0 if half else 1)


def test_of_two_that_keep_at_once_one_does(shop: Shop) -> None:
    """The other one has looked before, and comes to announce what has gone by then."""
    found = old(shop.lake, PIPELINE.events, LATER, Held())
    kept(shop)
    with pytest.raises(Outage, match="another process has moved"):
        retire(shop.lake, found, LATER)
    with pytest.raises(Killed):
        apply(mortal(shop.lake, 4), PIPELINE, AT + 91 * DAY, ())
    with pytest.raises(Outage, match="another process is taking old events out, or has died"):
        retire(shop.lake, old(shop.lake, PIPELINE.streams[1], AT + 91 * DAY, Held()), LATER)
    kept(shop, AT + 91 * DAY)
    assert (shop.accounts().retired, shop.accounts("returns").retired) == (13, 2)
    assert shop.ailments() == []


def test_a_replay_of_another_stream_with_the_same_place_stays(shop: Shop) -> None:
    """A label inside a row makes two events of one row of a file."""
    row = {"replay": "r", "stream": "returns", "source": "file:x", "partition": 0, "position": 1}
    shop.lake.append("replays", pa.Table.from_pylist([row, {**row, "stream": "orders"}]))
    places = pa.table({"source": ["file:x"], "partition": pa.array([0], pa.int32()), "position": [1]})
    assert drop(shop.lake, "replays", At(places, stream="orders")).rows == 1
    assert [one["stream"] for one in shop.lake.rows("replays")] == ["returns"]
