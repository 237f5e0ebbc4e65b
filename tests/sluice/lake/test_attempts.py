"""The last attempt is what holds of a batch, whatever moments and runs say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluice.decisions import Finding, Verdict
from sluice.lake.attempts import attempts_of, last_attempts, waiting
from sluice.lake.contract import BRONZE, ERASED
from sluice.lake.publish import Batch, record_verdict
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit


def batch(name: str, at: int, run: str) -> Batch:
    return Batch(name, "orders", at, 4, 4, 0, 0, 0, {}, {}, "hash", {}, run=run)


def findings(*told: tuple[str, Verdict]) -> list[Finding]:
    return [Finding(rule, verdict, "") for rule, verdict in told]


def test_the_attempt_that_was_made_last_holds_though_its_moment_is_no_later(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    for at, run, verdict in ((9, "z", Verdict.STOP), (5, "y", Verdict.WARN), (5, "a", Verdict.PASS)):
        record_verdict(lake, batch("b", at, run), findings(("count", verdict), ("columns", Verdict.PASS)))
    assert attempts_of(lake, "orders", "b") == 3
    assert attempts_of(lake, "orders", "c") == 0
    (last,) = last_attempts(lake.rows("verdicts"))
    assert (last.run, last.at, last.verdict, len(last.found)) == ("a", 5, Verdict.PASS, 2)


def test_an_attempt_that_a_restart_writes_again_is_the_same_one(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    for _ in range(2):
        record_verdict(lake, batch("b", 9, "z"), findings(("count", Verdict.STOP)))
    assert attempts_of(lake, "orders", "b") == 1


def test_the_gravest_finding_comes_first_and_the_newest_batch() -> None:
    def row(name: str, at: int, rule: str, verdict: str) -> dict[str, Any]:
        return {"stream": "orders", "batch": name, "at": at, "rule": rule, "verdict": verdict}

    rows = [row("a", 1, "count", "pass"), row("b", 2, "count", "pass"), row("b", 2, "seam", "stop")]
    newest, oldest = last_attempts(rows)
    assert [found["rule"] for found in newest.found] == ["seam", "count"]
    assert [found["rule"] for found in newest.stops] == ["seam"]
    assert (oldest.batch, oldest.stops) == ("a", [])


def test_a_batch_waits_from_its_stop_until_it_passes(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    lake.append_rows("events/orders", [{"batch": "b", "op": 0}], BRONZE)
    record_verdict(lake, batch("b", 9, "z"), findings(("count", Verdict.STOP)))
    assert [(one.stream, one.batch) for one in waiting(lake)] == [("orders", "b")]
    record_verdict(lake, batch("b", 9, "y"), findings(("count", Verdict.WARN)))
    assert waiting(lake) == []


def test_a_batch_of_which_nothing_is_left_waits_no_more(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    rows = [{"batch": "", "op": 0}, {"batch": "erased", "op": ERASED}]
    lake.append_rows("events/orders", rows, BRONZE)
    for name in ("archived-1", "erased", "dropped"):
        record_verdict(lake, batch(name, 9, "z"), findings(("count", Verdict.STOP)))
    assert waiting(lake) == []
