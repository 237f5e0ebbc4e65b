"""The online store is started from history: whole, or divided among the routers and shards that the topics have."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import pyarrow as pa
import pytest

from flows.features import load_online
from sluice.engine.encode import encode
from sluice.engine.fold import load_base
from sluice.engine.places import open_store
from sluice.engine.shards import Spread, open_online, remember
from sluice.engine.store import MemoryStore, TileStore
from sluice.errors import Outage
from sluice.lake.contract import check
from sluice.lake.forgetting.erasures import ANNOUNCED, Receipt, announce
from sluice.lake.publish import BATCHES
from sluice.lake.tables import Lake
from sluice.lake.tiles import Stamp, stamped
from sluice.settings import settings
from sluice.stream.memory import MemoryTopics
from sluice.stream.records import bronze_rows
from sluice.stream.topics import stream_topic
from tests.sluice.engine.stores import contents
from tests.sluice.lake.lineage.told import runs
from tests.sluice.stream import payments
from tests.sluice.stream.feeds import START, Message, feed, send
from tests.sluice.stream.plant import Plant, merged
from tests.sluice.stream.reference import answered, computed, questions, tiles_of

pytestmark = pytest.mark.integration

PIPELINE = payments.pipeline
BASE = len(PIPELINE.streams) - 1
"""The version of `batches` with a row for each stream."""
MESSAGES = feed(seed=11, size=400)
BEFORE, AFTER = MESSAGES[:300], MESSAGES[300:]
"""What is in the lake, and what only the topics hold."""
DIVIDED = Spread(partitions=3, shards=4)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Published events, and their tiles as a backfill leaves them."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    lake = Lake(settings().places.lake_uri, PIPELINE.name)
    publish(lake, "b", BEFORE)
    for view, tiles in tiles_of(PIPELINE, published(lake)).items():
        lake.append(f"tiles/{view}", stamped(tiles, 0, Stamp(lake.version("batches"), START)))
    return lake


def publish(lake: Lake, batch: str, messages: Sequence[Message]) -> None:
    files = MemoryTopics()
    send(PIPELINE, files, messages)
    for stream in PIPELINE.streams:
        records = files.records[stream_topic(PIPELINE.name, stream.name)]
        accepted = check(stream, bronze_rows(records, batch=batch), batch=batch).accepted
        lake.append(f"silver/{stream.name}", accepted)
        lake.append_rows("batches", [{"batch": batch, "stream": stream.name, "at": 1}], BATCHES)


def published(lake: Lake) -> dict[str, pa.Table]:
    return {stream.name: encode(lake.read(f"silver/{stream.name}"), stream) for stream in PIPELINE.streams}


@pytest.fixture
def events(lake: Lake) -> dict[str, pa.Table]:
    """The published events."""
    return published(lake)


def opened(name: str) -> TileStore:
    return open_store(settings().online_uri, name)


def start(spread: Spread) -> None:
    """What the task does once the topics have so many partitions."""
    with closing(opened(PIPELINE.name)) as own:
        remember(own, spread)
    load_online.fn(str(payments.__file__), BASE, max(message.at for message in BEFORE))


@pytest.mark.parametrize("spread", [Spread(), DIVIDED], ids=["whole", "divided"])
def test_the_online_store_answers_what_history_says(spread: Spread, events: dict[str, pa.Table]) -> None:
    start(spread)
    asked = questions(BEFORE, 5, 40)
    with closing(open_online(settings().online_uri, PIPELINE.name)) as reader:
        assert answered(PIPELINE, reader, asked) == computed(PIPELINE, events, asked)
        assert reader.read([]).knowledge.base == BASE


def test_it_is_not_started_while_an_entity_is_being_forgotten(lake: Lake) -> None:
    announce(lake, Receipt("e", ANNOUNCED, "Ada", "a letter", 1, "card", "", ""), [], None)
    with pytest.raises(Outage, match=r"an entity is being forgotten \(erasure e\)"):
        start(Spread())


def test_a_start_of_the_online_store_is_told_as_a_run(lake: Lake) -> None:
    start(Spread())
    begun, done = runs(settings().places.home, "load online")
    assert begun == ("START", set(), set())
    assert done[1] >= {"silver/payments", "tiles/spend"}
    assert [Path(one).name for one in done[2]] == [f"{PIPELINE.name}.db"]


def test_routers_and_folds_go_on_from_it_to_the_bytes_of_one_consumer(events: dict[str, pa.Table]) -> None:
    start(DIVIDED)
    shards = [DIVIDED.shard(PIPELINE.name, number) for number in range(DIVIDED.shards)]
    routers = [DIVIDED.router(PIPELINE.name, number) for number in range(DIVIDED.partitions)]
    with ExitStack() as stack:
        stores = {name: stack.enter_context(closing(opened(name))) for name in [*shards, *routers]}
        plant = Plant(PIPELINE, DIVIDED, random.Random(3), stores=stores)
        plant.produce(AFTER)
        plant.drain()
        whole = MemoryStore()
        load_base(PIPELINE, whole, BASE, tiles_of(PIPELINE, events), events)
        plant.whole(whole)
        assert merged(plant.shards, lambda store: contents(store).heads) == whole._heads
        assert merged(plant.shards, lambda store: contents(store).chunks) == whole._chunks
        assert {contents(store).knowledge.base for store in stores.values()} == {BASE}


def test_what_is_published_while_tiles_are_computed_is_left_for_the_fold(
    lake: Lake, events: dict[str, pa.Table]
) -> None:
    publish(lake, "meanwhile", AFTER)
    start(Spread())

    expected = MemoryStore()
    load_base(PIPELINE, expected, BASE, tiles_of(PIPELINE, events), events)
    with closing(opened(PIPELINE.name)) as store:
        assert contents(store) == contents(expected)
