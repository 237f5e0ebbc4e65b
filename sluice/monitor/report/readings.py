"""What the tables of the lake say of vectors, audits, serving, freshness, drift, decisions and promotions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from sluice.clock import rfc3339
from sluice.lake.moved import COUNTS
from sluice.lake.tables import Lake
from sluice.monitor.report.percentiles import percentiles
from sluice.monitor.staleness import CAUSES, staleness_in

REFUSED = 422
"""The status of a request whose input broke a rule: an answer, neither a success nor a failure of the service."""

_DRIFT = ("segment", "day", "kind", "column", "detector", "distance", "threshold", "alarm")


def vector_figure(lake: Lake) -> int:
    """How many rows the table `vectors` has: one for each event of history that was backfilled."""
    return lake.count("vectors")


def audit_figures(lake: Lake) -> dict[str, int]:
    """How many served vectors were computed again, and how many of them differed at any check of them."""
    if lake.open("audits") is None:
        return {"checked": 0, "mismatched": 0}
    rows = lake.read("audits", columns=["request_id", "event_id", "equal"])
    vectors = rows.group_by(["request_id", "event_id"]).aggregate([("equal", "all")])
    different = pc.sum(pc.invert(vectors.column("equal_all"))).as_py() or 0
    return {"checked": len(vectors), "mismatched": int(different)}


def staleness_figures(lake: Lake) -> dict[str, Any]:
    """Of how many audited vectors staleness was measured, how many were stale by which causes, and by how much."""
    found = staleness_in(lake)
    causes = [{"cause": cause, "features": found.features(cause), **_sizes(found.relative[cause])} for cause in CAUSES]
    return {"measured": found.measured, "stale": found.stale, "vectors": dict(found.vectors), "causes": causes}


def _sizes(relative: Sequence[float]) -> dict[str, float | None]:
    names = ("p50", "p90", "most")
    return dict(zip(names, relative, strict=True)) if relative else dict.fromkeys(names)


def serving_figures(lake: Lake) -> dict[str, Any]:
    """Requests that were served or failed, and the latency of the served ones as their callers measured it.

    Served is a status of 200 to 299; refused inputs (422) count as neither; everything else failed, also status 0, a
    connection that broke.
    """
    status = numbers(lake, "requests", "status")
    latency = numbers(lake, "requests", "latency_us")
    served, refused = (status >= 200) & (status < 300), status == REFUSED
    return {
        "requests": int((~refused).sum()),
        "failed": int((~served & ~refused).sum()),
        **percentiles(latency[served]),
    }


def refused_requests(lake: Lake) -> int:
    """How many requests the service refused for their input."""
    return int((numbers(lake, "requests", "status") == REFUSED).sum())


def freshness_figures(lake: Lake) -> dict[str, float | None]:
    """How long after its produce call the first read of the features included an event."""
    return percentiles(numbers(lake, "freshness", "latency_us"))


def drift_figures(lake: Lake) -> list[dict[str, Any]]:
    """Every watched column at every check, oldest first."""
    rows = sorted(lake.rows("drift"), key=lambda row: (row["at"], row["segment"], row["kind"], row["column"]))
    return [{**{name: row[name] for name in _DRIFT}, "day": row["day"].isoformat()} for row in rows]


def decision_figures(lake: Lake) -> list[dict[str, Any]]:
    """Every decision, oldest first."""
    rows = sorted(lake.rows("decisions"), key=lambda row: (row["at"], row["segment"]))
    return [{**{name: row[name] for name in ("segment", "action", "reason")}, "at": rfc3339(row["at"])} for row in rows]


def promotion_figures(lake: Lake) -> list[dict[str, Any]]:
    """Every move of a model, in the order in which they were made."""
    names = ("segment", "move", "from", "to", "reason")
    return [{**{name: row[name] for name in names}, "at": rfc3339(row["at"])} for row in moves(lake)]


def moves(lake: Lake) -> list[dict[str, Any]]:
    """The rows of `promotions` in order; of a step that was taken back by hand, the reason that its person gave."""
    given = {row["rollback"]: f": {row['because']}" for row in lake.rows("rollbacks")}
    rows = sorted(lake.rows("promotions"), key=lambda row: row["sequence"])
    return [
        {**row, "reason": row["reason"] + given.get(json.loads(row["evidence"]).get("rollback"), "")} for row in rows
    ]


def touched_figures(lake: Lake) -> list[dict[str, Any]]:
    """What every repair touched: vectors first, then the models that had learned from them."""
    rows = sorted(lake.rows("touched"), key=lambda row: (row["at"], row["model"], row["version"]))
    return [
        {
            "model": f"{row['model']}/{row['version']}" if row["model"] else None,
            "segment": row["segment"],
            **{name: row[name] for name in COUNTS},
            "columns": json.loads(row["columns"]),
            "at": rfc3339(row["at"]),
        }
        for row in rows
    ]


def numbers(lake: Lake, table: str, name: str) -> np.ndarray:
    """A column of whole numbers that is never null; an empty one while nobody has written the table."""
    if lake.open(table) is None:
        return np.empty(0, np.int64)
    values: np.ndarray = lake.read(table, columns=[name]).column(name).to_numpy()
    return values
