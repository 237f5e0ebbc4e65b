from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from sluice.monitor.report.plots.drift import times_threshold, worst_columns
from sluice.monitor.report.plots.latency import latency_plot
from sluice.monitor.report.plots.quality import newest, spoken
from sluice.monitor.report.plots.scores import score_plot
from sluice.monitor.report.plots.timeline import timeline_plot
from sluice.monitor.report.rollout import Span

pytestmark = pytest.mark.integration


def drifted(column: str, distance: float, threshold: float, kind: str = "feature") -> dict[str, Any]:
    return {"segment": "pos", "column": column, "kind": kind, "distance": distance, "threshold": threshold}


def test_the_worst_columns_are_those_furthest_past_their_own_thresholds() -> None:
    rows = [
        drifted("wide", 0.5, 1.0),
        drifted("late", 0.1, 0.2),
        drifted("late", 0.6, 0.2),
        drifted("calm", 0.01, 0.2),
        drifted("other", 0.2, 0.2),
        drifted("score", 9.0, 0.1, kind="score"),
    ]
    assert worst_columns(rows) == ["late", "other", "wide"]
    assert worst_columns(rows, 1) == ["late"]
    assert worst_columns([]) == []


def test_a_threshold_of_nothing_divides_nothing_by_zero() -> None:
    assert times_threshold(drifted("a", 0.0, 0.0)) == 0.0
    assert np.isfinite(times_threshold(drifted("a", 0.1, 0.0)))


def test_a_day_has_the_quality_that_was_told_last() -> None:
    def row(day: int, at: int, value: float, model: str = "m/1", kind: str = "measured") -> dict[str, Any]:
        return {"day": dt.date(2026, 6, day), "at": at, "auc": value, "model": model, "kind": kind}

    rows = [row(2, 5, 0.7), row(1, 1, 0.5), row(2, 2, 0.6), row(3, 9, 0.1, "m/2"), row(3, 9, 0.2, kind="estimated")]
    assert newest(rows, "auc", "measured", "m/1") == [(dt.date(2026, 6, 1), 0.5), (dt.date(2026, 6, 2), 0.7)]


@pytest.mark.parametrize(
    ("metric", "words"),
    [("auc", "AUC"), ("card_precision_at_100", "Card precision@100"), ("average_precision", "Average precision")],
)
def test_metrics_have_names_in_words(metric: str, words: str) -> None:
    assert spoken(metric) == words


@pytest.mark.parametrize("latencies", [[0], [5_000], [1, 10**9], [700] * 9])
def test_any_latencies_can_be_drawn(latencies: list[int]) -> None:
    drawn = latency_plot("x", np.array(latencies), noun="request", axis="latency")
    assert f"{len(latencies)} request" in drawn.told
    assert drawn.svg.startswith("<svg")


def test_any_scores_can_be_drawn() -> None:
    drawn = score_plot({"pos": np.array([0.0, 1.0, 0.25]), "*": np.array([0.5])})
    assert drawn.told == (
        "Histograms of scores. pos: 3 scores, median 0.25, nine in ten between 0 and 1. "
        "all traffic (*): 1 score, median 0.5, nine in ten between 0.5 and 0.5."
    )


def test_the_same_figures_are_the_same_bytes() -> None:
    first, again = (latency_plot("x", np.array([1, 20, 300]), noun="event", axis="latency").svg for _ in range(2))
    assert first == again


def test_a_model_is_named_on_the_time_line_where_there_is_room() -> None:
    day = 86_400_000_000
    spans = [
        Span("pos", "m/1", "champion", None, 0, 100 * day),
        Span("pos", "m/2", "canary", 0.1, 0, 1 * day, "canary"),
        Span("pos", "m/2", "canary", 0.5, 1 * day, 99 * day, "promote"),
    ]
    drawn = timeline_plot(["pos"], spans, [], 100 * day)
    assert ">v1<" in drawn.svg
    assert ">v2 50 %<" in drawn.svg
    assert "10 %" not in drawn.svg
