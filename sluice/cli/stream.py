"""The commands around the topics: create them, fold them into the online store, archive them into the lake."""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.declare import pipeline as declare
from sluice.declare.loading import load_pipeline

if TYPE_CHECKING:
    from sluice.lake.lineage.datasets import Dataset
    from sluice.lake.schemas import Schemas
    from sluice.lake.tables import Lake
    from sluice.stream.division import Division

stream = typer.Typer(
    help="Create a pipeline's topics; fold them into the online store, by one process or several; archive them, or "
    "bring years of them at once.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Owned = Annotated[
    list[int] | None,
    typer.Option(
        "--partition",
        min=0,
        help="A partition to own, for as long as it runs; may be repeated. By default the processes that run this "
        "command share all of them out, and take over from one that dies.",
    ),
]
Partitions = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="How many each topic has, which is for ever: as many folds can share the work. By default as many as "
        "there are already, else one.",
    ),
]

Stream = Annotated[str, typer.Argument(help="The stream whose topic is read.")]
Since = Annotated[str | None, typer.Option(help="Only records of this moment or later, RFC 3339.")]
Until = Annotated[str | None, typer.Option(help="Only records before this moment.")]


@stream.command()
def topics(pipeline: Pipeline, partitions: Partitions = None) -> None:
    """Create the pipeline's topics where they are missing, and print the names of all.

    With several partitions the online store is in as many shards, each with a store of its own, and the topic
    `<pipeline>.by_entity` tells each shard what can touch its entities. Then run the flow `features`, which starts the
    shards from history; as many `sluice stream route` and `sluice stream fold` as there are cores to spare; and one
    `sluice stream archive`.
    """
    from sluice.settings import settings
    from sluice.stream.topics import create_topics

    declared = load_pipeline(pipeline)
    names = create_topics(settings().kafka, declared, partitions)
    division = _division(declared)
    if not division.spread.whole:
        division.remember()
    for name in names:
        typer.echo(name)


@stream.command()
def route(pipeline: Pipeline, partition: Owned = None) -> None:
    """Tell each shard of the online store what concerns its entities, until SIGTERM or Ctrl-C.

    Only for topics with several partitions. An event lies in the partition of its id, and its customer and its
    terminal in two shards: the router of that partition reads it, keeps what may still be corrected, and passes it on
    to both. At its end it says what it did; while it runs, what it refuses and what comes too late, once a minute.
    """
    from sluice.lake.lineage.datasets import Run, topic_of
    from sluice.lake.lineage.runs import told_run
    from sluice.settings import settings
    from sluice.stream.topics import entity_topic

    declared, broker = load_pipeline(pipeline), settings().kafka
    written = topic_of(broker, entity_topic(declared.name))
    with told_run(declared.name, "route", lambda: Run(_streams(declared), [written]), endless=True):
        done = _division(declared).route(partition or [], _until_told())
    typer.echo(f"{done.events:,} events routed, {done.fresh:,} of them kept here")
    typer.echo(f"{done.waiting:,} had to wait for the event that they are about")
    typer.echo(f"{done.misplaced:,} did not lie in the partition of their key")
    for line in done.uncounted.lines():
        typer.echo(line)


@stream.command()
def fold(pipeline: Pipeline, partition: Owned = None) -> None:
    """Fold the pipeline's topics into the online store, until SIGTERM or Ctrl-C.

    With one partition, one process folds everything; of two, the one that comes second to a batch ends. With several,
    any number of processes share the shards, each of which has one writer at a time; they need a router
    (`sluice stream route`), which is what refuses events then. What is refused, or comes too late for a view, is said
    once a minute, and at the end.
    """
    from sluice.lake.lineage.datasets import Run, store_of
    from sluice.lake.lineage.runs import told_run
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    written = store_of(settings().online_uri, declared.name)
    with told_run(declared.name, "fold", lambda: Run(_streams(declared), [written]), endless=True):
        uncounted = _division(declared).fold(partition or [], _until_told())
    for line in uncounted.lines() if uncounted is not None else []:
        typer.echo(line)


@stream.command()
def status(pipeline: Pipeline) -> None:
    """Show how the pipeline is divided, and how many records each shard has still to learn of.

    A shard that stays behind while the others do not has no fold, or a partition of the topics has no router.
    """
    from sluice.engine.places import open_store
    from sluice.settings import settings
    from sluice.stream.standing import standings
    from sluice.stream.topics import spread_of_topics

    declared, here = load_pipeline(pipeline), settings()
    spread = spread_of_topics(here.kafka, declared)
    typer.echo(f"{declared.name}: {spread.partitions} partitions, {spread.shards} shards")
    opened = functools.partial(open_store, here.online_uri, read_only=True)
    for standing in standings(declared, spread, here.kafka, opened):
        typer.echo(str(standing))


@stream.command()
def archive(pipeline: Pipeline) -> None:
    """Archive the pipeline's topics into the lake, until SIGTERM or Ctrl-C: one process for all partitions."""
    from sluice.lake.forgetting.erasures import Remembered
    from sluice.lake.lineage.datasets import Run, tables_of, topic_of
    from sluice.lake.lineage.runs import told_run
    from sluice.lake.registry import registry_at
    from sluice.lake.tables import Lake
    from sluice.settings import settings
    from sluice.stream.archive import Archive

    declared, broker = load_pipeline(pipeline), settings().kafka
    lake, registry = Lake(settings().places.lake_uri, declared.name), registry_at(settings().schema_registry)
    copied = Archive(declared, lake, broker, remembers=Remembered(lake), registry=registry)

    def about() -> Run:
        return Run([topic_of(broker, name) for name in copied.tables], tables_of(lake, copied.tables.values()))

    with told_run(declared.name, "archive", about, endless=True):
        copied.run(_until_told())


def _streams(declared: declare.Pipeline) -> list[Dataset]:
    """The topics of a pipeline's streams."""
    from sluice.lake.lineage.datasets import topic_of
    from sluice.settings import settings
    from sluice.stream.topics import stream_topic

    return [topic_of(settings().kafka, stream_topic(declared.name, stream.name)) for stream in declared.streams]


@stream.command()
def bring(pipeline: Pipeline, stream: Stream, since: Since = None, until: Until = None) -> None:
    """Bring years of a stream's topic into bronze by many workers: what the archive would write, each record once.

    An archive may run beside it, and passes over what was brought. `sluice ingest PIPELINE --archived` makes history of
    it. Offsets that the broker has dropped are told as a gap.
    """
    from sluice.local.spark import run_job
    from sluice.settings import settings

    here, declared = settings(), load_pipeline(pipeline)
    given = ["--pipeline", pipeline, "--lake", here.places.lake_uri, "--bootstrap", here.kafka]
    given += ["--stream", declared.stream(stream).name]
    for option, text in (("--since", since), ("--until", until)):
        given += [option, text] if text is not None else []
    run_job(here, "topics", given)


def _division(pipeline: declare.Pipeline) -> Division:
    """A pipeline as its topics say that it is divided."""
    from sluice.engine.places import open_store
    from sluice.lake.forgetting.erasures import Remembered
    from sluice.lake.tables import Lake
    from sluice.settings import settings
    from sluice.stream.division import Division
    from sluice.stream.topics import spread_of_topics

    here = settings()
    opened = functools.partial(open_store, here.online_uri)
    lake = Lake(here.places.lake_uri, pipeline.name)
    spread = spread_of_topics(here.kafka, pipeline)
    return Division(pipeline, spread, here.kafka, opened, schemas=_schemas(lake), remembers=Remembered(lake))


def _schemas(lake: Lake) -> Schemas:
    """The registered schemas of a lake, and those of the registry that settings name."""
    from sluice.lake.registry import registry_at
    from sluice.lake.schemas import Schemas
    from sluice.settings import settings

    return Schemas(lake, registry_at(settings().schema_registry))


def _until_told() -> Callable[[], bool]:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told.is_set
