"""The schemas of what watching and deciding leave in the lake, and their rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from sluice.decisions import Action, Decision
from sluice.monitor.drift.checks import DriftRow
from sluice.monitor.performance import PerformanceRow

DRIFT = pa.schema(
    {
        "segment": pa.string(),
        "day": pa.date32(),
        "kind": pa.string(),
        "column": pa.string(),
        "detector": pa.string(),
        "distance": pa.float64(),
        "threshold": pa.float64(),
        "p_value": pa.float64(),
        "alarm": pa.bool_(),
        "rows": pa.int64(),
        "reference": pa.string(),
        "at": pa.int64(),
    }
)
PERFORMANCE = pa.schema(
    {
        "segment": pa.string(),
        "day": pa.date32(),
        "kind": pa.string(),
        "model": pa.string(),
        "rows": pa.int64(),
        "positives": pa.float64(),
        "auc": pa.float64(),
        "average_precision": pa.float64(),
        "card_precision_at_100": pa.float64(),
        "log_loss": pa.float64(),
        "at": pa.int64(),
    }
)
DECISIONS = pa.schema(
    {"segment": pa.string(), "action": pa.string(), "reason": pa.string(), "evidence": pa.string(), "at": pa.int64()}
)


def stamped(rows: Iterable[DriftRow | PerformanceRow], at: int) -> list[dict[str, Any]]:
    """Rows as dictionaries, with the event time at which they were found."""
    return [{**asdict(row), "at": at} for row in rows]


def drift_rows(rows: Iterable[dict[str, Any]]) -> list[DriftRow]:
    """Rows of the table `drift` as values."""
    return [DriftRow(**{name: value for name, value in row.items() if name != "at"}) for row in rows]


def decision_row(decision: Decision) -> dict[str, Any]:
    """A row of the table `decisions`."""
    return {
        "segment": decision.segment,
        "action": decision.action.value,
        "reason": decision.reason,
        "evidence": json.dumps(dict(decision.evidence), sort_keys=True),
        "at": decision.at,
    }


def decision_of(row: Mapping[str, Any]) -> Decision:
    """A row of the table `decisions` as the value it was."""
    return Decision(Action(row["action"]), row["reason"], row["segment"], row["at"], json.loads(row["evidence"]))
