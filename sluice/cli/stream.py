"""The commands around the topics: create them, fold them into the online store, archive them into the lake."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from sluice.declare.loading import load_pipeline
from sluice.engine.places import open_store
from sluice.lake.tables import Lake
from sluice.settings import settings
from sluice.stream.archive import Archive
from sluice.stream.fold import FoldConsumer
from sluice.stream.topics import create_topics

stream = typer.Typer(
    help="Create a pipeline's topics; fold them into the online store; archive them.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]


@stream.command()
def topics(pipeline: Pipeline) -> None:
    """Create the pipeline's topics where they are missing."""
    for name in create_topics(settings().kafka, load_pipeline(pipeline)):
        typer.echo(name)


@stream.command()
def fold(pipeline: Pipeline) -> None:
    """Fold the pipeline's topics into the online store, until SIGTERM or Ctrl-C."""
    declared = load_pipeline(pipeline)
    store = open_store(settings().online_uri, declared.name)
    try:
        FoldConsumer(declared, store, settings().kafka).run(_until_told())
    finally:
        store.close()


@stream.command()
def archive(pipeline: Pipeline) -> None:
    """Archive the pipeline's topics into the lake, until SIGTERM or Ctrl-C."""
    declared = load_pipeline(pipeline)
    Archive(declared, Lake(settings().places.lake_uri, declared.name), settings().kafka).run(_until_told())


def _until_told() -> Callable[[], bool]:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    return told.is_set
