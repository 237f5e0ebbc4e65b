"""`sluice warehouse`, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.clock import FileClock
from sluice.errors import SettingsError, SluiceError
from sluice.lake import exports
from sluice.lake.lineage.runs import FILE as OPENLINEAGE
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.postgres_server import Postgres
from tests.spark_jobs.warehouses import AT, FILE, TABLES

pytestmark = pytest.mark.integration

PAID = "SELECT n, '2026-01-01 09:00+00'::timestamptz + n * interval '1 second', 'c1', n, null, '2026-01-01 10:00+00'"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a clock of its own."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    FileClock(tmp_path / "clock").move_to(AT)
    settings.cache_clear()
    return tmp_path


def sluice(way: str, *arguments: str) -> Result:
    called = ["warehouse", way, str(FILE), *arguments]
    return CliRunner(env={"COLUMNS": "220"}).invoke(application(called), called)


def said(result: Result) -> list[str]:
    assert result.exception is None, result.exception
    return result.output.splitlines()


def test_streams_come_in_and_vectors_go_out(home: Path, postgres: Postgres) -> None:
    postgres.run(TABLES)
    postgres.run(f"INSERT INTO sales.payments {PAID} FROM generate_series(1, 3) n")
    settings.cache_clear()
    assert said(sluice("import")) == [
        "payments: read 3 rows, from the beginning to 2026-01-01T10:00:00Z",
        f"payments: 3 rows of batch 'warehouse-{AT}': 3 accepted",
        "disputes: nothing new",
    ]
    assert said(sluice("import")) == [
        f"batch 'warehouse-{AT}' was imported already; nothing is read under its name again"
    ]
    FileClock(home / "clock").move_to(AT + 1)
    assert said(sluice("import", "--stream", "payments")) == ["payments: nothing new since 2026-01-01T10:00:00Z"]

    Lake(str(home / "lake"), "ledger").append("vectors", pa.table({"event_id": [1, 2, 3]}))
    assert said(sluice("export", "vectors")) == ["ledger_vectors has vectors@0: 3 rows"]
    assert sorted(postgres.run("SELECT event_id FROM ledger_vectors")) == [(1,), (2,), (3,)]

    told = [json.loads(line) for line in (home / OPENLINEAGE).read_text().splitlines()]
    ended = [one for one in told if one["eventType"] == "COMPLETE"]
    assert [one["job"]["name"] for one in ended] == ["import", "import", "export"]
    assert ended[0]["inputs"][0]["name"].endswith(".sales.payments")
    assert ended[2]["outputs"][0]["name"].endswith(".public.ledger_vectors")


@pytest.mark.parametrize("called", [("import",), ("export", "vectors")])
def test_a_warehouse_is_named_before_anything_is_started(home: Path, called: tuple[str, ...]) -> None:
    error = sluice(*called).exception
    assert isinstance(error, SettingsError)
    assert str(error).startswith("SLUICE_WAREHOUSE_URL: no warehouse is named")


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (
            ("export", "vector"),
            "warehouse export: unknown table 'vector'\n  allowed: predictions, vectors, vectors_as_served",
        ),
        (("export", "vectors"), "{lake}: there is no table 'vectors'\n  next: run the flow `features`"),
        (
            ("import", "--stream", "payment"),
            "Pipeline('ledger'): unknown stream 'payment'\n  allowed: disputes, payments",
        ),
    ],
)
def test_a_name_that_there_is_not_is_told_before_spark_is_started(
    home: Path, monkeypatch: pytest.MonkeyPatch, called: tuple[str, ...], told: str
) -> None:
    monkeypatch.setenv("SLUICE_WAREHOUSE_URL", "jdbc:postgresql://127.0.0.1:1/none")
    settings.cache_clear()
    error = sluice(*called).exception
    assert isinstance(error, SluiceError)
    assert str(error).startswith(told.replace("{lake}", str(home / "lake" / "ledger")))


def test_the_help_names_every_table_that_goes_out() -> None:
    called = ["warehouse", "export", "--help"]

    shown = CliRunner(env={"COLUMNS": "220"}).invoke(application(called), called).output

    assert f"One of {', '.join(exports.TABLES)}." in shown
