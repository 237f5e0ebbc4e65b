"""A whole run, as the demo leaves it: every table filled, small, and the same every time."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from serve.promotions import PROMOTIONS
from sluice.clock import rfc3339
from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.lake.touched import TOUCHED
from sluice.local.replay import FRESHNESS, REQUESTS
from sluice.monitor.audit import AUDITS
from sluice.monitor.report.figures import ModelFigures, Step
from sluice.monitor.staleness import Steps, staleness_columns
from sluice.monitor.tables import DECISIONS, DRIFT, PERFORMANCE
from sluice.stream.predictions import PREDICTIONS
from tests.sluice.monitor.report.lakes import (
    END,
    FILE,
    LIVE,
    answered,
    bronze,
    deliver,
    judged,
    move,
    payment,
)

MODELS = tuple(
    ModelFigures(segment, version, 0.5 + quality / 2, quality, 0.21, 0.031)
    for segment, version, quality in (
        ("pos", 1, 0.61),
        ("online", 1, 0.58),
        ("online", 2, 0.71),
        ("online", 3, 0.04),
        ("atm", 1, 0.55),
        ("*", 1, 0.57),
    )
)
STEPS = (
    Step("services", 31.2, 2140.0),
    Step("events of 140 days", 6.4, 2310.0),
    Step("ingest of history", 58.0, 4120.0),
    Step("features", 44.9, 4480.0),
    Step("train and register", 96.3, 6890.0),
    Step("sixty live days", 171.5, 6240.0),
    Step("report", 4.1, 5900.0),
)
_SHIFTED = {"moment__amount", "customer_spend__mean_amount_7d", "score"}
SEGMENTS = ("pos", "online", "atm")
BROKER_ENDS = {"fraud.transactions": 43, "fraud.chargebacks": 6, "fraud.predictions": 999}


def tell(lake: Lake, pipeline: Pipeline) -> None:
    """A whole run: drift in `online`, a retrain that takes over, and a shuffled challenger that is rolled back."""
    random = np.random.default_rng(11)
    _events(lake, pipeline)
    _vectors(lake)
    _answers(lake, random)
    _watching(lake, random)
    _rollout(lake)
    _repair(lake)


def _events(lake: Lake, pipeline: Pipeline) -> None:
    history = LIVE - 3 * DAY
    rows = [payment(number, history + number * MINUTE) for number in range(60)]
    rows[7] |= {"amount": "-4.00"}
    rows[8] |= {"channel": "<b>kiosk</b>"}
    deliver(lake, pipeline, "transactions", bronze(rows, source=FILE, batch="history"), batch="history", at=LIVE)
    wrong = "100.00% of the rows refused (missing 20), at most 5.00% allowed"
    judged(lake, "transactions", "week-20", LIVE + HOUR, "stop", wrong, rows=20)
    renamed = [{**payment(100 + number, LIVE + number * MINUTE)} for number in range(20)]
    deliver(
        lake,
        pipeline,
        "transactions",
        bronze(renamed, source="file:77aa", batch="week-20"),
        batch="week-20",
        at=LIVE + 2 * HOUR,
        renamed=json.dumps({"amount": "total"}),
    )
    _live(lake, pipeline)
    held = [payment(900 + number, LIVE + 9 * DAY) for number in range(12)]
    lake.append("events/transactions", bronze(held, source="file:99bb", batch="week-23"))
    judged(lake, "transactions", "week-23", LIVE + 20 * DAY, "stop", "newest event 8 days old, at most 1d", rows=12)


def _live(lake: Lake, pipeline: Pipeline) -> None:
    live = [payment(200 + number, LIVE + number * DAY, _known=LIVE + number * DAY) for number in range(40)]
    rows: list[Any] = [*live, b"{broken", payment(300, LIVE, _known=LIVE + 2 * DAY), payment(301, LIVE, country=None)]
    raw = bronze(rows, source="kafka:fraud.transactions", batch="")
    deliver(lake, pipeline, "transactions", raw, batch="archived-1", at=END)
    told = [
        {
            "chargeback_id": number,
            "reported_time": rfc3339(LIVE + number * DAY),
            "transaction_id": 200 + number,
            "is_fraud": 1,
            "_known": LIVE + number * DAY,
        }
        for number in range(6)
    ]
    deliver(
        lake,
        pipeline,
        "chargebacks",
        bronze(told, source="kafka:fraud.chargebacks", batch=""),
        batch="archived-1",
        at=END,
    )


def _vectors(lake: Lake) -> None:
    lake.append("vectors", pa.table({"event_id": list(range(78)), "event_time": [LIVE] * 78}))


def _answers(lake: Lake, random: np.random.Generator) -> None:
    count = 3000
    segments = random.choice(SEGMENTS, count, p=[0.6, 0.3, 0.1])
    scores = np.clip(random.beta(0.25, 14, count) + 0.45 * (random.random(count) < 0.015), 0, 1)
    latency = (random.lognormal(0.2, 0.45, count) * 1000).astype(int)
    rows = [
        _prediction(number, str(segment), float(score), int(micros))
        for number, (segment, score, micros) in enumerate(zip(segments, scores, latency, strict=True))
    ]
    lake.append("predictions", pa.Table.from_pylist(rows, schema=PREDICTIONS))
    lake.append_rows("audits", [_audited(row, number) for number, row in enumerate(rows)], AUDITS)
    seen_statuses = [*((200, int(each) + 900) for each in latency[:1000]), (422, 700)]
    lake.append_rows("requests", answered(seen_statuses), REQUESTS)
    fresh = (random.lognormal(3.4, 0.5, 400) * 1000).astype(int)
    seen = [
        {"topic": "fraud.transactions", "offset": number, "latency_us": int(each), "at": LIVE}
        for number, each in enumerate(fresh)
    ]
    lake.append_rows("freshness", seen, FRESHNESS)


def _prediction(number: int, segment: str, score: float, latency: int) -> dict[str, object]:
    at = LIVE + number * 60 * DAY // 3000
    role = "canary" if segment == "online" and 20 * DAY < at - LIVE < 22 * DAY else "champion"
    return {
        "request_id": f"r{number // 3}",
        "event_id": str(number),
        "event_time": at,
        "answered": at,
        "request": "{}",
        "keys": "{}",
        "knowledge": "{}",
        "definition": "d",
        "segment": segment,
        "model": f"fraud-{segment}",
        "version": "1",
        "role": role,
        "score": score,
        "decision": "review" if score > 0.5 else "pass",
        "degraded": False,
        "vector": b"",
        "latency_us": latency,
        "position": number,
    }


def _audited(row: Mapping[str, Any], number: int) -> dict[str, object]:
    """Every tenth vector lacked an event on its way, every seventh a late one, every fiftieth one that had expired."""
    names = ("request_id", "event_id", "event_time", "definition")
    pending, late, expired = (float(number % each == 0) for each in (10, 7, 50))
    counts = (7.0, 7 + pending, 7 + pending + late, 7 + pending + late + expired)
    steps: dict[str, Steps] = {}
    if counts[-1] > 7:
        steps["customer_spend__count_7d"] = counts
    if late:
        steps["customer_spend__mean_amount_7d"] = (20.0, 20.0, 20.0 + number % 31, 20.0 + number % 31)
        steps["customer_spend__since_last"] = (None, None, 60.0 * number, 60.0 * number)
    known = {name: row[name] for name in names}
    return {**known, "equal": True, "features": "{}", "at": END, **staleness_columns(steps)}


def _watching(lake: Lake, random: np.random.Generator) -> None:
    columns = (
        "customer_spend__mean_amount_7d",
        "customer_spend__count_7d",
        "terminal_traffic__mean_amount_30d",
        "terminal_risk__share_is_fraud_30d",
        "moment__amount",
        "moment__country",
    )
    drift, quality, decided = [], [], []
    for round_ in range(12):
        at = LIVE + (round_ + 1) * 5 * DAY
        for segment in SEGMENTS:
            shifted = segment == "online" and 2 <= round_ <= 4
            for column in (*columns, "score"):
                lift = (
                    0.17 if shifted and column in {"moment__amount", "customer_spend__mean_amount_7d", "score"} else 0.0
                )
                distance = 0.05 + 0.03 * random.random() + lift
                drift.append(_drift(segment, column, at, distance, alarm=lift > 0 and round_ > 2))
            quality += _quality(segment, at, round_, random)
            decided.append(_decision(segment, at, retrain=segment == "online" and round_ == 3))
    lake.append_rows("drift", drift, DRIFT)
    lake.append_rows("performance", quality, PERFORMANCE)
    lake.append_rows("decisions", decided, DECISIONS)


def _drift(segment: str, column: str, at: int, distance: float, *, alarm: bool) -> dict[str, object]:
    return {
        "segment": segment,
        "day": _day(at),
        "kind": "score" if column == "score" else "feature",
        "column": column,
        "detector": "alibi.ks:values",
        "distance": distance,
        "threshold": 0.14,
        "p_value": 0.01,
        "alarm": alarm,
        "rows": 300,
        "reference": f"fraud-{segment}/1",
        "at": at,
    }


def _quality(segment: str, at: int, round_: int, random: np.random.Generator) -> list[dict[str, object]]:
    """The estimate of the newest rows, and from the fifth check on the measurement of those 21 days older."""
    model = f"fraud-{segment}/{2 if segment == 'online' and round_ > 4 else 1}"
    level = 0.62 - (0.22 if segment == "online" and 2 <= round_ <= 4 else 0)
    found = [("estimated", at - DAY, 0.63), *([("measured", at - 21 * DAY, level)] if round_ > 4 else [])]
    return [
        {
            "segment": segment,
            "day": _day(day),
            "kind": kind,
            "model": model,
            "rows": 900,
            "positives": 22.0,
            "auc": 0.9,
            "average_precision": value + 0.06 * (random.random() - 0.5),
            "card_precision_at_100": 0.2 if kind == "measured" else None,
            "log_loss": 0.04,
            "at": at,
        }
        for kind, day, value in found
    ]


def _decision(segment: str, at: int, *, retrain: bool) -> dict[str, object]:
    why = "moment__amount drifted: 0.23 past 0.14 in 2 of 2 checks" if retrain else "nothing asks for a change"
    return {"segment": segment, "action": "retrain" if retrain else "hold", "reason": why, "evidence": "{}", "at": at}


def _rollout(lake: Lake) -> None:
    names = {segment: f"fraud-{segment}" for segment in SEGMENTS} | {"*": "fraud-all"}
    first = [
        move(number, segment, "promote", None, f"{name}/1", LIVE, reason="the first champion")
        for number, (segment, name) in enumerate(names.items())
    ]
    old, new, bad = (f"fraud-online/{version}" for version in (1, 2, 3))
    rolled = [
        move(4, "online", "shadow", old, new, LIVE + 20 * DAY, reason="a retrain for drift"),
        move(5, "online", "canary", old, new, LIVE + 23 * DAY, share=0.1, reason="1,204 answers shadowed, shift 0.08"),
        move(6, "online", "canary", old, new, LIVE + 25 * DAY, share=0.5, reason="no errors in 212 answers"),
        move(7, "online", "promote", old, new, LIVE + 28 * DAY, reason="average precision 0.71 against 0.58"),
        move(8, "online", "shadow", new, bad, LIVE + 38 * DAY, reason="a second challenger"),
        move(9, "online", "canary", new, bad, LIVE + 41 * DAY, share=0.1, reason="shift 0.21 of 0.25"),
        move(10, "online", "rollback", bad, new, LIVE + 44 * DAY, reason="average precision 0.04 against 0.71"),
    ]
    lake.append_rows("promotions", [*first, *rolled], PROMOTIONS)


def _repair(lake: Lake) -> None:
    row = {"at": END, "vectors": "vectors", "before": 1, "after": 2, "batches": "[]", "labelled": 0}
    moved = '{"customer_spend__count_1d": {"changed": 9, "mean": 1.2, "greatest": 2.0}}'
    rows = [
        {
            "model": "",
            "version": "",
            "segment": "*",
            "changed": 40,
            "added": 1,
            "gone": 1,
            "labelled": 800,
            "columns": "{}",
        },
        {
            "model": "fraud-online",
            "version": "2",
            "segment": "online",
            "changed": 9,
            "added": 0,
            "gone": 0,
            "columns": moved,
        },
    ]
    lake.append_rows("touched", [row | each for each in rows], TOUCHED)


def _day(at: int) -> dt.date:
    return dt.datetime.fromtimestamp(at // 1_000_000, dt.UTC).date()
