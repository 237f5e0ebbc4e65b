from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import DataError, UserError
from sluice.lake.asof_rows import Judged, Refused, judge, rows_of
from tests.sluice.stream.priced import ROWS, pipeline

pytestmark = pytest.mark.unit
TERMS = pipeline.tables["terms"]
GOOD = {"owner": "a", "sold_by": "pos", "valid_from": "2024-02-03", "fee": 1.25, "plan": None}


def judged(*rows: dict[str, Any]) -> Judged:
    return judge(TERMS, list(rows))


def test_rows_are_typed_as_events_are() -> None:
    found = judged({**GOOD, "fee": "1.25", "valid_from": "2024-02-03T02:00:00+02:00", "unknown": 7})
    assert found.refused == []
    assert found.accepted.to_pylist() == [
        {
            "valid_from": dt.datetime(2024, 2, 3, tzinfo=dt.UTC),
            "owner": "a",
            "sold_by": "pos",
            "fee": Decimal("1.25"),
            "plan": None,
        }
    ]


@pytest.mark.parametrize(
    ("change", "column", "rule", "value", "allowed"),
    [
        ({"valid_from": None}, "valid_from", "missing", "null", "a value"),
        ({"valid_from": "soon"}, "valid_from", "type", '"soon"', "a time such as 2024-01-01T13:00:00Z"),
        ({"owner": None}, "owner", "missing", "null", "a value"),
        ({"owner": 3}, "owner", "type", "3", "a text"),
        ({"sold_by": "phone"}, "sold_by", "category", '"phone"', "pos, web"),
        ({"fee": None}, "fee", "missing", "null", "a value"),
        ({"fee": 1.005}, "fee", "scale", "1.005", "a number with 2 decimals"),
        ({"fee": -1}, "fee", "range", "-1", "0 to 100000"),
        ({"plan": "gold"}, "plan", "category", '"gold"', "free, paid"),
    ],
)
def test_a_bad_row_is_named_with_the_rule_it_breaks(
    change: dict[str, Any], column: str, rule: str, value: str, allowed: str
) -> None:
    found = judged(GOOD, {**GOOD, "owner": "b", **change}, {**GOOD, "owner": "c"})
    assert found.refused == [Refused(2, column, rule, value, allowed)]
    assert len(found.accepted) == 2


def test_rows_that_hold_from_the_same_moment_for_one_key_are_all_named() -> None:
    same = {**GOOD, "valid_from": "2024-02-03T00:00:00Z", "fee": 2.0}
    found = judged(GOOD, {**GOOD, "sold_by": "web"}, same, {**GOOD, "valid_from": "2024-02-04"})
    assert [str(one) for one in found.refused] == [
        f"row {row}: valid_from: repeated: owner a, sold_by pos, valid_from 2024-02-03 00:00:00+00:00 "
        "(allowed: one row for each owner and sold_by and valid_from)"
        for row in (1, 3)
    ]


def test_a_row_of_the_far_future_may_be_loaded() -> None:
    assert judged({**GOOD, "valid_from": "2999-01-01"}).refused == []


def test_rows_are_counted_across_pieces_of_a_large_table() -> None:
    rows = [{**GOOD, "owner": str(number)} for number in range(20_000)]
    rows[15_000]["fee"] = -1
    rows[19_999]["owner"] = "3"
    found = judge(TERMS, rows)
    assert [(one.row, one.rule) for one in found.refused] == [(4, "repeated"), (15_001, "range"), (20_000, "repeated")]


def test_no_rows_are_no_table() -> None:
    with pytest.raises(DataError, match="there are no rows"):
        judge(TERMS, [])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_file_of_any_kind_is_the_same_table(tmp_path: Path, suffix: str) -> None:
    path, rows = tmp_path / f"terms.{suffix}", ROWS["terms"]
    if suffix == "csv":
        lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]))
    elif suffix == "jsonl":
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=5)
    found = judge(TERMS, rows_of(TERMS, path))
    assert found.refused == []
    assert found.accepted.equals(judge(TERMS, rows).accepted)


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "terms.jsonl"
    path.write_bytes(orjson.dumps(GOOD) + b"\n{\n")
    (refused,) = judge(TERMS, rows_of(TERMS, path)).refused
    assert str(refused) == "row 2: json: { (allowed: a JSON object)"


def test_a_file_without_a_declared_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text("owner,valid_from,fee\na,2024-02-03,1\n")
    with pytest.raises(DataError, match="no column 'sold_by', 'plan'"):
        list(rows_of(TERMS, path))
    with pytest.raises(UserError, match="there is no such file"):
        list(rows_of(TERMS, tmp_path / "nothing.csv"))
