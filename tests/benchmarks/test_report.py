"""The pages of results: they say what the raw numbers say, where these are from, and why a target was missed."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from benchmarks.features import report as features
from benchmarks.features import targets as features_targets
from benchmarks.lake import report as lake
from benchmarks.lake import targets as lake_targets

pytestmark = pytest.mark.unit

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
PAGES = [("features", features, features_targets), ("lake", lake, lake_targets)]


def parts(name: str, report: ModuleType) -> dict[str, Any]:
    files = {part: RESULTS / f"{name}-{part}.json" for part in report.PARTS}
    return {part: json.loads(path.read_text()) for part, path in files.items() if path.is_file()}


@pytest.mark.parametrize(("name", "report", "_"), PAGES)
def test_a_page_says_what_the_raw_numbers_beside_it_say(name: str, report: ModuleType, _: ModuleType) -> None:
    assert (RESULTS / f"{name}.md").read_text() == report.page(parts(name, report))


@pytest.mark.parametrize(("name", "report", "targets"), PAGES)
def test_every_reason_is_of_a_line_that_there_is(name: str, report: ModuleType, targets: ModuleType) -> None:
    lines = {line.what for line in targets.lines(parts(name, report))}

    assert [what for what in json.loads(report.WHY.read_text()) if what not in lines] == []


@pytest.mark.parametrize(("name", "report", "targets"), PAGES)
def test_every_measured_target_that_was_missed_has_a_reason(name: str, report: ModuleType, targets: ModuleType) -> None:
    why = json.loads(report.WHY.read_text())
    missed = [line for line in targets.lines(parts(name, report)) if line.verdict == "not shown"]

    assert [line.what for line in missed if line.measured != "not measured yet" and line.what not in why] == []


@pytest.mark.parametrize(("name", "report", "_"), PAGES)
def test_all_raw_numbers_say_of_which_commit_and_day_they_are(name: str, report: ModuleType, _: ModuleType) -> None:
    found = parts(name, report)

    assert [part for part, told in found.items() if not {"commit", "date"} <= told["measured"].keys()] == []
