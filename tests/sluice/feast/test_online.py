from __future__ import annotations

import asyncio
import datetime as dt
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.clock import to_datetime
from sluice.engine.read import answer, read_view
from sluice.engine.vectors import as_values, vectors
from sluice.errors import Outage, UserError
from sluice.feast.objects import references
from sluice.lake.requests import encode_requests
from sluice.settings import settings
from tests.sluice.feast.conftest import NOW, START, World, request_rows

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def worlds(everywhere: dict[str, World]) -> dict[str, World]:
    return everywhere


def bits(values: list[Any]) -> list[bytes | int | None]:
    return [struct.pack("<d", value) if isinstance(value, float) else value for value in values]


def expected(column: Any) -> list[bytes | int | None]:
    values, valid = column
    return bits([value if known else None for value, known in zip(values.tolist(), valid.tolist(), strict=True)])


def ask(world: World, features: Any, rows: list[dict[str, Any]], **named: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = world.feast.get_online_features(features, rows, **named).to_dict()
    return found


def test_a_view_answers_as_of_the_clock_and_is_null_where_it_needs_a_request(world: World) -> None:
    keys = [1, 4, 99, None, 1]
    features = [f"customer_spend:{item.name}" for item in world.pipeline.view("customer_spend").functions]
    found = ask(world, features, [{"customer_id": key} for key in keys])
    read = read_view(world.pipeline.view("customer_spend"), world.store, keys, NOW)
    assert {name: bits(values) for name, values in found.items() if name != "customer_id"} == {
        name: expected(column) for name, column in read.items()
    }
    assert found["customer_id"] == keys
    assert found["count_7d"] == [None] * 5
    assert [value is None for value in found["since_last"]] == [False, False, True, True, False]


def test_views_of_several_entities_are_read_together(world: World) -> None:
    rows = [{"customer_id": 1, "terminal_id": 2}, {"customer_id": 2, "terminal_id": None}]
    found = ask(
        world, ["terminal_traffic:count_7d", "customer_reports:count_30d", "terminal_risk:share_is_fraud_30d"], rows
    )
    traffic = read_view(world.pipeline.view("terminal_traffic"), world.store, [2, None], NOW)
    claims = read_view(world.pipeline.view("customer_reports"), world.store, [1, 2], NOW)
    assert bits(found["count_7d"]) == expected(traffic["count_7d"])
    assert bits(found["count_30d"]) == expected(claims["count_30d"])
    assert found["count_7d"][0] > 0
    assert found["count_7d"][1] == 0


@pytest.mark.parametrize("name", ["fraud", "clinic"])
def test_the_service_gives_the_bits_of_the_serving_path_and_of_the_batch_kernel(
    worlds: dict[str, World], name: str
) -> None:
    world = worlds[name]
    found = ask(world, world.feast.get_feature_service(name), world.requests, full_feature_names=True)
    encoded = encode_requests(world.pipeline, world.requests)
    served = answer(world.pipeline, world.store, encoded).values
    computed = as_values(world.pipeline, vectors(world.pipeline, world.events, encoded))
    for place, reference in references(world.pipeline).items():
        read = bits(found[reference.replace(":", "__")])
        assert read == expected(served[place]), place
        assert read == expected(computed[place]), place


def test_one_view_at_a_request_is_asked_by_short_names(world: World) -> None:
    rows = [
        {name: row[name] for name in ("customer_id", "transaction_id", "event_time", "amount")}
        for row in request_rows()
    ]
    found = ask(world, ["customer_spend_at:count_7d", "customer_spend_at:mean_amount_1d"], rows)
    served = answer(world.pipeline, world.store, encode_requests(world.pipeline, request_rows())).values
    assert bits(found["count_7d"]) == expected(served["customer_spend__count_7d"])
    assert bits(found["mean_amount_1d"]) == expected(served["customer_spend__mean_amount_1d"])
    assert set(found) == {"customer_id", "count_7d", "mean_amount_1d"}


def test_a_request_without_an_id_comes_after_every_event_of_its_moment(world: World) -> None:
    own = request_rows()[0]
    asked = {"terminal_id": own["terminal_id"], "event_time": own["event_time"]}
    features = ["terminal_traffic_at:count_30d"]
    found = ask(
        world, features, [{**asked, "transaction_id": own["transaction_id"]}, {**asked, "transaction_id": None}]
    )
    assert found["count_30d"][1] == found["count_30d"][0] + 1


def test_values_carry_the_clock_as_their_timestamp(world: World) -> None:
    response = world.feast.get_online_features(["terminal_traffic:count_7d"], [{"terminal_id": 1}])
    assert response.to_dict(include_event_timestamps=True)["count_7d__ts"] == [NOW // 1_000_000]


def test_several_threads_may_read_at_once(world: World) -> None:
    rows = [{"terminal_id": key} for key in (1, 2, 3)]
    alone = ask(world, ["terminal_traffic:count_7d"], rows)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: ask(world, ["terminal_traffic:count_7d"], rows), range(40)))
    assert found == [alone] * 40


def test_before_the_online_store_is_there_the_next_step_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_ONLINE", f"sqlite:///{tmp_path}")
    settings.cache_clear()
    with pytest.raises(Outage, match="run the flow `features`"):
        ask(world, ["terminal_traffic:count_7d"], [{"terminal_id": 1}])


def test_features_may_be_awaited(world: World) -> None:
    rows = [{"terminal_id": 1}, {"terminal_id": 3}]
    waited = asyncio.run(world.feast.get_online_features_async(["terminal_traffic:count_7d"], rows))
    assert waited.to_dict() == ask(world, ["terminal_traffic:count_7d"], rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event_time": dt.datetime(2026, 3, 1, tzinfo=dt.UTC)}, "Feast keeps whole seconds of a datetime"),
        ({"event_time": "yesterday"}, "is no time"),
        ({"event_time": None}, "is missing"),
        ({"amount": 100_001.0}, "is out of range"),
        ({"amount": 1.005}, "more digits than are declared"),
        ({"amount": "much"}, "another type"),
        ({"amount": None}, "is missing"),
        ({"channel": "phone"}, "is no category"),
    ],
)
def test_a_request_that_history_would_refuse_is_refused(world: World, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        ask(world, ["fraud_moment:amount"], [{**request_rows()[1], **change}])


def test_values_are_not_written_through_feast(world: World) -> None:
    view = world.feast.get_feature_view("terminal_traffic")
    row = {"terminal_id": 1, "event_time": pd.Timestamp("2026-01-05", tz="UTC")}
    row |= {feature.name: 1.0 for feature in view.features}
    with pytest.raises(UserError, match="not written through Feast"):
        world.feast.write_to_online_store("terminal_traffic", pd.DataFrame([row]))


def test_materializing_is_refused_and_the_view_still_answers(world: World) -> None:
    before = ask(world, ["terminal_traffic:count_7d"], [{"terminal_id": 1}])
    with pytest.raises(UserError, match="flow `features`"):
        world.feast.materialize(to_datetime(START), to_datetime(NOW), ["terminal_traffic"])
    world.feast.refresh_registry()
    assert ask(world, ["terminal_traffic:count_7d"], [{"terminal_id": 1}]) == before
