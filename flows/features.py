"""Features: history to vectors and tiles, tiles into the online store, the definitions into Feast."""

from __future__ import annotations

from functools import partial

from prefect import flow, task

from flows.place import Place, moment, place
from flows.submit import submit
from sluice.declare.operate import AS_SERVED
from sluice.engine.fold import load_base
from sluice.engine.forget import HORIZONS
from sluice.engine.history import keep
from sluice.engine.places import open_store
from sluice.engine.shards import spread_of
from sluice.lake.asof import newest
from sluice.lake.backfills import base_of
from sluice.lake.forgetting.erasures import undisturbed
from sluice.lake.incidents import refuse_incidents
from sluice.lake.lineage.datasets import Run, store_of, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.published import Published
from sluice.lake.tiles import standing, tile_table
from sluice.stream.loading import load_spread


@flow(name="features")
def features(pipeline: str, at: int | None = None, online: bool = True) -> str:
    """Compute every vector and tile of history; with `online`, start the online store from them.

    It waits while an incident is open. Returns the vectors' version, `vectors@3`.
    """
    here, now = place(pipeline), moment(at)
    refuse_incidents(here.lake, here.pipeline, "what is computed from history")
    base = here.lake.version("batches")
    version = backfill(pipeline, base, now, newest(here.lake, here.pipeline))
    if online:
        load_online(pipeline, base, now)
    register(pipeline)
    return version


@task(name="backfill")
def backfill(pipeline: str, base: int, at: int, tables: dict[str, int]) -> str:
    """Run the backfill job over the batches published in version `base` of `batches`, and these as-of tables.

    A pipeline that trains on vectors as they were served has them computed beside the others.
    """
    here = place(pipeline)
    submit("backfill", job_arguments(here, base, at, tables))
    return f"vectors@{here.lake.version('vectors')}"


def job_arguments(here: Place, base: int, at: int, tables: dict[str, int]) -> list[str]:
    """What the backfill job is told."""
    places = ["--pipeline", here.reference, "--lake", here.settings.places.lake_uri]
    pinned = [part for name, version in tables.items() for part in ("--table", f"{name}@{version}")]
    more = ["--as-served"] if here.pipeline.training.knowledge == AS_SERVED else []
    return [*places, "--base", str(base), "--at", str(at), *pinned, *more]


@task(name="load the online store")
def load_online(pipeline: str, base: int, at: int) -> None:
    """Start the online store from the tiles and the events that can still be corrected; what it held is replaced.

    Events are those that the tiles have: what was published since comes by its topic, and is known to be new by that.
    Once more when an entity was forgotten meanwhile; Outage while one is being forgotten.
    """
    here = place(pipeline)
    with told_run(here.pipeline.name, "load online", lambda: about_online(here), at=at):
        undisturbed(here.lake, pipeline, partial(start_online, here, base, at))


def about_online(here: Place) -> Run:
    """What the online store was started from, and where it is."""
    declared, uri = here.pipeline, here.settings.online_uri
    tiles = [tile_table(view) for view in declared.windows]
    events = [f"silver/{stream.name}" for stream in declared.streams]
    return Run(tables_of(here.lake, [*tiles, *events]), [store_of(uri, declared.name)])


def start_online(here: Place, base: int, at: int) -> None:
    """Load the store that has all, or that of every router and shard, once."""
    declared, lake = here.pipeline, here.lake
    versions = {tile_table(view): lake.version(tile_table(view)) for view in declared.windows}
    base = base_of(lake, versions, base)
    tiles = {view.name: standing(lake, view, version=versions[tile_table(view)]) for view in declared.windows}
    published, recent = Published(lake, declared, base), at - HORIZONS * keep(declared)
    events = {stream.name: published.read(stream, _time=(recent, None)) for stream in declared.streams}
    opened = partial(open_store, here.settings.online_uri)
    store = opened(declared.name)
    try:
        spread = spread_of(store)
        if spread.whole:
            load_base(declared, store, base, tiles, events)
        else:
            load_spread(declared, opened, spread, base, tiles, events)
    finally:
        store.close()


@task(name="register in Feast")
def register(pipeline: str) -> None:
    """Bring Feast's registry up to the declaration."""
    from sluice.feast.registry import apply

    apply(place(pipeline).pipeline)
