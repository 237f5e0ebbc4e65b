"""A vector is audited at the versions of as-of tables that it was served with, whatever was loaded since."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import DAY, HOUR
from sluice.errors import DataError
from sluice.lake.asof import load, place, publish
from sluice.lake.asof_rows import judge
from sluice.monitor.audit import audit, served_rows
from tests.sluice.monitor.serving import Serving
from tests.sluice.stream import priced
from tests.sluice.stream.feeds import START, feed
from tests.sluice.stream.priced import ROWS, day, pipeline

pytestmark = pytest.mark.integration
MESSAGES = feed(seed=11, size=500)
NOW = MESSAGES[-1].at


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """A service that serves with the first version of every table."""
    made = Serving.start(tmp_path, MESSAGES[:300], 11, pipeline, str(priced.__file__))
    for table, rows in ROWS.items():
        write(made, table, rows)
    made.lookups = load(made.history.lake, pipeline)
    return made


def write(serving: Serving, table: str, rows: list[dict[str, Any]], at: int = NOW) -> None:
    declared = pipeline.tables[table]
    publish(serving.history.lake, declared, judge(declared, rows).accepted, source="test", at=at)


def asked(country: str | None, at: int, shop: str = "a") -> dict[str, Any]:
    row = {"payment_id": 10**9, "paid_at": rfc3339(at), "card": 3, "shop": shop, "bank": None, "amount": 12.5}
    return {**row, "channel": "pos", "country": country}


def test_what_was_served_with_tables_is_what_they_say(serving: Serving) -> None:
    for _ in serving.run(MESSAGES[300:]):
        serving.serve([asked(None, START - DAY, "nowhere")])
    found = serving.audit()
    assert [item for item in found if item.differences] == []
    assert len(found) > 50
    assert {item.served.knowledge[2] for item in found} == {(("holidays", 0), ("price_index", 0), ("terms", 0))}


def test_a_newer_version_changes_new_answers_and_not_the_audit_of_old_ones(serving: Serving) -> None:
    old = serving.serve([asked("FR", NOW)])
    write(serving, "holidays", [day("FR", 0, 1, 400)])
    serving.lookups = load(serving.history.lake, pipeline)
    new = serving.serve([asked("FR", START + HOUR)])

    found = {item.served.vector: item for item in serving.audit()}

    assert [found[vector].differences for vector in (*old, *new)] == [{}, {}]
    assert [dict(found[vector].served.tables)["holidays"] for vector in (*old, *new)] == [0, 1]


def test_a_table_is_late_for_a_request_before_it_was_loaded_and_pending_for_one_after(serving: Serving) -> None:
    holiday = START + 13 * DAY + 2 * HOUR
    serving.serve([asked("FR", holiday), asked("DE", holiday)])
    write(serving, "holidays", [*ROWS["holidays"], day("FR", 13, 1, 400)], at=holiday - HOUR)
    write(serving, "holidays", [*ROWS["holidays"], day("FR", 13, 0, 300)], at=holiday + HOUR)

    found = {item.served.request["country"]: item for item in serving.audit()}

    assert [item.differences for item in found.values()] == [{}, {}]
    assert found["DE"].stale == {}
    assert found["FR"].stale == {
        "calendar__is_holiday": (None, 1.0, 0.0, 0.0),
        "calendar__days_to_next": (None, 400.0, 300.0, 300.0),
    }


def test_a_vector_that_is_logged_with_another_version_is_named(serving: Serving) -> None:
    serving.serve([asked("FR", START + HOUR), asked("DE", START + HOUR)])
    write(serving, "holidays", [day("FR", 0, 1, 400), day("DE", 0, 1, None)])
    serving.history.archive()
    lake = serving.history.lake
    served = served_rows(lake.read("predictions").to_pylist())

    wrong = audit(lake, pipeline, [replace(item, tables={**item.tables, "holidays": 1}) for item in served])

    assert {item.served.request["country"]: dict(item.differences) for item in wrong} == {
        "FR": {"calendar__is_holiday": (0.0, 1.0), "calendar__days_to_next": (None, 400.0)},
        "DE": {},
    }


def test_an_altered_row_of_the_version_that_was_served_names_the_vectors_that_read_it(serving: Serving) -> None:
    expected = {}
    for hours in range(-3, 60, 7):
        for country in ("FR", "DE", None):
            serving.serve([asked(country, START + hours * HOUR)])
            hit = country == "FR" and DAY <= hours * HOUR < 2 * DAY
            expected[f"r{serving.answers}-0"] = {"calendar__is_holiday"} if hit else set()
    assert serving.named() == {}
    write(serving, "holidays", [day("FR", 0, 0)])

    def turn(row: dict[str, Any]) -> dict[str, Any]:
        mine = row["country"] == "FR" and row["valid_from"] == dt.datetime(2024, 2, 4, tzinfo=dt.UTC)
        return {**row, "is_holiday": 1 - row["is_holiday"]} if mine else row

    alter(serving, "holidays", 0, turn)

    assert serving.named() == {name: features for name, features in expected.items() if features}
    assert len(serving.named()) > 2


def test_an_altered_row_of_a_newer_version_names_nobody(serving: Serving) -> None:
    serving.serve([asked("FR", START + HOUR)])
    write(serving, "holidays", [day("FR", 0, 1)])
    alter(serving, "holidays", 1, lambda row: {**row, "days_to_next": 99})
    assert serving.named() == {}


def test_a_vector_without_its_versions_cannot_be_computed_again(serving: Serving) -> None:
    serving.serve([asked("FR", START + HOUR)])
    serving.history.archive()
    lake = serving.history.lake
    served = served_rows(lake.read("predictions").to_pylist())
    with pytest.raises(DataError, match="no version of 'asof/holidays' is named"):
        audit(lake, pipeline, [replace(item, tables={}) for item in served])
    with pytest.raises(DataError, match="version 8 of 'asof/terms' cannot be read"):
        audit(lake, pipeline, [replace(item, tables={**item.tables, "terms": 8}) for item in served])


def alter(serving: Serving, table: str, version: int, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change rows of one version of a table in its very file, behind everybody's back."""
    found = serving.history.lake.open(place(table), version)
    assert found is not None
    (path,) = (Path(uri.removeprefix("file://")) for uri in found.file_uris())
    held = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist([change(row) for row in held.to_pylist()], schema=held.schema), path)
