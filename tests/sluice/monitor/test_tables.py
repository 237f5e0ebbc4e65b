"""What watching and deciding leave in the lake comes back as it was."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from sluice.decisions import Action, Decision
from sluice.lake.tables import Lake
from sluice.monitor.drift.checks import DriftRow
from sluice.monitor.performance import PerformanceRow
from sluice.monitor.tables import DECISIONS, DRIFT, PERFORMANCE, decision_of, decision_row, drift_rows, stamped

pytestmark = pytest.mark.unit

DAY = dt.date(2026, 1, 31)
DRIFTED = DriftRow(
    "pos", DAY, "feature", "spend__count_1h", "ks", 0.25, 0.1, 0.001, alarm=True, rows=900, reference="fraud-pos/1"
)
SCORE = DriftRow("pos", DAY, "score", "score", "psi", 0.05, 0.1, None, alarm=False, rows=900, reference="fraud-pos/1")
MEASURED = PerformanceRow("pos", DAY, "measured", "fraud-pos/1", 900, 4.0, 0.9, 0.6, 0.25, 0.01)
UNDEFINED = PerformanceRow("pos", DAY, "estimated", "fraud-pos/1", 0, 0.0, None, None, None, None)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "fraud")


def test_drift_comes_back_as_it_was(lake: Lake) -> None:
    lake.append_rows("drift", stamped([DRIFTED, SCORE], at=17), DRIFT)

    found = lake.rows("drift")

    assert drift_rows(found) == [DRIFTED, SCORE]
    assert [row["at"] for row in found] == [17, 17]


def test_quality_comes_back_as_it_was(lake: Lake) -> None:
    lake.append_rows("performance", stamped([MEASURED, UNDEFINED], at=17), PERFORMANCE)

    found = [PerformanceRow(**{name: row[name] for name in row if name != "at"}) for row in lake.rows("performance")]

    assert found == [MEASURED, UNDEFINED]


def test_a_decision_keeps_its_evidence(lake: Lake) -> None:
    decision = Decision(Action.ROLL_BACK, "worse by 0.1", "atm", 17, {"gap": 0.1, "rows": 5, "mature": True, "p": None})

    lake.append_rows("decisions", [decision_row(decision)], DECISIONS)

    row = lake.rows("decisions")[0]
    assert (row["segment"], row["action"], row["reason"], row["at"]) == ("atm", "roll_back", "worse by 0.1", 17)
    assert json.loads(row["evidence"]) == {"gap": 0.1, "rows": 5, "mature": True, "p": None}
    assert decision_of(row) == decision


def test_the_schemas_hold_every_field() -> None:
    assert set(DRIFT.names) == {*DriftRow.__dataclass_fields__, "at"}
    assert set(PERFORMANCE.names) == {*PerformanceRow.__dataclass_fields__, "at"}
    assert set(DECISIONS.names) == set(Decision.__dataclass_fields__)
