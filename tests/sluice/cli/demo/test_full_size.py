"""The demo at full size, on simulated payments and on the Handbook, as a person runs both; the log has the sizes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.monitor.report.events import accounted, closes
from tests.sluice.cli.conftest import homely, sluice
from tests.sluice.engine.book import book_folder

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

HANDBOOK_ROWS = 1_754_155
LEAST_REQUESTS, LEAST_AUDITED = 10_000, 5_000
TOLD = ("pipeline", "events", "audit", "serving", "freshness", "decisions", "promotions", "steps", "seconds", "peak_mb")


def run(home: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The figures of one demo; they are told, since how long it took belongs into the log and not into a test."""
    with homely(home):
        done = sluice("demo", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        figures: dict[str, Any] = json.loads((home / "report.json").read_text())
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps({name: figures[name] for name in TOLD}, indent=1)}\n")
    return figures


def check_sound(figures: dict[str, Any]) -> None:
    assert all(closes(event) for event in figures["events"])
    assert (figures["audit"]["mismatched"], figures["serving"]["failed"]) == (0, 0)
    assert figures["audit"]["checked"] >= LEAST_AUDITED
    assert figures["serving"]["requests"] >= LEAST_REQUESTS


def test_simulated_payments_of_a_thousand_customers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(tmp_path, capsys)
    check_sound(figures)
    moves = [row["move"] for row in figures["promotions"] if row["from"] is not None]
    assert {"shadow", "canary", "promote", "rollback"} <= set(moves)
    assert any(row["action"] == "retrain" and "moved by" in row["reason"] for row in figures["decisions"])


def test_every_transaction_of_the_handbook_and_every_label_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(book_folder() / "transactions.parquet")
    figures = run(tmp_path, capsys, "--pipeline", "handbook", "--events", file)
    check_sound(figures)
    transactions, labels = figures["events"]
    assert transactions["produced"] == transactions["silver"] == HANDBOOK_ROWS
    assert labels["produced"] == accounted(labels)
    assert 0 < HANDBOOK_ROWS - labels["produced"] < 8 * 10_000  # those of the last week are not known yet
