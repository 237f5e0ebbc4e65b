"""`sluice doctor`: what must hold of the lake and the stores, checked, and what to run where it does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.engine.shards import open_online
from sluice.engine.store import TileReader
from sluice.errors import DataError, Outage
from sluice.lake.doctor import INVARIANTS, Ailment
from sluice.lake.tables import Lake
from sluice.settings import settings

Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Entities = Annotated[
    int, typer.Option(min=0, help="Of how many recent events the online store's values are computed again; 0 for none.")
]
Seed = Annotated[int, typer.Option(help="Which ones: another number picks others.")]
TILES = "tiles equal events"


def doctor(pipeline: Pipeline, entities: Entities = 100, seed: Seed = 0) -> None:
    """Check what must hold of the lake and the stores, whatever died and whenever, and say what to run if it does not.

    Nothing is changed. Exit code 0: all is well; 3: something is not, and is named with the next step.
    """
    declared = load_pipeline(pipeline)
    lake = Lake(settings().places.lake_uri, declared.name)
    found = {name: list(check(lake, declared)) for name, check in INVARIANTS.items()}
    found["chain is intact"] = list(chain_is_intact(lake))
    shown = Table("", "invariant", "found", "next step", box=None, pad_edge=False)
    with _store(declared) as store:
        if store is None:
            told = "not asked: there is no online store yet"
        elif not entities:
            told = "not asked"
        else:
            told = f"of {entities:,} events or fewer"
            found[TILES] = list(tiles_equal_events(lake, declared, store, entities, seed))
    for name, ailments in found.items():
        if not ailments:
            shown.add_row("[green]ok[/]", name, told if name == TILES else "", "")
        for one in ailments:
            shown.add_row("[red]no[/]", name, f"{one.about}: {one.found}", one.next_step)
    if TILES not in found:
        shown.add_row("-", TILES, told, "")
    Console().print(shown)
    broken = sum(map(bool, found.values()))
    if broken:
        raise DataError(f"{broken} of the invariants do not hold", where=f"pipeline {declared.name!r}")


def chain_is_intact(lake: Lake) -> Iterator[Ailment]:
    """Every move of a model follows the one before it, and none has been changed."""
    from serve.promotions import verify

    for told in verify(lake).broken:
        yield Ailment("promotions", told, "restore the table to the version before: rows of it are never changed")


def tiles_equal_events(lake: Lake, declared: Declared, store: TileReader, most: int, seed: int) -> Iterator[Ailment]:
    """What the online store answers of some entities is what the events within its knowledge say, bit for bit."""
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
    try:
        opened = open_online(settings().online_uri, declared.name)
    except Outage:
        yield None
        return
    with closing(opened):
        yield opened
