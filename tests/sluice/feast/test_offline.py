from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, Field, OnDemandFeatureView
from feast.types import Float64

from sluice.clock import to_datetime
from sluice.declare.durations import DAY
from sluice.engine.read import read_view
from sluice.engine.vectors import vectors
from sluice.errors import DataError, UserError
from sluice.feast.objects import references
from sluice.feast.registry import feature_store
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.sluice.feast.conftest import NOW, START, World, request_rows
from tests.sluice.feast.test_online import bits, expected

pytestmark = pytest.mark.integration


def frame(rows: list[dict[str, Any]], time: str = "event_time") -> pd.DataFrame:
    """Rows as an entity frame; keys that may be missing become floats, as pandas makes them."""
    table = pd.DataFrame(rows)
    return table.assign(event_timestamp=pd.to_datetime(table[time], format="ISO8601", utc=True))


def moments(keys: list[Any], times: list[int], key: str = "terminal_id") -> pd.DataFrame:
    return pd.DataFrame({key: keys, "event_timestamp": [to_datetime(time) for time in times]})


def ask(world: World, asked: pd.DataFrame, features: Any, **named: Any) -> pa.Table:
    found: pa.Table = world.feast.get_historical_features(asked, features, **named).to_arrow()
    return found


@pytest.mark.parametrize("name", ["fraud", "clinic"])
def test_the_service_gives_the_vectors_of_the_batch_kernel(worlds: dict[str, World], name: str) -> None:
    world = worlds[name]
    asked = frame(world.requests, world.pipeline.events.time)
    found = ask(world, asked, world.feast.get_feature_service(name), full_feature_names=True)
    computed = vectors(world.pipeline, world.events, encode_requests(world.pipeline, world.requests))
    for place, reference in references(world.pipeline).items():
        read = found.column(reference.replace(":", "__")).to_pylist()
        assert bits(read) == bits(computed.column(place).to_pylist()), place


def test_history_and_the_online_store_agree_on_the_same_requests(world: World) -> None:
    service = world.feast.get_feature_service("fraud")
    online = world.feast.get_online_features(service, world.requests, full_feature_names=True).to_dict()
    found = ask(world, frame(world.requests), service, full_feature_names=True)
    names = [reference.replace(":", "__") for reference in references(world.pipeline).values()]
    assert {name: bits(found.column(name).to_pylist()) for name in names} == {
        name: bits(online[name]) for name in names
    }


def test_a_view_is_read_at_each_rows_own_moment_in_the_frames_order(world: World) -> None:
    keys, times = [3, 1, 3, None, 1, 88], [NOW, NOW - 9 * DAY, NOW, NOW, NOW - 30 * DAY - 1, NOW]
    features = ["terminal_traffic:mean_amount_7d", "terminal_risk:share_is_fraud_30d", "terminal_reports:since_last"]
    found = ask(world, moments(keys, times), features)
    for row, (key, at) in enumerate(zip(keys, times, strict=True)):
        for feature in features:
            view, name = feature.split(":")
            read = read_view(world.pipeline.view(view), world.store, [key], at)[name]
            assert bits(found.column(name).slice(row, 1).to_pylist()) == expected(read), (feature, row)
    assert found.column("terminal_id").to_pylist() == keys
    assert found.column_names == [
        "terminal_id",
        "event_timestamp",
        "mean_amount_7d",
        "share_is_fraud_30d",
        "since_last",
    ]


def test_what_needs_a_request_is_null_in_a_view_read_at_a_moment(world: World) -> None:
    found = ask(world, moments([1], [NOW], "customer_id"), ["customer_spend:count_30d", "customer_spend:since_last"])
    read = read_view(world.pipeline.view("customer_spend"), world.store, [1], NOW)
    assert found.column("count_30d").to_pylist() == [None]
    assert bits(found.column("since_last").to_pylist()) == expected(read["since_last"])


def test_nothing_after_a_rows_moment_is_seen(world: World) -> None:
    times = [START - 1, START + 5 * DAY]
    found = ask(world, moments([1, 1], times), ["terminal_traffic:count_30d"]).column("count_30d").to_pylist()
    transactions = [row for row in _payments(world) if row["terminal_id"] == 1 and row["_time"] <= times[1]]
    assert found == [0.0, float(len(transactions))]


def test_full_names_carry_the_view(world: World) -> None:
    found = ask(world, moments([1], [NOW]), ["terminal_traffic:count_7d"], full_feature_names=True)
    assert found.column_names[-1] == "terminal_traffic__count_7d"


def test_a_views_key_may_have_another_name_in_the_frame(world: World) -> None:
    store = feature_store()
    view = (
        store.get_feature_view("terminal_traffic").with_name("last").with_join_key_map({"terminal_id": "last_terminal"})
    )
    service = FeatureService(name="renamed", features=[view])
    store.apply([service])
    asked = moments([1], [NOW], "last_terminal")
    found = store.get_historical_features(asked, service, full_feature_names=True).to_arrow()
    online = store.get_online_features(service, [{"last_terminal": 1}], full_feature_names=True).to_dict()
    plain = ask(world, moments([1], [NOW]), ["terminal_traffic:count_7d"])
    assert found.column("last__count_7d").to_pylist() == plain.column("count_7d").to_pylist()
    assert online["last__count_7d"] == plain.column("count_7d").to_pylist()


def test_whole_numbers_with_nulls_stay_whole_in_pandas(world: World) -> None:
    keys = pd.array([2**60 + 1, None], dtype="Int64")
    job = world.feast.get_historical_features(moments(keys, [NOW, NOW]), ["terminal_traffic:count_7d"])
    assert job.to_df()["terminal_id"].tolist() == [2**60 + 1, pd.NA]


def test_codes_keep_their_64_bits_in_pandas(world: World) -> None:
    job = world.feast.get_historical_features(frame(request_rows()), ["fraud_moment:country"], full_feature_names=True)
    codes = job.to_df()["fraud_moment__country"].tolist()
    assert codes == job.to_arrow().column("fraud_moment__country").to_pylist()
    assert max(abs(code) for code in codes) > 2**53


def test_a_persons_own_on_demand_view_stands_on_ours(world: World) -> None:
    def busy(inputs: dict[str, list[float]]) -> dict[str, list[float]]:
        return {"daily": [count / 7 for count in inputs["count_7d"]]}

    store = feature_store()
    source = store.get_feature_view("terminal_traffic")[["count_7d"]]
    schema = [Field(name="daily", dtype=Float64)]
    text = "def busy(inputs):\n    return {'daily': [count / 7 for count in inputs['count_7d']]}\n"
    view = OnDemandFeatureView(name="busy", sources=[source], schema=schema, mode="python", udf=busy, udf_string=text)
    store.apply([view])
    found = store.get_historical_features(moments([1], [NOW]), ["busy:daily"]).to_arrow()
    online = store.get_online_features(["busy:daily"], [{"terminal_id": 1}]).to_dict()
    count = read_view(world.pipeline.view("terminal_traffic"), world.store, [1], NOW)["count_7d"][0][0]
    assert found.column("daily").to_pylist() == online["daily"] == [count / 7]


def test_a_row_with_two_times_is_refused(world: World) -> None:
    asked = frame(request_rows()).assign(event_timestamp=to_datetime(NOW - 1))
    with pytest.raises(UserError, match="row 0 has two times"):
        ask(world, asked, ["terminal_traffic_at:count_7d"])


def test_a_feature_named_as_a_column_of_the_frame_is_refused(world: World) -> None:
    with pytest.raises(UserError, match="full_feature_names=True"):
        ask(world, frame(request_rows()), ["fraud_moment:amount"])


def test_a_request_that_history_would_refuse_is_refused(world: World) -> None:
    with pytest.raises(UserError, match=r"-1\.0 in row 1 is out of range"):
        ask(world, frame(request_rows()).assign(amount=[1.0, -1.0, 1.0, 1.0, 1.0]), ["customer_spend_at:count_7d"])


def test_a_frame_without_the_entity_key_is_refused(world: World) -> None:
    with pytest.raises(UserError, match="no column 'terminal_id'"):
        ask(world, moments([1], [NOW], "customer_id"), ["terminal_traffic:count_7d"])


def test_the_entitys_state_has_no_history(world: World) -> None:
    with pytest.raises(UserError, match="exists online only"):
        ask(world, moments([1], [NOW]), ["terminal_traffic_state:terminal_traffic_tiles"])


def test_a_query_and_a_date_range_are_refused(world: World) -> None:
    with pytest.raises(UserError, match="not read by a query"):
        world.feast.get_historical_features("SELECT 1", ["terminal_traffic:count_7d"])
    with pytest.raises(UserError, match="not read by a date range"):
        world.feast.get_historical_features(
            features=["terminal_traffic:count_7d"], start_date=to_datetime(START), end_date=to_datetime(NOW)
        )


def test_without_published_history_the_next_step_is_named(
    world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_LAKE", str(tmp_path))
    settings.cache_clear()
    with pytest.raises(DataError, match="run the step that writes it first"):
        ask(world, moments([1], [NOW]), ["terminal_traffic:count_7d"])


def test_a_stream_of_which_nothing_has_arrived_is_empty_history(
    world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Lake(settings().places.lake_uri, "fraud")
    here = Lake(str(tmp_path), "fraud")
    for table in ("silver/transactions", "batches"):
        here.append(table, there.read(table))
    monkeypatch.setenv("SLUICE_LAKE", str(tmp_path))
    settings.cache_clear()
    found = ask(world, moments([1], [NOW]), ["terminal_reports:count_30d", "terminal_risk:share_is_fraud_30d"])
    assert found.column("count_30d").to_pylist() == [0.0]
    assert found.column("share_is_fraud_30d").to_pylist() == [0.0]


def _payments(world: World) -> list[dict[str, Any]]:
    """The standing payments, by hand: the greatest revision of each id, unless it deletes."""
    standing: dict[int, dict[str, Any]] = {}
    for row in world.events["transactions"].to_pylist():
        if row["_id"] not in standing or row["_revision"] > standing[row["_id"]]["_revision"]:
            standing[row["_id"]] = row
    return [row for row in standing.values() if row["_op"] == 0]
