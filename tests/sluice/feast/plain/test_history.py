"""Plain views at each row's own moment, from parquet and Delta, through the stock SDK."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureView, Field, FileSource, KafkaSource, ValueType
from feast.data_format import DeltaFormat, JsonFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.feature_logging import LoggingConfig
from feast.infra.offline_stores.bigquery_source import BigQuerySource
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage
from feast.types import Float64, Int64, String

from sluice.errors import DataError, UserError
from tests.sluice.feast.plain.shop import DRIVER, HOUR, ROWS, Shop, at

pytestmark = pytest.mark.integration
MICRO = dt.timedelta(microseconds=1)


@pytest.fixture(params=["parquet", "delta"])
def source(request: pytest.FixtureRequest, shop: Shop) -> Callable[..., FileSource]:
    return shop.source if request.param == "parquet" else shop.delta


def asked(*rows: tuple[int | None, dt.datetime]) -> dict[str, list[Any]]:
    return {"driver_id": [key for key, _ in rows], "event_timestamp": [moment for _, moment in rows]}


def test_a_row_is_seen_from_its_own_moment_on(shop: Shop, source: Callable[..., FileSource]) -> None:
    shop.store.apply([DRIVER, shop.view(source(ROWS, created_timestamp_column="made"))])
    rows = asked((1, at(12)), (1, at(12) - MICRO), (2, at(11)), (2, at(11) - MICRO), (3, at(50)), (None, at(50)))
    found = shop.past(rows, ["stats:trips", "stats:rate", "stats:tags"])
    assert found.column_names == ["driver_id", "event_timestamp", "trips", "rate", "tags"]
    assert found.column("rate").to_pylist() == [0.4, 0.1, 0.3, None, None, None]
    assert found.column("trips").to_pylist() == [4, 2**60 + 1, 3, None, None, None]
    assert found.column("tags").to_pylist() == [["x", "y"], ["a"], None, None, None, None]


def test_a_row_is_seen_for_exactly_its_time_to_live(shop: Shop, source: Callable[..., FileSource]) -> None:
    shop.store.apply([DRIVER, shop.view(source(ROWS), ttl=2 * HOUR)])
    found = shop.past(asked((2, at(13)), (2, at(13) + MICRO)), ["stats:rate"])
    assert found.column("rate").to_pylist() == [0.3, None]


def test_history_and_the_online_store_agree_at_the_clock(shop: Shop) -> None:
    chance = np.random.default_rng(7)
    keys = chance.integers(0, 40, 400)
    stamps = [at(0, int(micro)) for micro in chance.integers(0, 100 * 3_600_000_000, 400)]
    rows = {"driver_id": keys, "ts": stamps, "rate": chance.random(400), "trips": keys, "tags": [["t"]] * 400}
    shop.store.apply([DRIVER, shop.view(shop.source(rows), ttl=10 * HOUR)])
    shop.store.materialize(at(0), at(100))
    frame = asked(*((key, at(100)) for key in range(41)))
    past = shop.past(frame, ["stats:rate"]).column("rate").to_pylist()
    assert shop.online(["stats:rate"], [{"driver_id": key} for key in range(41)])["rate"] == past
    assert 5 < past.count(None) < 35


def test_what_was_created_later_can_be_left_out(shop: Shop, source: Callable[..., FileSource]) -> None:
    shop.store.apply([DRIVER, shop.view(source(ROWS, created_timestamp_column="made"))])
    rows = asked((1, at(13) - MICRO), (1, at(13)), (1, at(14)))
    found = shop.past(rows, ["stats:rate"], filter_by_created_timestamp=True)
    assert found.column("rate").to_pylist() == [None, 0.2, 0.4]


def test_rows_keep_their_order_and_equal_rows_stay(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS))])
    rows = asked((2, at(50)), (1, at(11)), (2, at(50)), (1, at(9)))
    assert shop.past(rows, ["stats:rate"]).column("rate").to_pylist() == [0.3, 0.1, 0.3, None]


def test_of_equal_rows_the_one_further_down_the_source_counts(shop: Shop, source: Callable[..., FileSource]) -> None:
    shop.store.apply([DRIVER, shop.view(source(ROWS))])
    assert shop.past(asked((1, at(12))), ["stats:rate"]).column("rate").to_pylist() == [0.4]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
def test_times_of_any_unit_and_zone_mean_the_same(shop: Shop, unit: str, zone: str | None) -> None:
    micros = pa.array([at(10), at(12)], pa.timestamp("us", "UTC"))
    kind = pa.timestamp(unit, zone)
    table = pa.table({"driver_id": [1, 1], "ts": micros.cast(pa.int64()).cast(pa.timestamp("us", zone)).cast(kind)})
    table = table.append_column("rate", pa.array([0.1, 0.2]))
    schema = [Field(name="driver_id", dtype=Int64), Field(name="rate", dtype=Float64)]
    shop.store.apply([DRIVER, shop.view(shop.source(table), schema=schema, ttl=HOUR)])
    rows = asked((1, at(11)), (1, at(12)), (1, at(12) - MICRO), (1, at(13)))
    assert shop.past(rows, ["stats:rate"]).column("rate").to_pylist() == [0.1, 0.2, None, 0.2]


def test_a_source_may_say_its_days_as_dates(shop: Shop) -> None:
    table = pa.table({"driver_id": [1], "ts": pa.array([dt.date(2026, 1, 2)]), "rate": [0.1]})
    shop.store.apply([DRIVER, shop.view(shop.source(table), schema=[Field(name="rate", dtype=Float64)])])
    rows = asked((1, at(24)), (1, at(24) - MICRO))
    assert shop.past(rows, ["stats:rate"]).column("rate").to_pylist() == [0.1, None]


def test_a_folder_of_files_is_one_source_and_its_folders_may_be_columns(shop: Shop) -> None:
    for day, rate in (("1", 0.1), ("2", 0.2)):
        (shop.folder / "days" / f"day={day}").mkdir(parents=True)
        table = pa.table({"driver_id": [int(day)], "ts": [at(1)], "rate": [rate]})
        pq.write_table(table, shop.folder / "days" / f"day={day}" / "part.parquet")
    schema = [Field(name="driver_id", dtype=Int64), Field(name="rate", dtype=Float64), Field(name="day", dtype=Int64)]
    folder = FileSource(name="days", path=str(shop.folder / "days"), timestamp_field="ts")
    several = FileSource(name="some", path=str(shop.folder / "days" / "day=1" / "*.parquet"), timestamp_field="ts")
    shop.store.apply([DRIVER, shop.view(folder, schema=schema), shop.view(several, "some", schema=schema[:2])])
    found = shop.past(asked((2, at(1)), (1, at(1))), ["stats:day", "some:rate"])
    assert found.column("day").to_pylist() == [2, 1]
    assert found.column("rate").to_pylist() == [None, 0.1]


def test_the_parts_of_a_composite_key_never_run_together(shop: Shop) -> None:
    entities = [
        Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING),
        Entity(name="till", join_keys=["till_id"], value_type=ValueType.STRING),
    ]
    rows = {"shop_id": ["1", "11", None], "till_id": ["12", "2", "2"], "ts": [at(1)] * 3, "sum": [1.0, 2.0, 3.0]}
    schema = [
        Field(name="shop_id", dtype=String),
        Field(name="till_id", dtype=String),
        Field(name="sum", dtype=Float64),
    ]
    shop.store.apply([*entities, FeatureView(name="tills", entities=entities, schema=schema, source=shop.source(rows))])
    frame = {"till_id": ["2", "12", "2", "11", "2"], "shop_id": ["11", "1", "111", "2", None]}
    found = shop.past({**frame, "event_timestamp": [at(2)] * 5}, ["tills:sum"])
    assert found.column("sum").to_pylist() == [2.0, 1.0, None, None, None]


def test_keys_that_pandas_made_floats_are_whole_again(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS))])
    frame = pd.DataFrame({"driver_id": [1.0, None], "event_timestamp": [at(12)] * 2})
    found = shop.store.get_historical_features(frame, ["stats:rate"]).to_df()
    assert found["rate"].tolist()[0] == 0.4
    assert np.isnan(found["rate"][1])


def test_a_key_of_another_type_is_refused(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS))])
    with pytest.raises(UserError, match="column 'driver_id' holds no keys"):
        shop.past({"driver_id": ["anna"], "event_timestamp": [at(1)]}, ["stats:rate"])


def test_rows_without_a_time_or_a_key_are_at_no_moment(shop: Shop) -> None:
    rows = {**ROWS, "driver_id": [1, None, 1, 1, 1], "ts": [at(10), at(11), None, None, None]}
    shop.store.apply([DRIVER, shop.view(shop.source(rows))])
    shop.store.materialize(at(0), at(90))
    assert shop.past(asked((1, at(50)), (None, at(50))), ["stats:rate"]).column("rate").to_pylist() == [0.1, None]
    assert shop.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [0.1]


def test_a_source_of_no_rows_gives_nulls_of_its_type(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(pa.table(ROWS).slice(0, 0)))])
    shop.store.materialize(at(0), at(90))
    found = shop.past(asked((1, at(50))), ["stats:tags"])
    assert found.schema.field("tags").type == pa.list_(pa.string())
    assert found.column("tags").to_pylist() == [None]


def test_a_frame_of_no_rows_gives_none(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS), ttl=HOUR)])
    frame = pd.DataFrame({"driver_id": pd.array([], "int64"), "event_timestamp": pd.to_datetime([], utc=True)})
    assert len(shop.store.get_historical_features(frame, ["stats:rate"]).to_arrow()) == 0


def test_a_missing_source_or_column_is_named(shop: Shop) -> None:
    view = shop.view(shop.source(ROWS), schema=[Field(name="speed", dtype=Float64)])
    shop.store.apply([DRIVER, view])
    with pytest.raises(UserError, match=r"no column 'speed' in the source(?s:.*)allowed: driver_id, ts, made, rate"):
        shop.past(asked((1, at(50))), ["stats:speed"])
    (shop.folder / "stats.parquet").unlink()
    with pytest.raises(DataError, match="there is nothing at this place"):
        shop.past(asked((1, at(50))), ["stats:speed"])


def test_a_source_of_another_kind_is_refused_with_what_is_read_here(shop: Shop) -> None:
    source = BigQuerySource(name="far", table="a.b.c", timestamp_field="ts")
    shop.store.apply([DRIVER, shop.view(source)])
    with pytest.raises(UserError, match="a BigQuerySource is not read here"):
        shop.past(asked((1, at(50))), ["stats:rate"])


def test_the_batch_source_of_a_stream_is_its_history(shop: Shop) -> None:
    stream = KafkaSource(
        name="stream",
        kafka_bootstrap_servers="nowhere:9092",
        topic="stats",
        timestamp_field="ts",
        message_format=JsonFormat(""),
        batch_source=shop.source(ROWS),
    )
    shop.store.apply([DRIVER, shop.view(stream)])
    assert shop.past(asked((2, at(50))), ["stats:rate"]).column("rate").to_pylist() == [0.3]


def test_rows_written_to_a_view_are_its_history(shop: Shop, source: Callable[..., FileSource]) -> None:
    shop.store.apply([DRIVER, shop.view(source(ROWS))])
    fresh = {"tags": [["new"]], "trips": [1], "rate": [0.9], "driver_id": [2], "ts": [at(60)], "made": [at(60)]}
    shop.store.write_to_offline_store("stats", pd.DataFrame(fresh), reorder_columns=False)
    assert shop.past(asked((2, at(60)), (2, at(59))), ["stats:rate"]).column("rate").to_pylist() == [0.9, 0.3]


def test_rows_with_other_columns_are_refused(shop: Shop) -> None:
    from sluice.feast.plain.writing import add_rows

    with pytest.raises(UserError, match="other columns than the source"):
        add_rows(shop.source(ROWS), pa.table({"driver_id": [1]}), None)
    with pytest.raises(UserError, match="do not fit the source"):
        add_rows(shop.source(ROWS), pa.table({**ROWS, "rate": ["fast"] * 5}), None)


@pytest.mark.parametrize("file_format", [None, DeltaFormat()])
def test_a_retrieval_is_saved_and_read_again(shop: Shop, file_format: Any) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS))])
    frame = pd.DataFrame(asked((2, at(50)), (1, at(11))))
    job = shop.store.get_historical_features(frame, ["stats:rate"])
    named = {} if file_format is None else {"file_format": file_format}
    storage = SavedDatasetFileStorage(str(shop.folder / "saved"), **named)
    shop.store.create_saved_dataset(job, "saved", storage)
    found = shop.store.get_saved_dataset("saved").to_df()
    assert sorted(found["rate"].tolist()) == [0.1, 0.3]
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        shop.store.create_saved_dataset(job, "saved", storage)
    shop.store.create_saved_dataset(job, "saved", storage, allow_overwrite=True)


def test_a_folder_that_is_there_already_may_hold_a_saved_dataset(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS))])
    job = shop.store.get_historical_features(pd.DataFrame(asked((2, at(50)))), ["stats:rate"])
    folder = shop.folder / "saved"
    folder.mkdir()
    pq.write_table(pa.table({"old": [1]}), folder / "older.parquet")
    storage = SavedDatasetFileStorage(str(folder))
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(storage)
    job.persist(storage, allow_overwrite=True)
    assert pq.read_table(folder).column("rate").to_pylist() == [0.3]


def test_answers_are_logged_to_files(shop: Shop) -> None:
    from feast import FeatureService

    view = shop.view(shop.source(ROWS))
    destination = FileLoggingDestination(path=str(shop.folder / "log"))
    service = FeatureService(
        name="rates", features=[view[["rate"]]], logging_config=LoggingConfig(destination=destination)
    )
    shop.store.apply([DRIVER, view, service])
    logged = {"driver_id": [1], "stats__rate": [0.1], "stats__rate__timestamp": [at(1)], "stats__rate__status": [1]}
    logged |= {"__log_timestamp": [at(1)], "__log_date": [dt.date(2026, 1, 1)], "__request_id": ["r"]}
    for _ in range(2):
        shop.store.write_logged_features(pa.table(logged), service)
    assert pq.read_table(shop.folder / "log").column("stats__rate").to_pylist() == [0.1, 0.1]


def test_files_are_not_written_to_another_machine(shop: Shop) -> None:
    shop.store.apply([DRIVER, shop.view(shop.source(ROWS))])
    job = shop.store.get_historical_features(pd.DataFrame(asked((2, at(50)))), ["stats:rate"])
    with pytest.raises(UserError, match="written on this machine only"):
        job.persist(SavedDatasetFileStorage("s3://bucket/saved"))
