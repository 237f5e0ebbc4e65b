"""`sluice`: one table of commands, of which only the one that is called gets imported."""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import typer

from sluice.errors import DataError, Outage, SluiceError, UserError, known


@dataclass(frozen=True, slots=True)
class Command:
    """One command: where its function (or Typer application of subcommands) is, and the sentence for `--help`."""

    where: str
    """`module:attribute`."""
    help: str

    def load(self) -> Callable[..., object] | typer.Typer:
        """Import the command, and whatever engines its module needs."""
        module, attribute = self.where.split(":")
        loaded: Callable[..., object] | typer.Typer = getattr(importlib.import_module(module), attribute)
        return loaded


COMMANDS = {
    "setup": Command(
        "sluice.cli.services:setup", "Check Java and Redis, and fetch the jars that services, jobs and warehouse need."
    ),
    "up": Command("sluice.cli.services:up", "Start the embedded services; what already runs is left alone."),
    "down": Command("sluice.cli.services:down", "Stop what `sluice up` started, and nothing else."),
    "status": Command("sluice.cli.services:status", "Show every service: where it is and how it is."),
    "env": Command(
        "sluice.cli.services:env", 'Print the environment that the engines need, for `eval "$(sluice env)"`.'
    ),
    "deploy": Command(
        "sluice.cli.deploy:deploy", "Deploy a pipeline's flows in Prefect, with their schedules and what starts them."
    ),
    "stream": Command("sluice.cli.stream:stream", "Create a pipeline's topics; fold them; archive them."),
    "init": Command("sluice.cli.init:init", "Write a first declaration for a file of events, for you to edit."),
    "ingest": Command(
        "sluice.cli.ingest:ingest", "Bring files, or what the archive has written, through contract and gates."
    ),
    "warehouse": Command(
        "sluice.cli.warehouse:warehouse",
        "Import streams from a warehouse, from where it was left; export features and predictions into it.",
    ),
    "quarantine": Command(
        "sluice.cli.quarantine:quarantine", "List the rows that were refused, show them, and put them back mended."
    ),
    "gates": Command(
        "sluice.cli.gates:gates", "Show what the gates found of the batches; let a batch pass a gate that stops it."
    ),
    "tables": Command(
        "sluice.cli.tables:tables",
        "Load the tables that a pipeline looks things up in; make a calendar of holidays; show them.",
    ),
    "features": Command(
        "sluice.cli.features:features",
        "Explain a pipeline's features; get them of an entity; compute them for files; freeze what they mean.",
    ),
    "repair": Command(
        "sluice.cli.repair:repair",
        "Bring late and corrected events into the days they belong to; show which models they touched.",
    ),
    "doctor": Command(
        "sluice.cli.doctor:doctor", "Check what must hold of the lake and the stores, and say what to run if not."
    ),
    "keep": Command(
        "sluice.cli.keeping:keep_", "Show what is older than the declaration keeps, and why the rest stays; drop it."
    ),
    "hold": Command(
        "sluice.cli.keeping:hold", "Hold what must not go, whatever is declared; list the holds; lift one."
    ),
    "forget": Command(
        "sluice.cli.forget:forget", "Forget an entity: show what would go, take it away everywhere, keep a receipt."
    ),
    "lineage": Command(
        "sluice.cli.lineage:lineage",
        "Show what a prediction, a model or a table was made of, down to files and offsets.",
    ),
    "rollout": Command(
        "sluice.cli.rollout:rollout",
        "Show where every segment's models stand; move them by a step; take the newest step back.",
    ),
    "demo": Command("sluice.cli.demo.command:demo", "Run the whole loop on simulated payments, or on a file of yours."),
}
"""A new command is a line here; its help is the first sentence of its function."""

EXIT_CODES = {UserError: 2, DataError: 3, Outage: 4}
"""What the shell learns: mend the call, mend the data, or try again."""


def main() -> None:
    """Run the command line; an error of ours is a message and an exit code, never a traceback."""
    quiet = logging.StreamHandler()
    quiet.setLevel(logging.WARNING)  # the handler's own level: loggers that an engine sets to INFO pass the root's
    logging.basicConfig(handlers=[quiet], format="%(message)s")
    try:
        application(sys.argv[1:])(standalone_mode=True)
    except Exception as error:
        ended = known(error)
        if ended is None:
            raise
        _end(ended)


def _end(error: SluiceError) -> NoReturn:
    typer.secho(str(error), err=True, fg=typer.colors.RED)
    raise SystemExit(exit_code(error)) from None


def application(arguments: Sequence[str]) -> typer.Typer:
    """The command line for these arguments: the command they name is whole, the others are only listed."""
    application = typer.Typer(
        help="A production machine-learning pipeline, declared in one Python file.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, command in COMMANDS.items():
        _add(application, name, command, whole=name == called)
    return application


def exit_code(error: SluiceError) -> int:
    """The exit code of an error's family."""
    return next((code for family, code in EXIT_CODES.items() if isinstance(error, family)), 1)


def _add(application: typer.Typer, name: str, command: Command, *, whole: bool) -> None:
    target = command.load() if whole else _listed_only
    if isinstance(target, typer.Typer):
        for info in target.registered_commands:
            info.help = _paragraphs(inspect.getdoc(info.callback) or "")
        application.add_typer(target, name=name, help=command.help)
    else:
        application.command(name, help=command.help)(target)


def _paragraphs(text: str) -> str:
    """A docstring with each paragraph on one line: the help wraps it at the width of the terminal, and only there."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _listed_only() -> None:
    """Stands for a command that these arguments do not call."""


if __name__ == "__main__":
    main()
