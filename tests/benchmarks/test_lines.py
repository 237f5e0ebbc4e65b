"""When a target counts as shown, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.features.lines import Line, at_least, at_most, limit, no_dearer, rate, reasons, unmeasured

pytestmark = pytest.mark.unit


def told(median: float, low: float, high: float) -> dict[str, float]:
    return {"median": median, "low": low, "high": high}


@pytest.mark.parametrize(("low", "verdict"), [(5.0, "shown"), (4.99, "not shown")])
def test_a_ratio_of_at_least_so_much_is_shown_when_its_whole_interval_is(low: float, verdict: str) -> None:
    assert at_least("push", told(5.5, low, 6), 5, 15).verdict == verdict


@pytest.mark.parametrize(("high", "verdict"), [(10.0, "shown"), (10.01, "not shown")])
def test_a_ratio_of_at_most_so_much_is_shown_when_its_whole_interval_is(high: float, verdict: str) -> None:
    assert at_most("distinct", told(9, 8, high), 10, 15).verdict == verdict


@pytest.mark.parametrize(("low", "verdict"), [(0.98, "shown"), (1.06, "not shown")])
def test_what_is_to_be_the_same_is_shown_unless_all_of_its_interval_is_dearer(low: float, verdict: str) -> None:
    assert no_dearer("ten times", told(1.12, low, 1.2), 15).verdict == verdict


def test_a_ratio_of_fewer_pairs_than_fifteen_is_not_shown_whatever_it_is() -> None:
    line = at_most("ten times the rows, CPU", told(9, 8, 10), 14, 5)

    assert (line.measured, line.verdict) == ("9.00 (8.00 to 10.00); 5 pairs, where 15 are needed", "not shown")


@pytest.mark.parametrize(("slowest", "verdict"), [(5_000.0, "shown"), (4_999.0, "not shown")])
def test_a_rate_is_shown_when_the_slowest_run_keeps_it(slowest: float, verdict: str) -> None:
    assert rate("fold", [slowest, 9_000, 8_000], 5_000, "events/s").verdict == verdict


def test_a_figure_of_four_digits_or_more_is_written_out() -> None:
    assert limit("fold", 27_777.8, 20_000, "events/s", most=False).measured == "27,778 events/s"


def test_a_reason_is_told_whatever_became_of_its_line(tmp_path: Path) -> None:
    known = tmp_path / "why.json"
    known.write_text(json.dumps({"memory": "up to two million rows are not dealt", "rich": "no one knows yet"}))
    lines = [Line("memory", "≤ 1 GB", "863 MB", "shown"), Line("p50", "≤ 60 µs", "69 µs", "not shown")]

    assert list(reasons([*lines, unmeasured("rich")], known))[2:-1] == [
        "- memory: up to two million rows are not dealt",
        "- p50: nobody has looked into it yet",
    ]
