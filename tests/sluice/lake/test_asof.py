from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError

from sluice.declare.durations import HOUR
from sluice.declare.loading import load_pipeline
from sluice.engine.asof import Lookups
from sluice.errors import DataError
from sluice.lake.asof import Load, load, loads, newest, place, publish
from sluice.lake.asof_rows import judge
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from tests.sluice.stream import priced
from tests.sluice.stream.feeds import START
from tests.sluice.stream.priced import ROWS, day, pipeline

pytestmark = pytest.mark.integration
HOLIDAYS = pipeline.tables["holidays"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake with the first version of every table."""
    made = Lake(str(tmp_path / "lake"), pipeline.name)
    for name, rows in ROWS.items():
        assert write(made, name, rows) == (0, True)
    return made


def write(lake: Lake, table: str, rows: Sequence[Mapping[str, Any]], source: str = "test", at: int = 7) -> Any:
    declared = pipeline.tables[table]
    judged = judge(declared, [dict(row) for row in rows])
    assert judged.refused == []
    return publish(lake, declared, judged.accepted, source=source, at=at)


def holiday(lookups: Lookups, country: str | None, at: int = START + HOUR) -> object:
    row = dict.fromkeys(pipeline.events.columns) | {"payment_id": 1, "country": country}
    asked = encode_requests(pipeline, [row | {"paid_at": "2024-02-03T01:00:00Z"}])
    values, valid = lookups.views["calendar"].at(asked)["is_holiday"]
    return values[0] if valid[0] else None


def test_what_was_loaded_is_looked_up_at_the_newest_version_or_at_the_one_that_is_named(lake: Lake) -> None:
    assert newest(lake, pipeline) == {"holidays": 0, "price_index": 0, "terms": 0}
    assert write(lake, "holidays", [day("FR", 0, 1), day("ES", 0, 1)]) == (1, True)
    after = load(lake, pipeline)
    before = load(lake, pipeline, {"holidays": 0, "price_index": 0, "terms": 0, "another": 3})
    assert (after.versions, before.versions) == (
        {"holidays": 1, "price_index": 0, "terms": 0},
        {"holidays": 0, "price_index": 0, "terms": 0},
    )
    assert [holiday(after, country) for country in ("FR", "DE", "ES", None)] == [1.0, None, 1.0, None]
    assert [holiday(before, country) for country in ("FR", "DE", "ES", None)] == [0.0, 1.0, None, None]


def test_every_load_is_a_version_that_says_where_it_is_from(lake: Lake) -> None:
    write(lake, "holidays", [day("FR", 0, 1)], source="holidays.csv (file:9f86d0)", at=START)
    write(lake, "holidays", [day("FR", 0, 0), day("FR", 1, 0)], source="other.csv", at=START + 1)
    assert loads(lake, "holidays") == [
        Load(2, "other.csv", 2, START + 1),
        Load(1, "holidays.csv (file:9f86d0)", 1, START),
        Load(0, "test", 18, 7),
    ]
    assert loads(lake, "another") == []


def test_the_same_rows_in_any_order_are_no_new_version(lake: Lake) -> None:
    shuffled = random.Random(3).sample(ROWS["holidays"], len(ROWS["holidays"]))
    assert write(lake, "holidays", shuffled) == (0, False)
    assert write(lake, "holidays", shuffled[1:]) == (1, True)
    assert write(lake, "holidays", shuffled) == (2, True)


def test_any_delta_reader_reads_the_rows_as_people_write_them(lake: Lake) -> None:
    table = deltalake.DeltaTable(lake.uri(place("terms"))).to_pyarrow_table()
    assert table.schema.field("fee").type == pa.decimal128(18, 2)
    assert table.column_names == ["valid_from", "owner", "sold_by", "fee", "plan"]
    first = table.to_pylist()[0]
    assert {name: str(value) for name, value in first.items()} == {
        "valid_from": "2024-02-03 01:00:00+00:00",
        "owner": "a",
        "sold_by": "pos",
        "fee": "1.25",
        "plan": "free",
    }


def test_neither_a_vacuum_nor_a_checkpoint_takes_a_version_away(lake: Lake) -> None:
    for number in range(3):
        write(lake, "holidays", [day("FR", number, 1)])
        table = deltalake.DeltaTable(lake.uri(place("holidays")))
        table.create_checkpoint()
        for commit in Path(lake.uri(place("holidays")), "_delta_log").iterdir():
            os.utime(commit, (0, START // 10**6))  # years ago
        table.cleanup_metadata()
        with pytest.raises(DeltaError, match="retention"):
            table.vacuum(retention_hours=24 * 365 * 50)
    versions = dict(newest(lake, pipeline))
    assert [holiday(load(lake, pipeline, versions | {"holidays": 0}), "DE")] == [1.0]
    assert [holiday(load(lake, pipeline, versions | {"holidays": 1}), "FR")] == [1.0]


def test_two_who_load_at_once_make_two_versions(lake: Lake) -> None:
    found: list[tuple[int, bool]] = []
    threads = [
        threading.Thread(target=lambda number=number: found.append(write(lake, "holidays", [day("FR", number, 1)])))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [(number, True) for number in range(1, 5)]
    assert [one.rows for one in loads(lake, "holidays")] == [1, 1, 1, 1, 18]


def test_a_missing_table_is_named_with_the_command_that_loads_it(tmp_path: Path) -> None:
    empty = Lake(str(tmp_path), pipeline.name)
    with pytest.raises(DataError, match="there is no table 'asof/holidays'") as refused:
        load(empty, pipeline)
    assert "sluice tables load priced holidays FILE" in str(refused.value)
    file = str(priced.__file__)
    with pytest.raises(DataError) as refused:
        load(empty, load_pipeline(file))
    assert f"sluice tables load {file} holidays FILE" in str(refused.value)


def test_a_version_that_is_not_there_is_named(lake: Lake) -> None:
    versions = newest(lake, pipeline)
    with pytest.raises(DataError, match="version 7 of 'asof/terms' cannot be read"):
        load(lake, pipeline, versions | {"terms": 7})
    with pytest.raises(DataError, match="no version of 'asof/terms' is named"):
        load(lake, pipeline, {"holidays": 0, "price_index": 0})


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda rows: rows.drop(["plan", "fee"]), "'fee', 'plan'"),
        (lambda rows: rows.set_column(3, "fee", rows.column("fee").cast(pa.float64())), "'fee'"),
        (lambda rows: rows.set_column(4, "plan", pa.array(["gold"] * len(rows))), "'plan'"),
        (lambda rows: rows.set_column(0, "valid_from", rows.column("valid_from").cast(pa.int64())), "'valid_from'"),
    ],
)
def test_a_version_that_was_loaded_under_another_declaration_is_named(
    lake: Lake, change: Callable[[pa.Table], pa.Table], names: str
) -> None:
    older = change(lake.read(place("terms")))
    deltalake.write_deltalake(lake.uri(place("terms")), older, mode="overwrite", schema_mode="overwrite")
    with pytest.raises(DataError, match=f"version 1 of 'asof/terms' was loaded under another declaration of {names}"):
        load(lake, pipeline)


def test_a_version_whose_file_is_damaged_or_gone_is_named(lake: Lake) -> None:
    (file,) = Path(lake.uri(place("terms"))).glob("*.parquet")
    file.write_bytes(b"PAR1 no more PAR1")
    with pytest.raises(DataError, match="version 0 of 'asof/terms' cannot be read"):
        load(lake, pipeline)
    file.unlink()
    with pytest.raises(DataError, match="version 0 of 'asof/terms' cannot be read"):
        load(lake, pipeline)


def test_a_commit_of_somebody_else_is_a_version_and_no_load(lake: Lake) -> None:
    table = deltalake.DeltaTable(lake.uri(place("terms")))
    table.delete("owner = 'a'")
    history = [json.loads(commit.get("sluice.load", "null")) for commit in table.history()]
    assert history[0] is None
    assert newest(lake, pipeline)["terms"] == 1
    assert [one.version for one in loads(lake, "terms")] == [0]
