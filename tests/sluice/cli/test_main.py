"""The command line lists every command, and tells the shell whose turn it is."""

from __future__ import annotations

import shlex

import pytest
from typer import Typer
from typer.core import TyperGroup
from typer.main import get_command
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
    ("name", "told"),
    [
        ("init", "what each column seems to be, for a person to edit."),
        ("ingest", "a gate that stops the batch lets nothing of it be seen. The same delivery again adds nothing."),
        ("doctor", "Exit code 0: all is well; 3: something is not"),
        ("demo", "features, training, serving, live events, drift, retraining, rollout."),
    ],
)
def test_a_command_that_is_called_says_all_that_its_function_says(name: str, told: str) -> None:
    called = [name, "--help"]
    assert told in CliRunner(env={"COLUMNS": "200"}).invoke(application(called), called).output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_a_call_of_it_that_it_takes(name: str) -> None:
    called, example = [name, "--help"], COMMANDS[name].example
    assert f" Example: {example}" in CliRunner(env={"COLUMNS": "200"}).invoke(application(called), called).output
    words = shlex.split(example.removeprefix('eval "$(').removesuffix(')"'))
    context = get_command(application(words[1:])).make_context(words[0], words[1:])
    while isinstance(context.command, TyperGroup):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("name", ["stream", "features"])
def test_the_sentence_of_a_group_names_all_that_is_in_it(name: str) -> None:
    group = COMMANDS[name].load()
    assert isinstance(group, Typer)
    verbs = {info.name or info.callback.__name__ for info in group.registered_commands if info.callback}
    assert {verb for verb in verbs if verb not in COMMANDS[name].help.lower()} == set()


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
