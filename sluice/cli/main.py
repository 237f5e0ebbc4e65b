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

from sluice.errors import SluiceError, exit_code, known


@dataclass(frozen=True, slots=True)
class Command:
    """One command: where its function (or Typer application of subcommands) is, its sentence, and a call of it."""

    where: str
    """`module:attribute`."""
    help: str
    example: str

    def load(self) -> Callable[..., object] | typer.Typer:
        """Import the command, and whatever engines its module needs."""
        module, attribute = self.where.split(":")
        loaded: Callable[..., object] | typer.Typer = getattr(importlib.import_module(module), attribute)
        return loaded


COMMANDS = {
    "setup": Command(
        "sluice.cli.services:setup",
        "Check Java and Redis, and fetch the jars that services, jobs and warehouse need.",
        "sluice setup",
    ),
    "up": Command(
        "sluice.cli.services:up",
        "Start the embedded services; what already runs is left alone.",
        "sluice up kafka prefect",
    ),
    "down": Command(
        "sluice.cli.services:down", "Stop what `sluice up` started, and nothing else.", "sluice down kafka"
    ),
    "status": Command("sluice.cli.services:status", "Show every service: where it is and how it is.", "sluice status"),
    "env": Command(
        "sluice.cli.services:env",
        'Print the environment that the engines need, for `eval "$(sluice env)"`.',
        'eval "$(sluice env)"',
    ),
    "deploy": Command(
        "sluice.cli.deploy:deploy",
        "Deploy a pipeline's flows in Prefect, with their schedules and what starts them.",
        "sluice deploy fraud",
    ),
    "stream": Command(
        "sluice.cli.stream:stream",
        "Create a pipeline's topics; route, fold and archive them; bring years of them at once; show their status.",
        "sluice stream topics fraud",
    ),
    "init": Command(
        "sluice.cli.init:init",
        "Write a first declaration for a file of events, for you to edit.",
        "sluice init rides.csv --key station",
    ),
    "ingest": Command(
        "sluice.cli.ingest:ingest",
        "Bring files, or what the archive has written, through contract and gates.",
        "sluice ingest fraud transactions=payments.csv --batch monday",
    ),
    "warehouse": Command(
        "sluice.cli.warehouse:warehouse",
        "Import streams from a warehouse, from where it was left; export features and predictions into it.",
        "sluice warehouse import fraud --stream transactions",
    ),
    "quarantine": Command(
        "sluice.cli.quarantine:quarantine",
        "List the rows that were refused, show them, and put them back mended.",
        "sluice quarantine show fraud --rule range",
    ),
    "gates": Command(
        "sluice.cli.gates:gates",
        "Show what the gates found of the batches; let a batch pass a gate that stops it, or no longer.",
        'sluice gates waive fraud transactions:freshness --batch monday --by Ada --because "a holiday"',
    ),
    "tables": Command(
        "sluice.cli.tables:tables",
        "Load the tables that a pipeline looks things up in; make a calendar of holidays; show them.",
        "sluice tables holidays fraud --countries DE,FR --years 2024-2027",
    ),
    "features": Command(
        "sluice.cli.features:features",
        "Explain a pipeline's features; get them of an entity; tell their sizes and versions; compute them for files; "
        "freeze and thaw what they mean.",
        "sluice features get fraud customer_id=17",
    ),
    "repair": Command(
        "sluice.cli.repair:repair",
        "Bring late and corrected events into the days they belong to; show which models they touched.",
        "sluice repair run fraud",
    ),
    "doctor": Command(
        "sluice.cli.doctor:doctor",
        "Check what must hold of the lake and the stores, and say what to run if not.",
        "sluice doctor fraud",
    ),
    "keep": Command(
        "sluice.cli.keeping:keep_",
        "Show what is older than the declaration keeps, and why the rest stays; drop it.",
        "sluice keep show fraud",
    ),
    "hold": Command(
        "sluice.cli.keeping:hold",
        "Hold what must not go, whatever is declared; list the holds; lift one.",
        'sluice hold add fraud customer_id=17 --by Ada --because "a case"',
    ),
    "forget": Command(
        "sluice.cli.forget:forget",
        "Forget an entity: show what would go, take it away everywhere, keep a receipt.",
        "sluice forget show fraud customer_id=17",
    ),
    "lineage": Command(
        "sluice.cli.lineage:lineage",
        "Show what a prediction, a model or a table was made of, down to files and offsets.",
        "sluice lineage table fraud vectors --draw vectors.svg",
    ),
    "rollout": Command(
        "sluice.cli.rollout:rollout",
        "Show where every segment's models stand; move them by a step; take the newest step back.",
        'sluice rollout back fraud pos --by Ada --because "complaints"',
    ),
    "demo": Command(
        "sluice.cli.demo.command:demo",
        "Run the whole loop on simulated payments, or on a file of yours.",
        "sluice demo --customers 500",
    ),
}
"""A new command is a line here. The list has its sentence; the command itself what its function says."""


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


def _add(application: typer.Typer, name: str, command: Command, *, whole: bool) -> None:
    target, called = (command.load() if whole else _listed_only), f"Example: {command.example}"
    if isinstance(target, typer.Typer):
        for info in target.registered_commands:
            info.help = _paragraphs(inspect.getdoc(info.callback) or "")
        application.add_typer(target, name=name, help=command.help, epilog=called)
    else:
        said = _paragraphs(inspect.getdoc(target) or "") if whole else command.help
        application.command(name, help=said, epilog=called)(target)


def _paragraphs(text: str) -> str:
    """A docstring with each paragraph on one line: the help wraps it at the width of the terminal, and only there."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _listed_only() -> None:
    """Stands for a command that these arguments do not call."""


if __name__ == "__main__":
    main()
