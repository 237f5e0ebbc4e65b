"""The commands around the embedded services: setup, up, down, status, env."""

from __future__ import annotations

import datetime as dt
import shlex
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

if TYPE_CHECKING:
    from sluice.local.services import Status

Names = Annotated[list[str] | None, typer.Argument(help="Services by name; all of them without one.")]
_STATES = {"runs": "green", "ready": "green", "external": "cyan", "stopped": "dim", "dead": "red"}


def setup() -> None:
    """Check Java and Redis, and fetch the jars that services, jobs and warehouse need."""
    from sluice.local.jars import delta_jars, jdbc_jars, kafka_jars
    from sluice.local.java import java
    from sluice.local.redis_server import program

    console = Console()
    console.print(f"Java: {java()}")
    console.print(f"Redis: {program()}")
    found = [*delta_jars(), *kafka_jars(), *jdbc_jars()]
    console.print(f"Jars: {len(found)} in {found[0].parent}, {sum(jar.stat().st_size for jar in found) / 1e6:.0f} MB")


def up(names: Names = None) -> None:
    """Start the embedded services; what already runs is left alone."""
    from sluice.local import services
    from sluice.settings import settings

    console = Console()
    with _Lines(console) as lines:
        done = services.up(names or None, progress=lines.say)
    started = [each.name for each in done if each.action in {"started", "recovered"}]
    console.print(f"Started: {', '.join(started)}." if started else "Everything ran already.")
    if any(each.name == "prefect" for each in done):
        console.print(f"Prefect UI: {settings().prefect_api.removesuffix('/api')}")


def down(names: Names = None) -> None:
    """Stop what `sluice up` started, and nothing else."""
    from sluice.local import services

    console = Console()
    with _Lines(console) as lines:
        stopped = services.down(names or None, progress=lines.say)
    console.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")


def status() -> None:
    """Show every service: where it is and how it is."""
    from sluice.local import services

    address = Column("address", overflow="fold")
    table = Table("service", "state", "healthy", address, "pid", "memory", "since", box=None, pad_edge=False)
    seen = services.status()
    for each in seen:
        state = f"[{_STATES[each.state]}]{each.state}[/]"
        table.add_row(each.name, state, "yes" if each.healthy else "no", escape(each.address), *_process(each))
    console = Console()
    console.print(table)
    for each in seen:
        if each.state == "dead":
            console.print(f"{each.name} has died; its log is {each.log}. `sluice up` starts it again.", soft_wrap=True)


def env() -> None:
    """Print the environment that the engines need, for `eval "$(sluice env)"`."""
    from sluice.local.environment import engine_environment
    from sluice.settings import settings

    for name, value in sorted(engine_environment(settings()).items()):
        if name == "SLUICE_HOME" or not name.startswith("SLUICE_"):
            typer.echo(f"export {name}={shlex.quote(value)}")


def _process(each: Status) -> tuple[str, str, str]:
    if each.pid is None or each.since is None:
        return "-", "-", "-"
    since = dt.datetime.fromtimestamp(each.since, dt.UTC).astimezone()
    return str(each.pid), f"{each.memory_mb or 0:.0f} MB", f"{since:%Y-%m-%d %H:%M:%S}"


class _Lines:
    """One line per service, which says what happens to it and for how long."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.fields[name]:8}"))
        self._live = Progress(*columns, TextColumn("{task.description}"), TimeElapsedColumn(), console=console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, name: str, what: str) -> None:
        """Show what happens now to a service; a verb that ends in -ing goes on, anything else is its end."""
        if name not in self._tasks:
            self._tasks[name] = self._live.add_task(what, total=1, name=name)
        goes_on = what.endswith("ing")
        self._live.update(self._tasks[name], description=escape(what), completed=0 if goes_on else 1)
