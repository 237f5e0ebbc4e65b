"""Declared and plain views in one project, one feature service and one call."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import FeatureService, FeatureView, Field, FileSource
from feast.types import Int64, String

from sluice.clock import to_datetime
from sluice.errors import UserError
from sluice.feast.registry import feature_store
from tests.sluice.feast.conftest import NOW, START, World, request_rows

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def worlds(everywhere: dict[str, World]) -> dict[str, World]:
    return everywhere


LOADED = to_datetime(NOW - 60_000_000)


@pytest.fixture(scope="module")
def mixed(worlds: dict[str, World], tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The fraud pipeline's world with a plain view of its terminals beside it."""
    world = worlds["fraud"]
    path = tmp_path_factory.mktemp("plain") / "places.parquet"
    rows = {"terminal_id": [1, 2, 2], "known": [LOADED - dt.timedelta(days=days) for days in (9, 9, 1)]}
    pq.write_table(pa.table({**rows, "place": ["bar", "bakery", "bank"]}), path)
    schema = [Field(name="terminal_id", dtype=Int64), Field(name="place", dtype=String)]
    source = FileSource(name="places", path=str(path), timestamp_field="known")
    store = feature_store()
    terminal = store.get_entity("terminal_id")
    places = FeatureView(name="places", entities=[terminal], schema=schema, source=source, ttl=dt.timedelta(days=5))
    traffic = store.get_feature_view("terminal_traffic")[["count_7d"]]
    store.apply([places, FeatureService(name="both", features=[traffic, places])])
    world.feast.refresh_registry()
    world.feast.materialize(to_datetime(START), LOADED, ["places"])
    yield world
    store.apply([], objects_to_delete=[places, store.get_feature_service("both")], partial=False)
    world.feast.refresh_registry()


ROWS = [{"terminal_id": key} for key in (2, 1, 3, None)]


def test_one_call_answers_from_both(mixed: World) -> None:
    found = mixed.feast.get_online_features(mixed.feast.get_feature_service("both"), ROWS).to_dict()
    alone = mixed.feast.get_online_features(["terminal_traffic:count_7d"], ROWS).to_dict()
    assert found == {**alone, "place": ["bank", None, None, None]}
    waited = mixed.feast.get_online_features_async(mixed.feast.get_feature_service("both"), ROWS)
    assert asyncio.run(waited).to_dict() == found


def test_a_request_and_a_plain_view_come_together(mixed: World) -> None:
    rows = [{**row, "terminal_id": 2} for row in request_rows()]
    features = ["terminal_traffic_at:count_7d", "fraud_moment:country", "places:place"]
    found = mixed.feast.get_online_features(features, rows).to_dict()
    assert found["place"] == ["bank"] * len(rows)
    assert found["count_7d"] == mixed.feast.get_online_features(features[:1], rows).to_dict()["count_7d"]


def test_one_retrieval_reads_both(mixed: World) -> None:
    times = [LOADED, LOADED - dt.timedelta(days=2), LOADED - dt.timedelta(days=9)]
    frame = pd.DataFrame({"terminal_id": [2, 2, 2], "event_timestamp": times})
    found = mixed.feast.get_historical_features(frame, mixed.feast.get_feature_service("both")).to_arrow()
    alone = mixed.feast.get_historical_features(frame, ["terminal_traffic:count_7d"]).to_arrow()
    assert found.column("place").to_pylist() == ["bank", None, "bakery"]
    assert found.column("count_7d") == alone.column("count_7d")


def test_the_whole_vector_and_a_plain_view_are_one_training_set(mixed: World) -> None:
    frame = pd.DataFrame(request_rows()[:2]).assign(event_timestamp=LOADED, event_time=None, terminal_id=[2, 1])
    features = ["customer_spend_at:count_7d", "places:place"]
    found = mixed.feast.get_historical_features(frame, features, full_feature_names=True).to_arrow()
    assert found.column("places__place").to_pylist() == ["bank", None]
    assert found.column("customer_spend_at__count_7d").null_count == 0


def test_materializing_everything_passes_over_what_the_stream_keeps(mixed: World) -> None:
    mixed.feast.materialize_incremental(LOADED)
    mixed.feast.materialize(to_datetime(START), LOADED)
    assert mixed.feast.get_online_features(["places:place"], ROWS).to_dict()["place"] == ["bank", None, None, None]
    alone = mixed.feast.get_online_features(["terminal_traffic:count_7d"], ROWS).to_dict()["count_7d"]
    assert alone[0] > 0


def test_a_declared_view_is_never_written_to(mixed: World) -> None:
    view = mixed.feast.get_feature_view("terminal_traffic")
    row = {name: [1] for name, _ in view.batch_source.get_table_column_names_and_types(None)}
    with pytest.raises(UserError, match="land the events as a batch"):
        mixed.feast.write_to_offline_store("terminal_traffic", pd.DataFrame(row))
    with pytest.raises(UserError, match="flow `features`"):
        mixed.feast.materialize(to_datetime(START), LOADED, ["terminal_traffic", "terminal_risk"])


def test_what_was_created_is_a_question_for_plain_views_alone(mixed: World) -> None:
    frame = pd.DataFrame({"terminal_id": [2], "event_timestamp": [LOADED]})
    with pytest.raises(UserError, match="ask the plain views alone"):
        mixed.feast.get_historical_features(
            frame, mixed.feast.get_feature_service("both"), filter_by_created_timestamp=True
        )


def test_a_retrieval_of_both_is_saved(mixed: World, tmp_path: Path) -> None:
    from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

    frame = pd.DataFrame({"terminal_id": [2], "event_timestamp": [LOADED]})
    job = mixed.feast.get_historical_features(frame, mixed.feast.get_feature_service("both"))
    job.persist(SavedDatasetFileStorage(str(tmp_path / "both.parquet")))
    assert pq.read_table(tmp_path / "both.parquet").column("place").to_pylist() == ["bank"]
