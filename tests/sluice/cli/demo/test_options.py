"""What a demo refuses before it starts or removes anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.cli.demo.options import Options
from sluice.errors import DataError, DeclarationError, SluiceError, UserError

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[4]


def options(pipeline: str = "fraud", events: Path | None = None, **changes: Any) -> Options:
    given = {"report": None, "seed": 1, "customers": 1000, "days": 200, "live_days": None, "quiet": False}
    return Options.checked(pipeline, events, **{**given, **changes})


def handbook_file(folder: Path, **columns: Any) -> Path:
    row = {
        "TRANSACTION_ID": [1, 2],
        "TX_DATETIME": ["2018-04-01T00:00:31", "2018-04-20T00:00:31"],
        "CUSTOMER_ID": [1, 1],
        "TERMINAL_ID": [2, 2],
        "TX_AMOUNT": [4.5, 5.5],
        "TX_FRAUD": [0, 0],
    }
    file = folder / "a.parquet"
    pq.write_table(pa.table({name: value for name, value in {**row, **columns}.items() if value is not None}), file)
    return file


def test_a_simulated_demo_has_sixty_live_days_and_one_of_a_file_fourteen(tmp_path: Path) -> None:
    assert options().live_days == 60
    assert options("handbook", handbook_file(tmp_path)).live_days == 14
    assert options("handbook", handbook_file(tmp_path), live_days=7).live_days == 7


def test_a_pipeline_named_by_a_path_means_the_same_in_every_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "feature_repo")
    assert options("fraud.py").pipeline == str(ROOT / "feature_repo" / "fraud.py")


@pytest.mark.parametrize(
    ("given", "family", "said"),
    [
        pytest.param({"pipeline": "frod"}, DeclarationError, "did you mean 'fraud'", id="unknown pipeline"),
        pytest.param({"pipeline": "handbook"}, UserError, "EVENTS=file.parquet", id="nobody simulates it"),
        pytest.param({"live_days": 200}, UserError, "fewer than --days", id="no history"),
        pytest.param(
            {"events": Path("no.parquet")}, UserError, "transactions.parquet, chargebacks.parquet", id="one of two"
        ),
        pytest.param({"pipeline": "handbook", "events": Path("no.parquet")}, UserError, "no such file", id="no file"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_to_do(
    given: dict[str, Any], family: type[SluiceError], said: str
) -> None:
    with pytest.raises(family, match=re.escape(said)):
        options(**given)


def test_a_file_without_a_declared_column_or_without_its_label_is_refused(tmp_path: Path) -> None:
    for name in ("TX_AMOUNT", "TX_FRAUD"):
        with pytest.raises(DataError, match=f"no column {name}"):
            options("handbook", handbook_file(tmp_path, **{name: None}))


def test_a_file_with_too_few_days_or_without_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no history before the last 20 days"):
        options("handbook", handbook_file(tmp_path), live_days=20)
    with pytest.raises(DataError, match="no TX_DATETIME can be read as a time"):
        options("handbook", handbook_file(tmp_path, TX_DATETIME=["soon", "later"]))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    file.write_text("TRANSACTION_ID\n1\n")
    with pytest.raises(DataError, match="no parquet file"):
        options("handbook", file)
