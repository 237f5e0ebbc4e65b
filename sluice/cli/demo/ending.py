"""How the demo ends: the figures read back from where they were written, the page, and what to look at next."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from flows.place import Place, place
from models.measures import measured
from sluice.cli.demo.teller import Teller
from sluice.errors import DataError
from sluice.monitor.report.figures import ModelFigures, Step, figures, write_figures
from sluice.monitor.report.outcome import outcome
from sluice.monitor.report.page import write_page
from sluice.stream.subscription import Subscription
from sluice.stream.topics import stream_topic


def report(teller: Teller, pipeline: str, path: Path | None, at: int) -> None:
    """Write report.json and the page beside it; DataError when a sum does not close or a vector differs."""
    here = place(pipeline)
    file = path or here.settings.places.at("report.json")
    models = [ModelFigures(**asdict(each)) for each in measured(here.settings.mlflow, here.pipeline.name)]
    steps = [Step(each.name, each.seconds, each.peak_mb) for each in teller.steps]
    found = figures(here.lake, here.pipeline, broker_ends=broker_ends(here), models=models, steps=steps, at=at)
    write_figures(found, file)
    page = write_page(here.lake, here.pipeline, found, file.with_suffix(".html"))
    said = outcome(found)
    teller.console.print(f"\n{said.sentence}")
    teller.console.print(f"Page: {page}\nFigures: {file}")
    teller.console.print(
        f"Every flow run: {here.settings.prefect_api.removesuffix('/api')}    Stop the services: sluice down\n"
        f"To go on by hand: export SLUICE_HOME={here.settings.places.home.absolute()} "
        f"SLUICE_CLOCK={here.settings.places.clock}, then sluice rollout status {pipeline}"
    )
    if not said.sound:
        raise DataError(said.sentence, where=str(file), next_step=f"open {page}")


def broker_ends(here: Place) -> dict[str, int]:
    """The end offset of every stream's topic, over all its partitions."""
    topics = [stream_topic(here.pipeline.name, stream.name) for stream in here.pipeline.streams]
    ends = dict.fromkeys(topics, 0)
    with Subscription(here.settings.kafka, topics, lambda _partition: None) as subscription:
        for (topic, _), end in subscription.ends().items():
            ends[topic] += end
    return ends
