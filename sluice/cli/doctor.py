"""`sluice doctor`: what must hold of the lake and the stores, checked, and what to run where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
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
_FEW = 3


def doctor(pipeline: Pipeline, events: Events = 100, seed: Seed = 0) -> None:
    """Check what must hold of the lake and the stores, whatever died and whenever, and say what to run if it does not.

    Nothing is changed. Exit code 0: all is well; 3: something is not, and is named with the next step; 4: the online
    store could not be asked, and nothing else is wrong. What waits for a person is told, and is no failure.
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
    for name, ailments in found.items():
        _tell(name, ailments)
    down = None
    try:
        found[TILES] = _of_the_store(lake, declared, events, seed)
    except Outage as outage:
        typer.echo(f"-   {TILES}: not asked: {outage.what}")
        down = outage
    for line in [*_stopped(lake, declared), *_open(lake, declared)]:
        typer.echo(line)
    broken = sum(map(bool, found.values()))
    if broken:
        raise DataError(f"{counted(broken, 'invariant')} broken", where=f"pipeline {declared.name!r}")
    if down is not None:
        raise down


def _of_the_store(lake: Lake, declared: Declared, events: int, seed: int) -> list[Ailment]:
    """Whether its tiles equal events, told; nothing where that is not asked. Outage when the store does not answer."""
    from sluice.engine.shards import online_if_there
    from sluice.settings import settings

    store = online_if_there(settings().online_uri, declared.name) if events else None
    if store is None:
        typer.echo(f"-   {TILES}: not asked{': there is no online store yet' if events else ''}")
        return []
    with closing(store):
        ailments = list(tiles_equal_events(lake, declared, store, events, seed))
    _tell(TILES, ailments, f"of {counted(events, 'event')} or fewer")
    return ailments


def _tell(name: str, ailments: Sequence[Ailment], about: str = "") -> None:
    """Whether an invariant holds, and below it what does not, each with what mends it."""
    mark = typer.style("no", fg="red") if ailments else typer.style("ok", fg="green")
    typer.echo(f"{mark}  {name}{f': {about}' if about and not ailments else ''}")
    for one in ailments:
        for line in hanging("    ", f"{one.about}: {one.found}", width()):
            typer.echo(line)
        typer.echo(f"      next: {one.next_step}")  # not wrapped: it may be a command


def _stopped(lake: Lake, declared: Declared) -> Iterator[str]:
    """Batches that a gate stopped are no failure, and nothing of them is seen until somebody acts."""
    from sluice.lake.attempts import waiting

    stopped = waiting(lake)
    if stopped:
        told = counted(len(stopped), "batch is", "batches are")
        names = listed([f"{one.stream}:{one.batch}" for one in stopped])
        yield from hanging("-   ", f"{told} stopped and {'waits' if len(stopped) == 1 else 'wait'}: {names}", width())
        yield f"      next: {command('gates', 'show', declared.reference)}"


def _open(lake: Lake, declared: Declared) -> Iterator[str]:
    """Incidents are no failure of the lake either, and what is derived waits until each is over."""
    from sluice.lake.incidents import incidents

    found = incidents(lake)
    for one in found[:_FEW]:
        yield from hanging("-   ", f"open incident, what is derived waits: {one}", width())
        yield f"      next: {one.next_step(declared.reference)}"
    if len(found) > _FEW:
        yield f"-   {counted(len(found) - _FEW, 'more open incident')}: {command('gates', 'show', declared.reference)}"


def chain_is_intact(lake: Lake) -> Iterator[Ailment]:
    """Every move of a model follows the one before it, and none has been changed."""
    from serve.promotions import verify
    from sluice.lake.doctor import Ailment

    for told in verify(lake).broken:
        yield Ailment("promotions", told, "restore the table to the version before: rows of it are never changed")


def tiles_equal_events(lake: Lake, declared: Declared, store: TileReader, most: int, seed: int) -> Iterator[Ailment]:
    """What the online store answers of some entities is what the events within its knowledge say, bit for bit."""
    from sluice.engine.store import StoreDown
    from sluice.lake.doctor import Ailment
    from sluice.monitor.tiles import check_tiles

    try:
        checked = check_tiles(lake, declared, store, most=most, seed=seed)
    except StoreDown:
        raise
    except Outage as behind:
        yield Ailment("archive", behind.what, behind.next_step or "")
        return
    for item in checked:
        for name, (kept, computed) in item.differences.items():
            keys = {key: item.served.request.get(key) for key in declared.keys}
            found = f"{name} of {keys} is {kept}, and {computed} by the events"
            yield Ailment("online store", found, f"start it anew: the flow features of {declared.name}")
