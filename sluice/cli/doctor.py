"""`sluice doctor`: what must hold of the lake and the stores, checked, and what to run where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.screen import hanging, width
from sluice.errors import DataError, Outage
from sluice.wording import command, counted, listed

if TYPE_CHECKING:
    from sluice.declare.pipeline import Pipeline as Declared
    from sluice.engine.store import TileReader
    from sluice.lake.doctor import Ailment
    from sluice.lake.tables import Lake

Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Events = Annotated[
    int, typer.Option(min=0, help="Of how many recent events the online store's values are computed again; 0 for none.")
]
Seed = Annotated[int, typer.Option(help="Which ones: another number picks others.")]
TILES = "tiles equal events"


def doctor(pipeline: Pipeline, events: Events = 100, seed: Seed = 0) -> None:
    """Check what must hold of the lake and the stores, whatever died and whenever, and say what to run if it does not.

    Nothing is changed. Exit code 0: all is well; 3: something is not, and is named with the next step.
    """
    from sluice.declare.loading import load_pipeline
    from sluice.lake.doctor import INVARIANTS
    from sluice.lake.keeping.present import tables
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    lake = Lake(settings().places.lake_uri, declared.name)
    typer.echo(f"{declared.name} in {lake.root}")
    if not tables(lake):
        typer.echo(f"-   no batch of {declared.name!r} in {lake.root} yet")
        return
    found = {name: list(check(lake, declared)) for name, check in INVARIANTS.items()}
    found["chain is intact"] = list(chain_is_intact(lake))
    with _store(declared) as store:
        if store is None:
            told = "not asked: there is no online store yet"
        elif not events:
            told = "not asked"
        else:
            told = f"of {counted(events, 'event')} or fewer"
            found[TILES] = list(tiles_equal_events(lake, declared, store, events, seed))
    for name, ailments in found.items():
        _tell(name, ailments, told if name == TILES else "")
    if TILES not in found:
        typer.echo(f"-   {TILES}: {told}")
    for line in _that_wait(lake, declared):
        typer.echo(line)
    broken = sum(map(bool, found.values()))
    if broken:
        raise DataError(f"{counted(broken, 'invariant')} broken", where=f"pipeline {declared.name!r}")


def _tell(name: str, ailments: Sequence[Ailment], about: str) -> None:
    """Whether an invariant holds, and below it what does not, each with what mends it."""
    mark = typer.style("no", fg="red") if ailments else typer.style("ok", fg="green")
    typer.echo(f"{mark}  {name}{f': {about}' if about and not ailments else ''}")
    for one in ailments:
        for line in hanging("    ", f"{one.about}: {one.found}", width()):
            typer.echo(line)
        typer.echo(f"      next: {one.next_step}")  # not wrapped: it may be a command


def _that_wait(lake: Lake, declared: Declared) -> Iterator[str]:
    """Batches that a gate stopped are no failure, and nothing of them is seen until somebody acts."""
    from sluice.lake.attempts import waiting

    stopped = waiting(lake)
    if stopped:
        told = counted(len(stopped), "batch is", "batches are")
        names = listed([f"{one.stream}:{one.batch}" for one in stopped])
        yield from hanging("-   ", f"{told} stopped and {'waits' if len(stopped) == 1 else 'wait'}: {names}", width())
        yield f"      next: {command('gates', 'show', declared.reference)}"


def chain_is_intact(lake: Lake) -> Iterator[Ailment]:
    """Every move of a model follows the one before it, and none has been changed."""
    from serve.promotions import verify
    from sluice.lake.doctor import Ailment

    for told in verify(lake).broken:
        yield Ailment("promotions", told, "restore the table to the version before: rows of it are never changed")


def tiles_equal_events(lake: Lake, declared: Declared, store: TileReader, most: int, seed: int) -> Iterator[Ailment]:
    """What the online store answers of some entities is what the events within its knowledge say, bit for bit."""
    from sluice.lake.doctor import Ailment
    from sluice.monitor.tiles import check_tiles

    try:
        checked = check_tiles(lake, declared, store, most=most, seed=seed)
    except Outage as behind:
        yield Ailment("archive", behind.what, behind.next_step or "")
        return
    for item in checked:
        for name, (kept, computed) in item.differences.items():
            keys = {key: item.served.request.get(key) for key in declared.keys}
            found = f"{name} of {keys} is {kept}, and {computed} by the events"
            yield Ailment("online store", found, f"start it anew: the flow features of {declared.name}")


@contextmanager
def _store(declared: Declared) -> Iterator[TileReader | None]:
    """The online store; None where nobody has started one."""
    from sluice.engine.shards import open_online
    from sluice.settings import settings

    try:
        opened = open_online(settings().online_uri, declared.name)
    except Outage:
        yield None
        return
    with closing(opened):
        yield opened
