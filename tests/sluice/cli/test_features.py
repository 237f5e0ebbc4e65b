"""The commands that freeze a declaration, let it change again, and tell its versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sluice.cli.conftest import sluice

pytestmark = pytest.mark.integration
CLINIC = Path(__file__).parents[1] / "feast" / "clinic.py"


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """The clinic's declaration in a file that may be changed."""
    file = tmp_path / "clinic.py"
    file.write_text(CLINIC.read_text())
    return file


def change(file: Path, before: str, after: str) -> None:
    file.write_text(file.read_text().replace(before, after))


def test_a_frozen_declaration_is_refused_until_it_is_accepted_or_thawed(clinic: Path) -> None:
    frozen = sluice("features", "freeze", str(clinic))
    assert (frozen.returncode, "clinic is frozen as definition" in frozen.stdout) == (0, True)
    assert clinic.with_name("clinic.lock.json").is_file()

    change(clinic, 'delay="1d"', 'delay="2d"')
    refused = sluice("features", "freeze", str(clinic))
    assert refused.returncode == 2
    assert "view ward, delay: 1d → 2d" in refused.stderr
    assert "--again" in refused.stderr

    accepted = sluice("features", "freeze", str(clinic), "--again")
    assert (accepted.returncode, accepted.stdout.splitlines()[0]) == (0, "view ward, delay: 1d → 2d")
    assert "may change again" in sluice("features", "thaw", str(clinic)).stdout
    assert "was not frozen" in sluice("features", "thaw", str(clinic)).stdout


def test_versions_are_told_with_what_changed(clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice.declare.loading import load_pipeline
    from sluice.feast.registry import apply
    from sluice.settings import settings

    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    assert "does not know clinic yet" in sluice("features", "versions", str(clinic)).stdout
    apply(load_pipeline(str(clinic)))
    change(clinic, 'delay="1d"', 'delay="2d"')
    apply(load_pipeline(str(clinic)))

    told = sluice("features", "versions", str(clinic)).stdout.splitlines()

    assert [line.split()[0] for line in told if "@" in line] == ["patient@v0", "ward@v0", "ward@v1"]
    assert told[-1] == "    view ward, delay: 1d → 2d"
