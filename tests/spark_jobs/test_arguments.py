"""What jobs are called with: places mean the same to a worker in another folder, and of nothing there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.engine.store import LostPartition, StoreDown
from sluice.errors import GateStopped, SettingsError, SluiceError, UserError
from sluice.lake.schemas import RegistryDown
from sluice.local.spark import failure
from spark_jobs import arguments

pytestmark = pytest.mark.unit


def test_paths_become_absolute_and_names_and_uris_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert arguments.lake("lake") == str(tmp_path / "lake")
    assert arguments.lake("s3://bucket/lake") == "s3://bucket/lake"
    assert arguments.pipeline("cards.py") == str(tmp_path / "cards.py")
    assert arguments.pipeline("fraud") == "fraud"


def test_how_many_is_one_at_least() -> None:
    assert arguments.some("3") == 3
    for text in ("0", "-1", "many"):
        with pytest.raises(UserError, match="is not how many there can be"):
            arguments.some(text)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (SettingsError("another key", where="SLUICE_ERASURE_KEY"), 2, "SettingsError: SLUICE_ERASURE_KEY: another key"),
        (GateStopped("too few"), 3, "GateStopped: too few"),
        (RegistryDown("it does not answer"), 4, "ServiceDown: it does not answer"),
        (StoreDown("it does not answer"), 4, "ServiceDown: it does not answer"),
        (LostPartition("offset 3"), 4, "Outage: offset 3"),
    ],
)
def test_a_jobs_last_word_is_an_error_that_its_caller_knows(
    error: SluiceError, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        arguments.run(main)
    said = capsys.readouterr().err
    assert (ended.value.code, said) == (code, f"{told}\n")
    assert str(failure("topics", code, "", said)) == f"spark_jobs/topics.py: {told.partition(': ')[2]}"
