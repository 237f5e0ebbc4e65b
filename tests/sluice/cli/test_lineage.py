"""`sluice lineage`, as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from sluice.cli.main import application
from sluice.settings import settings
from tests.spark_jobs.deliveries import FILE, Shop, orders

pytestmark = pytest.mark.integration


def test_a_table_that_there_is_not_is_answered_with_those_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    Shop(tmp_path).deliver("a", orders=orders(1, 10))
    for name, told in (
        ("orders", "next: did you mean 'silver/orders'?"),
        ("silvr/orders", "next: did you mean 'silver/orders'?"),
        ("silver/orders@7", "allowed: silver/orders@0 to silver/orders@0"),
    ):
        called = ["lineage", "table", str(FILE), name]
        assert told in str(CliRunner().invoke(application(called), called).exception)


def test_a_model_or_a_prediction_that_there_is_not_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    lake = Shop(tmp_path).lake

    def told(*named: str) -> str:
        called = ["lineage", named[0], str(FILE), *named[1:]]
        return str(CliRunner().invoke(application(called), called).exception)

    assert "unknown model 'shop/1'\n  allowed: none yet\n  next: the flow `train` makes" in told("model", "shop/1")
    assert "there is no prediction 'abc'\n  allowed: none yet\n  next: an answer of" in told("prediction", "abc")
    lake.append("predictions", pa.table({"request_id": ["c31d"], "event_id": ["7"]}))
    assert "\n  allowed: a request's id, such as c31d\n" in told("prediction", "abc")


def test_a_table_is_told_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    Shop(tmp_path).deliver("a", orders=orders(1, 10))
    picture = tmp_path / "out.svg"
    called = ["lineage", "table", str(FILE), "silver/orders", "--draw", str(picture)]
    told = CliRunner().invoke(application(called), called).output.splitlines()
    assert told[0] == "table silver/orders@0"
    assert told[1].startswith("└─ batch orders:a: 10 rows at 2026-01-01T10:40:00Z, run ")
    assert told[2].startswith(f"   └─ file {tmp_path}/a-orders.parquet: file:")
    assert told[3] == f"drawn in {picture}"
    assert picture.read_text().startswith("<svg ")
