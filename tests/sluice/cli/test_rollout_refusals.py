"""What a person gets wrong about a rollout, or cannot have now, is told before any flow is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.errors import ServiceDown, UserError
from sluice.local.ports import free_port
from sluice.settings import settings

pytestmark = pytest.mark.unit

WHY = ("--by", "Ada", "--because", "complaints")


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a Prefect server that does not run."""
    port = free_port(21_000)
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_PREFECT_PORT", str(port))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    settings.cache_clear()
    return f"http://127.0.0.1:{port}/api"


def rollout(*arguments: str) -> Result:
    called = ["rollout", *arguments]
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(called), called)


@pytest.mark.parametrize("called", [("step", "fraud"), ("back", "fraud", "pos", *WHY)])
def test_without_a_prefect_server_the_next_step_is_to_start_one(nobody: str, called: tuple[str, ...]) -> None:
    found = rollout(*called).exception
    assert isinstance(found, ServiceDown)
    assert str(found) == (
        f"{nobody}: Prefect does not answer\n"
        "  next: sluice up prefect; one of your own: see that it runs and can be reached"
    )


@pytest.mark.parametrize(
    ("called", "message"),
    [
        (
            ("back", "fraud", "poss", *WHY),
            "unknown segment 'poss'\n  allowed: *, atm, online, pos\n  next: did you mean",
        ),
        (("step", "fraud", "--variant", "shufled"), "--variant: unknown variant 'shufled'\n  allowed: candidate, shuf"),
        (("step", "frau"), "did you mean 'fraud'?"),
        (
            ("back", "fraud", "pos", "--by", " ", "--because", "x"),
            "--by: a rollback by hand names a person and a reason",
        ),
    ],
)
def test_a_mistake_is_told_first_with_what_is_allowed(called: tuple[str, ...], message: str) -> None:
    found = rollout(*called).exception
    assert isinstance(found, UserError)
    assert message in str(found)
