"""Lakes as runs leave them, made through the schemas and the contract of the real writers; small, and seeded."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from sluice.clock import from_datetime, rfc3339
from sluice.declare.durations import DAY
from sluice.declare.pipeline import Pipeline
from sluice.lake.contract import BRONZE, check
from sluice.lake.publish import BATCHES, VERDICTS
from sluice.lake.tables import Lake

LIVE = from_datetime(dt.datetime(2026, 5, 21, tzinfo=dt.UTC))
"""The first live day."""
END = LIVE + 60 * DAY
FILE = "file:0f3a"


def payment(number: int, at: int, **columns: object) -> dict[str, object]:
    """A payment that the contract accepts."""
    sound = {"customer_id": 1, "terminal_id": 2, "amount": "10.00", "channel": "pos", "country": "NL"}
    return {"transaction_id": number, "event_time": rfc3339(at), **sound, **columns}


def bronze(rows: Sequence[Mapping[str, Any] | bytes], *, source: str, batch: str, first: int = 0) -> pa.Table:
    """Raw events in the order of a source; `_known`, `_revision` and `_op` of a row are its control columns."""
    plain = [{} if isinstance(row, bytes) else dict(row) for row in rows]
    control = [{name: row.pop(f"_{name}", None) for name in ("known", "revision", "op")} for row in plain]
    payloads = [raw if isinstance(raw, bytes) else orjson.dumps(row) for raw, row in zip(rows, plain, strict=True)]
    return pa.table(
        {
            "payload": payloads,
            "source": [source] * len(rows),
            "partition": [0] * len(rows),
            "position": range(first, first + len(rows)),
            "known": [row["known"] for row in control],
            "revision": [row["revision"] or 0 for row in control],
            "op": [row["op"] or 0 for row in control],
            "batch": [batch] * len(rows),
        },
        schema=BRONZE,
    )


def deliver(
    lake: Lake, pipeline: Pipeline, stream: str, raw: pa.Table, *, batch: str, at: int, **shown: object
) -> pa.Table:
    """Raw events into bronze, through the contract, and published as one batch; the accepted ones.

    `shown` overrides what the batch's row says, such as `renamed`.
    """
    lake.append(f"events/{stream}", raw)
    checked = check(pipeline.stream(stream), raw, batch=batch)
    refused = checked.rejected.column("rule").to_pylist()
    if len(checked.accepted):
        lake.append(f"silver/{stream}", checked.accepted)
    if refused:
        lake.append(f"quarantine/{stream}", checked.rejected)
    publish(
        lake, stream, batch, at, rows=len(raw), accepted=len(checked.accepted), refused=refused, sources=raw, **shown
    )
    return checked.accepted


def publish(
    lake: Lake,
    stream: str,
    batch: str,
    at: int,
    *,
    rows: int,
    accepted: int,
    refused: Sequence[str] = (),
    sources: pa.Table | None = None,
    **shown: object,
) -> None:
    """The row of a batch that shows it to readers."""
    counted = {rule: list(refused).count(rule) for rule in sorted(set(refused))}
    last: dict[str, int] = {}
    for row in [] if sources is None else sources.select(["source", "partition", "position"]).to_pylist():
        last[f"{row['source']}/{row['partition']}"] = row["position"]
    row = {
        "batch": batch,
        "stream": stream,
        "at": at,
        "rows": rows,
        "accepted": accepted,
        "duplicates": 0,
        "conflicts": 0,
        "late": 0,
        "quarantined": json.dumps(counted),
        "sources": json.dumps(last),
        "contract": "c0ffee",
        "renamed": "{}",
        "silver_version": 0,
        **shown,
    }
    lake.append_rows("batches", [row], BATCHES)


def judged(lake: Lake, stream: str, batch: str, at: int, verdict: str, message: str, *, rows: int = 10) -> None:
    """One finding of a gate."""
    row = {"batch": batch, "stream": stream, "at": at, "rule": "quarantined", "verdict": verdict, "message": message}
    lake.append_rows("verdicts", [{**row, "evidence": "{}", "rows": rows}], VERDICTS)


def answered(statuses: Iterable[tuple[int, int]]) -> list[dict[str, object]]:
    """Rows of the table `requests` from (status, microseconds)."""
    return [
        {"request_id": f"r{number}", "events": 3, "status": status, "latency_us": latency, "problem": "", "at": LIVE}
        for number, (status, latency) in enumerate(statuses)
    ]


def move(
    sequence: int, segment: str, name: str, before: str | None, after: str | None, at: int, **more: object
) -> dict[str, object]:
    """A row of the table `promotions`."""
    row = {"segment": segment, "move": name, "from": before, "to": after, "at": at, "sequence": sequence}
    return {**row, "share": 0.0, "reason": f"{name} of {after}", "evidence": "{}", **more}
