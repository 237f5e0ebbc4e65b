from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pytest

from serve.promotions import PROMOTIONS
from serve.rollbacks import record
from sluice.declare.durations import DAY
from sluice.lake.tables import Lake
from sluice.lake.touched import TOUCHED
from sluice.local.replay import FRESHNESS, REQUESTS
from sluice.monitor.audit import AUDITS
from sluice.monitor.report.readings import (
    audit_figures,
    decision_figures,
    drift_figures,
    freshness_figures,
    promotion_figures,
    refused_requests,
    serving_figures,
    staleness_figures,
    touched_figures,
    vector_figure,
)
from sluice.monitor.staleness import CAUSES, staleness_columns
from sluice.monitor.tables import DECISIONS, DRIFT
from tests.sluice.monitor.report.lakes import LIVE, answered, move

pytestmark = pytest.mark.unit


NOBODY = {"pending": 0, "lateness": 0, "expiry": 0, "several": 0}


def audited(request: str, event: str, *, equal: bool) -> dict[str, object]:
    return {"request_id": request, "event_id": event, "event_time": LIVE, "equal": equal, "features": "{}", "at": LIVE}


def nothing(cause: str) -> dict[str, object]:
    return {"cause": cause, "features": 0, "p50": None, "p90": None, "most": None}


def test_a_lake_without_tables_has_figures_of_nothing(lake: Lake) -> None:
    assert vector_figure(lake) == 0
    assert audit_figures(lake) == {"checked": 0, "mismatched": 0}
    assert staleness_figures(lake) == {"measured": 0, "stale": 0, "vectors": NOBODY, "causes": [*map(nothing, CAUSES)]}
    assert serving_figures(lake) == {"requests": 0, "failed": 0, "p50_ms": None, "p99_ms": None}
    assert freshness_figures(lake) == {"p50_ms": None, "p99_ms": None}
    assert (drift_figures(lake), decision_figures(lake), promotion_figures(lake)) == ([], [], [])


def test_vectors_are_the_rows_of_their_table(lake: Lake) -> None:
    lake.append("vectors", pa.table({"event_id": ["a", "b", "c"], "event_time": [1, 2, 3]}))
    assert vector_figure(lake) == 3


def test_an_audited_vector_counts_once_and_one_difference_marks_it_for_good(lake: Lake) -> None:
    rows = [
        audited("r1", "1", equal=True),
        audited("r1", "2", equal=False),
        audited("r1", "2", equal=True),
        audited("r2", "1", equal=True),
        audited("r2", "1", equal=True),
    ]
    lake.append_rows("audits", rows, AUDITS)
    assert audit_figures(lake) == {"checked": 3, "mismatched": 1}


def test_stale_vectors_are_counted_by_their_cause_and_the_differences_by_theirs(lake: Lake) -> None:
    found = [{}, {"a": (1.0, 2.0, 2.0, 2.0)}, {"a": (4.0, 4.0, 5.0, 5.0), "b": (None, None, 1.0, 1.0)}]
    rows = [audited(f"r{place}", "1", equal=True) | staleness_columns(steps) for place, steps in enumerate(found)]
    lake.append_rows("audits", [*rows, audited("old", "1", equal=True)], AUDITS)
    assert staleness_figures(lake) == {
        "measured": 3,
        "stale": 2,
        "vectors": NOBODY | {"pending": 1, "lateness": 1},
        "causes": [
            {"cause": "pending", "features": 1, "p50": 0.5, "p90": 0.5, "most": 0.5},
            {"cause": "lateness", "features": 2, "p50": 0.2, "p90": 0.2, "most": 0.2},
            nothing("expiry"),
        ],
    }


@pytest.mark.parametrize("status", [0, 301, 400, 404, 429, 500, 503])
def test_every_status_but_success_and_refused_input_is_a_failure(lake: Lake, status: int) -> None:
    lake.append_rows("requests", answered([(200, 1_000), (status, 90_000), (422, 50)]), REQUESTS)
    assert serving_figures(lake) == {"requests": 2, "failed": 1, "p50_ms": 1.0, "p99_ms": 1.0}
    assert refused_requests(lake) == 1


def test_latencies_are_those_of_served_requests(lake: Lake) -> None:
    lake.append_rows("requests", answered([(0, 1), (200, 2_500), (200, 4_000), (200, 9_000)]), REQUESTS)
    assert serving_figures(lake) == {"requests": 4, "failed": 1, "p50_ms": 4.0, "p99_ms": 9.0}


def test_freshness_is_over_all_topics(lake: Lake) -> None:
    rows = [
        {"topic": topic, "offset": 0, "latency_us": latency, "at": 0} for topic, latency in (("a", 100), ("b", 300))
    ]
    lake.append_rows("freshness", rows, FRESHNESS)
    assert freshness_figures(lake) == {"p50_ms": 0.1, "p99_ms": 0.3}


def test_drift_has_every_check_of_every_column_oldest_first(lake: Lake) -> None:
    def row(at: int, column: str, *, alarm: bool) -> dict[str, object]:
        own = {"segment": "pos", "kind": "feature", "detector": "twin.ks:values", "p_value": 0.5, "rows": 20}
        told = {"distance": 0.25, "threshold": 0.125, "reference": "fraud-pos/1"}
        return {**own, **told, "day": dt.date(2026, 5, 22), "column": column, "alarm": alarm, "at": at}

    lake.append_rows("drift", [row(2, "a", alarm=True), row(1, "b", alarm=False), row(1, "a", alarm=False)], DRIFT)
    found = drift_figures(lake)
    assert [(each["column"], each["alarm"]) for each in found] == [("a", False), ("b", False), ("a", True)]
    assert found[0] == {
        "segment": "pos",
        "day": "2026-05-22",
        "kind": "feature",
        "column": "a",
        "detector": "twin.ks:values",
        "distance": 0.25,
        "threshold": 0.125,
        "alarm": False,
    }


def test_decisions_say_what_why_and_when(lake: Lake) -> None:
    rows = [
        {"segment": "pos", "action": "hold", "reason": "calm", "evidence": "{}", "at": LIVE + DAY},
        {"segment": "atm", "action": "alert", "reason": "age", "evidence": "{}", "at": LIVE},
    ]
    lake.append_rows("decisions", rows, DECISIONS)
    assert decision_figures(lake) == [
        {"segment": "atm", "action": "alert", "reason": "age", "at": "2026-05-21T00:00:00Z"},
        {"segment": "pos", "action": "hold", "reason": "calm", "at": "2026-05-22T00:00:00Z"},
    ]


def test_a_repair_tells_the_vectors_and_then_the_models_that_had_learned_from_them(lake: Lake) -> None:
    row = {
        "at": LIVE,
        "vectors": "vectors",
        "before": 1,
        "after": 2,
        "segment": "*",
        "added": 0,
        "gone": 0,
        "labelled": 5,
    }
    columns = '{"spend__count_1d": {"changed": 3, "mean": 1.5, "greatest": 2.0}}'
    rows = [
        {**row, "model": "fraud-pos", "version": "2", "segment": "pos", "changed": 3, "columns": columns},
        {**row, "model": "", "version": "", "changed": 7, "columns": "{}"},
    ]
    lake.append_rows("touched", rows, TOUCHED)
    told = {"added": 0, "gone": 0, "labelled": 5, "at": "2026-05-21T00:00:00Z"}
    assert touched_figures(lake) == [
        {"model": None, "segment": "*", "changed": 7, "columns": {}, **told},
        {
            "model": "fraud-pos/2",
            "segment": "pos",
            "changed": 3,
            "columns": {"spend__count_1d": {"changed": 3, "mean": 1.5, "greatest": 2.0}},
            **told,
        },
    ]


def test_promotions_come_in_the_order_of_the_log_and_a_first_champion_from_nothing(lake: Lake) -> None:
    rows = [
        move(1, "pos", "shadow", "fraud-pos/1", "fraud-pos/2", LIVE, reason="retrained"),
        move(0, "pos", "promote", None, "fraud-pos/1", LIVE, reason="first"),
    ]
    lake.append_rows("promotions", rows, PROMOTIONS)
    at = "2026-05-21T00:00:00Z"
    assert promotion_figures(lake) == [
        {"segment": "pos", "move": "promote", "from": None, "to": "fraud-pos/1", "reason": "first", "at": at},
        {
            "segment": "pos",
            "move": "shadow",
            "from": "fraud-pos/1",
            "to": "fraud-pos/2",
            "reason": "retrained",
            "at": at,
        },
    ]


def test_a_step_taken_back_by_hand_has_the_reason_that_its_person_gave(lake: Lake) -> None:
    named = {"rollback": record(lake, "pos", by="Ada", because="a complaint", at=LIVE)}
    rows = [
        move(0, "pos", "promote", None, "fraud-pos/1", LIVE, reason="first"),
        move(1, "pos", "rollback", "fraud-pos/1", None, LIVE, reason="by hand", evidence=json.dumps(named)),
        move(2, "pos", "rollback", "fraud-pos/2", None, LIVE, reason="by hand", evidence='{"rollback": "none"}'),
    ]
    lake.append_rows("promotions", rows, PROMOTIONS)
    assert [row["reason"] for row in promotion_figures(lake)] == ["first", "by hand: a complaint", "by hand"]
