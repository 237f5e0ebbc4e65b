"""Plain views online, through the stock SDK, on both stores."""

from __future__ import annotations

import asyncio
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import pytest
from feast import Entity, FeatureService, FeatureView, Field, OnDemandFeatureView, RequestSource, ValueType
from feast.types import Float64, Int64, String

from sluice.errors import UserError
from tests.sluice.feast.plain.shop import DRIVER, HOUR, NOW, ROWS, Shop, at

pytestmark = pytest.mark.integration
FEATURES = ["stats:rate", "stats:trips", "stats:tags"]


def pushed(**rows: list[Any]) -> pd.DataFrame:
    count = len(rows["ts"])
    rest = {"driver_id": [1] * count, "made": [at(0)] * count, "trips": [0] * count, "tags": [[]] * count}
    return pd.DataFrame({**rest, **rows})


def test_materialize_loads_each_entitys_newest_row(either: Shop) -> None:
    either.store.apply([DRIVER, either.view(either.source(ROWS, created_timestamp_column="made"))])
    either.store.materialize(at(0), at(50))
    found = either.online(FEATURES, [{"driver_id": key} for key in (2, 1, 3, 1)])
    assert found == {
        "driver_id": [2, 1, 3, 1],
        "rate": [0.3, 0.4, None, 0.4],
        "trips": [3, 4, None, 4],
        "tags": [None, ["x", "y"], None, ["x", "y"]],
    }


def test_materialize_incremental_goes_on_where_it_stopped(either: Shop) -> None:
    either.store.apply([DRIVER, either.view(either.source(ROWS, created_timestamp_column="made"))])
    either.store.materialize(at(0), at(50))
    either.store.materialize_incremental(at(99))
    assert either.online(FEATURES, [{"driver_id": 2}])["trips"] == [5]


def test_what_is_materialized_again_replaces_itself_even_when_it_was_corrected(either: Shop) -> None:
    either.store.apply([DRIVER, either.view(either.source(ROWS))])
    either.store.materialize(at(0), at(50))
    either.source({**ROWS, "rate": [9.0] * 5})
    either.store.materialize(at(0), at(50))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [9.0]


def test_whole_numbers_beside_nulls_keep_their_64_bits(either: Shop) -> None:
    either.store.apply([DRIVER, either.view(either.source(ROWS, created_timestamp_column="made"))])
    either.store.materialize(at(0), at(10))
    assert either.online(["stats:trips"], [{"driver_id": 1}])["trips"] == [2**60 + 1]


def test_a_source_is_loaded_a_batch_at_a_time(either: Shop) -> None:
    rows = {"driver_id": list(range(25)), "ts": [at(1)] * 25, "rate": [float(key) for key in range(25)]}
    rows |= {"trips": [1] * 25, "tags": [["a"]] * 25}
    either.store.config.materialization_config.online_write_batch_size = 10
    either.store.apply([DRIVER, either.view(either.source(rows))])
    either.store.materialize(at(0), at(50))
    assert either.online(["stats:rate"], [{"driver_id": key} for key in (0, 9, 10, 24)])["rate"] == [
        0.0,
        9.0,
        10.0,
        24.0,
    ]


def test_a_pushed_row_counts_by_its_event_time_not_by_its_arrival(either: Shop) -> None:
    either.pushed()
    either.store.push("push", pushed(ts=[at(20, 1), at(20)], rate=[2.0, 1.0]))
    either.store.push("push", pushed(ts=[at(19)], rate=[3.0]))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [2.0]
    either.store.push("push", pushed(ts=[at(20, 2)], rate=[4.0]))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [4.0]


def test_of_one_event_time_the_row_created_last_counts(either: Shop) -> None:
    either.pushed()
    either.store.push("push", pushed(ts=[at(20)] * 2, made=[at(22), at(21)], rate=[1.0, 2.0]))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [1.0]


def test_writing_to_the_online_store_is_a_push_to_one_view(either: Shop) -> None:
    either.pushed()
    either.store.write_to_online_store("stats", pushed(ts=[at(20)], rate=[1.5]))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [1.5]


def test_a_value_is_there_for_exactly_its_time_to_live(either: Shop) -> None:
    either.pushed(ttl=2 * HOUR)
    either.store.push("push", pushed(ts=[NOW - 2 * HOUR], rate=[1.0]))
    asked = [{"driver_id": 1}, {"driver_id": 2}]
    assert either.statuses(["stats:rate"], asked) == {"driver_id": [1, 1], "rate": [1, 3]}
    either.clock(NOW + dt.timedelta(microseconds=1))
    assert either.online(["stats:rate"], asked)["rate"] == [None, None]
    assert either.statuses(["stats:rate"], asked)["rate"] == [4, 3]


def test_on_the_machines_own_clock_too(either: Shop) -> None:
    either.store.config.online_store.clock = "wall"
    either.pushed(ttl=2 * HOUR)
    now = dt.datetime.now(dt.UTC)
    rows = pushed(
        driver_id=[1, 2], ts=[now, now - 3 * HOUR], rate=[1.0, 2.0], made=[now] * 2, trips=[0] * 2, tags=[[]] * 2
    )
    either.store.push("push", rows)
    assert either.statuses(["stats:rate"], [{"driver_id": 1}, {"driver_id": 2}])["rate"] == [1, 4]


def test_event_times_are_told_to_the_microsecond(either: Shop) -> None:
    either.pushed()
    either.store.push("push", pushed(ts=[at(20, 123_457)], rate=[1.0]))
    response = either.store.get_online_features(["stats:rate"], [{"driver_id": 1}]).proto
    assert response.results[-1].event_timestamps[0].ToDatetime(dt.UTC) == at(20, 123_457)


def test_a_missing_key_is_nobody(either: Shop) -> None:
    either.pushed()
    either.store.push("push", pushed(ts=[at(20)], rate=[1.0]))
    assert either.statuses(["stats:rate"], [{"driver_id": None}, {"driver_id": 1}])["rate"] == [3, 1]


def test_the_parts_of_a_composite_key_never_run_together(either: Shop) -> None:
    entities = [
        Entity(name="shop", join_keys=["shop_id"], value_type=ValueType.STRING),
        Entity(name="till", join_keys=["till_id"], value_type=ValueType.STRING),
    ]
    rows = {"shop_id": ["1", "11"], "till_id": ["12", "2"], "ts": [at(1)] * 2, "sum": [1.0, 2.0]}
    view = FeatureView(
        name="tills", entities=entities, schema=[Field(name="sum", dtype=Float64)], source=either.source(rows)
    )
    either.store.apply([*entities, view])
    either.store.materialize(at(0), at(50))
    asked = [{"till_id": till, "shop_id": shop} for shop, till in [("11", "2"), ("1", "12"), ("111", "2"), ("2", "11")]]
    assert either.online(["tills:sum"], asked)["sum"] == [2.0, 1.0, None, None]


def test_a_view_without_entities_has_one_row(either: Shop) -> None:
    view = FeatureView(
        name="world", entities=[], schema=[Field(name="rate", dtype=Float64)], source=either.source(ROWS)
    )
    either.store.apply([view])
    either.store.materialize(at(0), at(11))
    assert either.online(["world:rate"], [{"driver_id": 1}, {"driver_id": 2}])["rate"] == [0.3, 0.3]


def test_a_sources_columns_may_have_other_names(either: Shop) -> None:
    rows = {"id": [1], "when": [at(1)], "RATE": [0.5], "made": [at(2)]}
    source = either.source(
        rows, timestamp_field="when", created_timestamp_column="made", field_mapping={"RATE": "rate", "id": "driver_id"}
    )
    schema = [Field(name="driver_id", dtype=Int64), Field(name="rate", dtype=Float64)]
    either.store.apply([DRIVER, FeatureView(name="stats", entities=[DRIVER], schema=schema, source=source)])
    either.store.materialize(at(0), at(50))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [0.5]
    frame = {"driver_id": [1], "event_timestamp": [at(1)]}
    assert either.past(frame, ["stats:rate"]).column("rate").to_pylist() == [0.5]


def test_one_view_is_read_twice_for_two_roles_of_its_entity(either: Shop) -> None:
    view = either.pushed()
    roles = [
        view.with_name(role).with_join_key_map({"driver_id": f"{role}_id"})[["rate"]] for role in ("first", "second")
    ]
    either.store.apply([FeatureService(name="roles", features=[*roles, view.with_name("own")[["rate"]]])])
    either.store.push(
        "push",
        pushed(driver_id=[1, 2], ts=[at(20)] * 2, rate=[1.0, 2.0], made=[at(0)] * 2, trips=[0] * 2, tags=[[]] * 2),
    )
    service = either.store.get_feature_service("roles")
    asked = [{"first_id": 1, "second_id": 2, "driver_id": 2}, {"first_id": 2, "second_id": 1, "driver_id": 1}]
    found = either.online(service, asked, full_feature_names=True)
    assert (found["first__rate"], found["second__rate"], found["own__rate"]) == ([1.0, 2.0], [2.0, 1.0], [2.0, 1.0])
    frame = {name: [row[name] for row in asked] for name in asked[0]} | {"event_timestamp": [at(12)] * 2}
    past = either.past(frame, service, full_feature_names=True)
    assert past.column("first__rate").to_pylist() == past.column("second__rate").to_pylist()[::-1] == [0.4, 0.3]


def test_a_key_that_did_not_come_with_the_request_is_named(either: Shop) -> None:
    either.pushed()
    with pytest.raises(UserError, match="no entity key 'driver_id' came with the request"):
        either.online(["stats:rate"], [{"rider_id": 1}])


def test_features_of_several_views_come_together(either: Shop) -> None:
    either.store.apply([DRIVER, either.view(either.source(ROWS)), either.view(either.source(ROWS, "copy"), "copy")])
    either.store.materialize(at(0), at(50))
    found = either.online(["stats:rate", "copy:rate"], [{"driver_id": 2}], full_feature_names=True)
    assert found == {"driver_id": [2], "stats__rate": [0.3], "copy__rate": [0.3]}


def test_reads_and_writes_may_be_awaited(either: Shop) -> None:
    either.pushed()

    async def both() -> Any:
        await either.store.push_async("push", pushed(ts=[at(20)], rate=[1.0]))
        return await either.store.get_online_features_async(["stats:rate"], [{"driver_id": 1}])

    assert asyncio.run(both()).to_dict()["rate"] == [1.0]


def test_threads_may_read_and_write_at_once(either: Shop) -> None:
    either.pushed()

    def both(number: int) -> Any:
        either.store.write_to_online_store("stats", pushed(ts=[at(20, number)], rate=[float(number)]))
        return either.online(["stats:rate"], [{"driver_id": 1}])["rate"][0]

    with ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(both, range(24)))
    assert either.online(["stats:rate"], [{"driver_id": 1}])["rate"] == [23.0]
    assert all(value >= number for number, value in enumerate(seen))


def test_a_view_that_is_dropped_takes_its_rows_along(either: Shop) -> None:
    view = either.pushed()
    either.store.push("push", pushed(ts=[at(20)], rate=[1.0]))
    either.store.apply([], objects_to_delete=[view], partial=False)
    either.pushed()
    assert either.statuses(["stats:rate"], [{"driver_id": 1}])["rate"] == [3]


def test_teardown_leaves_nothing_behind(either: Shop) -> None:
    either.pushed()
    either.store.push("push", pushed(ts=[at(20)], rate=[1.0]))
    either.store.teardown()
    either.pushed()
    assert either.statuses(["stats:rate"], [{"driver_id": 1}])["rate"] == [3]


def test_a_persons_on_demand_view_stands_on_a_plain_one(either: Shop) -> None:
    view = either.pushed()
    adding = "[rate * 2 + add for rate, add in zip(inputs['rate'], inputs['add'])]"
    text = f"def double(inputs):\n    return {{'double': {adding}}}\n"
    made: dict[str, Any] = {}
    exec(text, made)  # noqa: S102 the function and its text have to be one
    schema = [Field(name="double", dtype=Float64)]
    request = RequestSource(name="asked", schema=[Field(name="add", dtype=Float64)])
    named = {"mode": "python", "udf": made["double"], "udf_string": text}
    either.store.apply([OnDemandFeatureView(name="double", sources=[view[["rate"]], request], schema=schema, **named)])
    either.store.push("push", pushed(ts=[at(20)], rate=[1.5]))
    assert either.online(["double:double"], [{"driver_id": 1, "add": 1.0}])["double"] == [4.0]
    frame = {"driver_id": [2], "add": [1.0], "event_timestamp": [at(12)]}
    assert either.past(frame, ["double:double"]).column("double").to_pylist() == [1.6]


def test_a_feature_that_older_rows_do_not_have_is_not_found_in_them(either: Shop) -> None:
    source = either.source({**ROWS, "age": [7] * 5})
    either.store.apply([DRIVER, either.view(source)])
    either.store.materialize(at(0), at(50))
    schema = [Field(name=name, dtype=kind) for name, kind in [("driver_id", Int64), ("rate", Float64), ("age", Int64)]]
    either.store.apply([either.view(source, schema=schema)])
    assert either.statuses(["stats:rate", "stats:age"], [{"driver_id": 1}]) == {
        "driver_id": [1],
        "rate": [1],
        "age": [3],
    }
    either.store.materialize(at(0), at(50))
    assert either.online(["stats:age"], [{"driver_id": 1}])["age"] == [7]


def test_a_version_may_have_rows_of_its_own(either: Shop) -> None:
    source = either.source({**ROWS, "age": [7] * 5}, created_timestamp_column="made")
    either.store.apply([DRIVER, either.view(source)])
    either.store.materialize(at(0), at(50))
    schema = [Field(name=name, dtype=kind) for name, kind in [("driver_id", Int64), ("rate", Float64), ("age", Int64)]]
    either.store.apply([either.view(source, schema=schema)])
    asked = [{"driver_id": 2}]
    assert either.online(["stats@v0:trips"], asked) == {"driver_id": [2], "trips": [3]}
    either.store.materialize(at(0), at(99), ["stats"], version="v0")
    either.store.materialize(at(0), at(50), ["stats"])
    found = either.online(["stats@v0:trips", "stats@v1:age", "stats:rate"], asked, full_feature_names=True)
    assert found == {"driver_id": [2], "stats@v0__trips": [5], "stats@v1__age": [7], "stats__rate": [0.3]}


def test_a_view_infers_its_schema_from_the_source(either: Shop) -> None:
    table = {"driver_id": [1], "ts": [at(1)], "rate": [0.5], "name": ["x"]}
    either.store.apply([DRIVER, FeatureView(name="stats", entities=[DRIVER], source=either.delta(table))])
    view = either.store.get_feature_view("stats")
    assert {field.name: field.dtype for field in view.schema} == {"driver_id": Int64, "rate": Float64, "name": String}
    either.store.materialize(at(0), at(50))
    assert either.online(["stats:name"], [{"driver_id": 1}])["name"] == ["x"]
