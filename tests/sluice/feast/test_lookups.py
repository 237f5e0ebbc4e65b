"""What Feast answers of as-of views is what serving and the batch kernel look up, at the newest versions of tables."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureService, FeatureView, OnDemandFeatureView
from feast.types import Float64, Int64, String

from sluice.clock import FileClock, rfc3339
from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.engine.places import open_store
from sluice.engine.read import answer
from sluice.engine.vectors import as_values, vectors
from sluice.errors import DataError, UserError
from sluice.feast.objects import feast_objects, references
from sluice.feast.registry import apply
from sluice.feast.tables import opened
from sluice.lake.asof import load, publish
from sluice.lake.asof_rows import judge
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.sluice.feast import conftest
from tests.sluice.feast.conftest import NOW, START, World
from tests.sluice.feast.test_online import ask, bits, expected

pytestmark = pytest.mark.integration
SALES = load_pipeline(str(Path(__file__).with_name("sales.py")))
ROWS: dict[str, list[dict[str, Any]]] = {
    "holidays": [
        {"country": "FR", "valid_from": rfc3339(NOW - DAY + 1), "is_holiday": 1, "days_to_next": 0},
        {"country": "FR", "valid_from": rfc3339(NOW - 30 * DAY), "is_holiday": 0, "days_to_next": 9},
        {"country": "DE", "valid_from": rfc3339(NOW - DAY), "is_holiday": 1, "days_to_next": 0},
    ],
    "limits": [{"card": card, "valid_from": rfc3339(START), "limit": card / 8, "tier": "b"} for card in (1, 2)],
    "terms": [{"owner": "é", "card": 1, "valid_from": rfc3339(START), "fee": 0.25}],
    "prices": [{"valid_from": rfc3339(NOW - number * DAY), "level": 100 + number} for number in range(5)],
}


def asked() -> list[dict[str, Any]]:
    rest = {"amount": 10.25, "seller": "é"}
    rows = [
        {"sale_id": 7, "at": NOW, "card": 1, "country": "FR", **rest},
        {"sale_id": 8, "at": NOW, "card": 2, "country": "DE", **rest},
        {"sale_id": 9, "at": NOW - DAY, "card": None, "country": None, **rest, "seller": None},
        {"sale_id": 10, "at": START - 9 * DAY, "card": 3, "country": "IT", **rest},
    ]
    return [{**{n: v for n, v in row.items() if n != "at"}, "sold_at": rfc3339(row["at"])} for row in rows]


def load_rows(table: str, rows: list[dict[str, Any]]) -> int:
    declared = SALES.tables[table]
    lake = Lake(settings().places.lake_uri, SALES.name)
    return publish(lake, declared, judge(declared, rows).accepted, source="test", at=NOW)[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(home))
        environment.setenv("SLUICE_CLOCK", (home / "clock").as_uri())
        settings.cache_clear()
        FileClock(home / "clock").move_to(NOW)
        raw = {"sales": [{**row, "sale_id": number} for number, row in enumerate(asked()[:2] * 3)]}
        events = conftest.publish(Lake(settings().places.lake_uri, SALES.name), SALES, raw | {"sales_returned": []})
        for table, rows in ROWS.items():
            load_rows(table, rows)
        store = open_store(settings().online_uri, SALES.name)
        conftest.fill(SALES, store, events)
        yield World(SALES, events, asked(), store, apply(SALES))
        store.close()


def lake() -> Lake:
    return Lake(settings().places.lake_uri, SALES.name)


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows).assign(event_timestamp=lambda rows: pd.to_datetime(rows["sold_at"], format="ISO8601"))


def historical(world: World, features: Any) -> pa.Table:
    found = world.feast.get_historical_features(frame(world.requests), features, full_feature_names=True)
    table: pa.Table = found.to_arrow()
    return table


def test_the_service_gives_the_bits_of_serving_and_of_the_kernel_online_and_in_history(world: World) -> None:
    service = world.feast.get_feature_service("sales")
    online = ask(world, service, world.requests, full_feature_names=True)
    history = historical(world, service)
    encoded, lookups = encode_requests(SALES, world.requests), load(lake(), SALES)
    served = answer(SALES, world.store, encoded, lookups).values
    computed = as_values(SALES, vectors(SALES, world.events, encoded, lookups))
    for place, reference in references(SALES).items():
        name = reference.replace(":", "__")
        assert bits(online[name]) == expected(served[place]) == expected(computed[place]), place
        assert bits(history.column(name).to_pylist()) == expected(computed[place]), place
    assert online["sales_calendar__is_holiday"] == [1.0, None, None, None]
    assert online["sales_limits__tier"] == [1, 1, None, None]
    assert online["sales_terms__fee"] == [0.25, None, None, None]
    assert online["sales_prices__level"] == [101.0, 101.0, 102.0, None]
    assert online["sales_moment__real"] == [10.25 - 101, 10.25 - 101, 10.25 - 102, None]


def test_one_as_of_view_asks_for_no_more_of_the_request_than_it_needs(world: World) -> None:
    now = rfc3339(NOW)
    assert ask(world, ["sales_calendar:is_holiday"], [{"country": "FR", "sold_at": now}])["is_holiday"] == [1.0]
    assert ask(world, ["sales_prices:level"], [{"sold_at": now}])["level"] == [101.0]
    assert ask(world, ["sales_limits:tier"], [{"card": 1, "sold_at": now}, {"card": None, "sold_at": now}])["tier"] == [
        1,
        None,
    ]
    found = world.feast.get_historical_features(
        frame(world.requests)[["sold_at", "event_timestamp"]], ["sales_prices:level"]
    )
    assert found.to_arrow().column("level").to_pylist() == [101.0, 101.0, 102.0, None]


def test_a_newer_version_is_looked_up_from_the_next_call_on(world: World) -> None:
    def fee() -> list[Any]:
        return (
            ask(world, ["sales_terms:fee"], world.requests[:1])["fee"]
            + historical(world, ["sales_terms:fee"]).column("sales_terms__fee").to_pylist()[:1]
        )

    assert fee() == [0.25, 0.25]
    try:
        load_rows("terms", [{**ROWS["terms"][0], "fee": 0.5}])
        assert fee() == [0.5, 0.5]
    finally:
        load_rows("terms", ROWS["terms"])
    assert fee() == [0.25, 0.25]


def test_a_missing_table_is_named_with_the_command_that_loads_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_LAKE", str(tmp_path))
    settings.cache_clear()
    with pytest.raises(DataError, match=r"sluice tables load \S*sales\.py holidays FILE"):
        ask(world, ["sales_prices:level"], world.requests)
    with pytest.raises(DataError, match=r"sluice tables load \S*sales\.py holidays FILE"):
        historical(world, ["sales_prices:level"])


def test_the_version_of_a_table_has_no_history(world: World) -> None:
    with pytest.raises(UserError, match="'prices_version' exists online only"):
        historical(world, ["sales_prices_table:prices_version"])


@pytest.mark.parametrize("name", [None, "", "{}", "3"])
def test_what_names_no_version_is_refused(name: str | None) -> None:
    with pytest.raises(DataError, match="is no version of a table"):
        opened(SALES, SALES.lookups[0], name)


def named(kind: type) -> dict[str, Any]:
    return {item.name: item for item in feast_objects(SALES) if isinstance(item, kind)}


def test_an_as_of_view_is_an_on_demand_view_over_the_version_of_its_table() -> None:
    found = named(OnDemandFeatureView)["sales_terms"]
    assert {field.name: field.dtype for field in found.features} == {"fee": Float64}
    asked = found.source_request_sources["sales_terms_request"].schema
    assert {field.name: field.dtype for field in asked} == {"sold_at": String, "seller": String}
    assert set(found.source_feature_view_projections) == {"sales_terms_table"}
    assert {field.name: field.dtype for field in named(OnDemandFeatureView)["sales_limits"].features} == {
        "limit": Float64,
        "tier": Int64,
    }
    assert isinstance(ast.parse(found.feature_transformation.udf_string).body[0], ast.FunctionDef)
    assert OnDemandFeatureView.from_proto(found.to_proto()) == found


def test_an_entitys_key_comes_along_with_the_version() -> None:
    views = named(FeatureView)
    assert [field.name for field in views["sales_limits_table"].entity_columns] == ["card"]
    assert [field.name for field in views["sales_terms_table"].entity_columns] == ["card"]
    assert views["sales_prices_table"].entity_columns == []
    assert {field.name: field.dtype for field in views["sales_terms_table"].features} == {"terms_version": String}
    assert FeatureView.from_proto(views["sales_terms_table"].to_proto()) == views["sales_terms_table"]


def test_the_service_is_the_vector() -> None:
    service = named(FeatureService)["sales"]
    offered = {f"{part.name}:{feature.name}" for part in service.feature_view_projections for feature in part.features}
    assert set(references(SALES).values()) == offered
    assert list(references(SALES)) == [place.name for place in SALES.features]


def test_a_request_view_stands_on_the_tables_of_its_operands() -> None:
    found = named(OnDemandFeatureView)["sales_moment"]
    assert set(found.source_feature_view_projections) == {"own_state", "sales_prices_table", "sales_limits_table"}
