"""What of richer functions and of a new day is claimed, and what is told where nobody has measured it."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.features import tables, targets
from benchmarks.lake import targets as lake_targets

pytestmark = pytest.mark.unit


def against(low: float, high: float, pairs: int = 15) -> dict[str, Any]:
    return {"ratio": {"median": (low + high) / 2, "low": low, "high": high}, "pairs": [[1, low]] * pairs}


def rich(functions: dict[str, Any]) -> dict[str, Any]:
    return {"read": {"100": {"count CPU µs": 30, "functions": functions}}, "batch": {}}


def test_the_dearest_function_decides_for_all_and_others_that_are_too_dear_are_named() -> None:
    functions = {"std": against(1, 2), "percentile": against(11, 12), "distinct": against(13, 15)}

    [read, *_] = [one for one in targets.lines({"rich": rich(functions)}) if one.what.startswith("richer")]
    assert (read.measured, read.verdict) == (
        "14.00 (13.00 to 15.00) distinct; 11.50 (11.00 to 12.00) percentile",
        "not shown",
    )


def test_functions_are_shown_when_the_dearest_keeps_the_target_in_enough_pairs() -> None:
    functions = {"std": against(1, 2), "distinct": against(8, 10)}
    few = {**functions, "std": against(1, 2, pairs=14)}

    [shown, *_] = [one for one in targets.lines({"rich": rich(functions)}) if one.what.startswith("richer")]
    [not_shown, *_] = [one for one in targets.lines({"rich": rich(few)}) if one.what.startswith("richer")]

    assert (shown.verdict, not_shown.verdict) == ("shown", "not shown")


def test_the_sizes_that_nobody_has_measured_are_told_one_by_one() -> None:
    missing = [line.what for line in targets.lines({}) if line.what.startswith("richer")]

    assert missing[0] == "richer functions against count, read, 100 events of an entity"
    assert missing[-1] == "richer functions against count, batch, 3,300 events in a window"
    assert len(missing) == 7


def test_functions_are_a_table_with_a_column_for_each_size() -> None:
    found = {
        **rich({"std": against(1, 2)}),
        "batch": {"333": {"count CPU s": 0.09, "functions": {"std": against(1, 3)}}},
    }

    assert list(tables.tables({"rich": found})) == [
        "| one read, events of the entity | 100 |",
        "|---|---|",
        "| count takes | 30 µs of CPU |",
        "| std | 1.50 (1.00 to 2.00) |",
        "",
        "| a batch, events in a window | 333 |",
        "|---|---|",
        "| count takes | 0.090 s of CPU |",
        "| std | 2.00 (1.00 to 3.00) |",
        "",
    ]


def test_a_day_that_is_dearer_after_a_long_history_is_not_shown_to_cost_the_same() -> None:
    cost = {"wall": 1.0, "cpu": 1.0}
    told = {
        "MB": {"30": [40], "300": [45]},
        "wall": {"median": 1.0, "low": 0.9, "high": 1.1},
        "cpu": {"median": 1.2, "low": 1.1, "high": 1.3},
        "pairs": [{"ours": cost, "peer": cost}] * 15,
    }
    parts = {"backfill": {"views": {"windows": told, "windows and lifetimes": told}}}

    found = {line.what: line for line in lake_targets.lines(parts)}

    assert found["a new day, windows, after 300 days beside after 30, wall"].verdict == "shown"
    assert found["a new day, windows, after 300 days beside after 30, cpu"].verdict == "not shown"
    assert found["a new day of 10,000 rows into vectors and tiles, windows, after 300 days"].measured == (
        "1.00 (1.00 to 1.00) s; 1.00 (1.00 to 1.00) s of CPU; 45 MB read"
    )
