from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from sluice import Decimal, Key, Label, Pipeline, Stream, Windows, count, share
from sluice.errors import DataError
from sluice.lake.values import values, wanted

pytestmark = pytest.mark.unit

PAYMENTS = Stream(
    "payments", id="id", time="at", columns={"card": Key(), "amount": Decimal()}, sources={"amount": "AMT"}
)
FRAUD = Label("fraud", of=PAYMENTS, column="FRAUD", known_after="1d")
SPEND = Windows("spend", of="card", over=PAYMENTS, features=[count("1d")])
RISK = Windows("risk", of="card", over=FRAUD, delay="1d", features=[share("fraud", "7d")])
PIPELINE = Pipeline("cards", views=[SPEND, RISK], label=FRAUD)


def paid(**columns: list[object]) -> pa.Table:
    rows = len(columns["id"])
    times = [dt.datetime(2024, 1, 1 + row, tzinfo=dt.UTC) for row in range(rows)]
    return pa.table({"at": times, "card": [7] * rows, "AMT": [1.0] * rows, "FRAUD": [0] * rows, **columns})


def test_every_event_has_its_values_as_of_its_own_moment_and_in_its_own_row() -> None:
    found = values(PIPELINE, {"payments": paid(id=[3, 1, 2], FRAUD=[1, 0, 0])})
    assert found.table.column_names == ["id", "spend__count_1d", "risk__share_fraud_7d"]
    assert found.table.to_pydict() == {
        "id": [3, 1, 2],
        "spend__count_1d": [0.0, 0.0, 0.0],
        "risk__share_fraud_7d": [None, 1.0, 0.5],
    }
    assert len(found.refused) == 0


def test_a_refused_row_has_no_values_and_is_listed_with_its_reason_and_every_row_is_accounted_for() -> None:
    found = values(PIPELINE, {"payments": paid(id=[1, 2, 2, 2], AMT=[-1.0, 1.0, 1.0, 2.0], _revision=[0, 0, 0, 1])})
    assert found.table.column("id").to_pylist() == [2]
    (refused,) = found.refused.to_pylist()
    assert (refused["row"], refused["column"], refused["rule"], refused["value"]) == (0, "AMT", "range", "-1.0")
    assert found.reasons == {"payments": {"range amount": 1}}
    assert sum(found.fates["payments"].values()) == 3


def test_a_column_that_is_not_there_is_named_and_so_is_that_of_the_label() -> None:
    with pytest.raises(DataError, match="no column AMT"):
        values(PIPELINE, {"payments": paid(id=[1]).drop(["AMT"])})
    with pytest.raises(DataError, match="no column FRAUD, which tells the label"):
        values(PIPELINE, {"payments": paid(id=[1]).drop(["FRAUD"])})


def test_of_a_wide_file_only_what_is_declared_is_read() -> None:
    assert wanted(PIPELINE, "payments") == ["id", "at", "card", "AMT", "_revision", "_op", "FRAUD"]
