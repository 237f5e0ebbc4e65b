"""The command line lists every command, and tells the shell whose turn it is."""

from __future__ import annotations

import pytest
from typer import Typer
from typer.testing import CliRunner

from sluice.cli.main import COMMANDS, application
from sluice.errors import DataError, GateStopped, Outage, ServiceDown, SettingsError, SluiceError, UserError, exit_code

pytestmark = pytest.mark.unit


def test_help_lists_every_command_with_its_sentence() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(application(["--help"]), ["--help"])

    assert shown.exit_code == 0
    assert [name for name, command in COMMANDS.items() if command.help not in shown.output] == []


@pytest.mark.parametrize("name", ["setup", "up", "down", "status", "env"])
def test_the_sentence_of_a_command_is_the_first_one_of_its_function(name: str) -> None:
    function = COMMANDS[name].load()

    assert not isinstance(function, Typer)
    assert (function.__doc__ or "").splitlines()[0] == COMMANDS[name].help


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (SettingsError("x"), 2),
        (DataError("x"), 3),
        (GateStopped("x"), 3),
        (Outage("x"), 4),
        (ServiceDown("x"), 4),
        (SluiceError("x"), 1),
    ],
)
def test_each_family_of_errors_has_its_exit_code(error: SluiceError, code: int) -> None:
    assert exit_code(error) == code
