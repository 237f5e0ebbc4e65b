"""Train: mature vectors to registered models, one for each segment and a fallback for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.dataset as ds
from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.place import Place, moment, place
from models.registry import Registry
from models.request import ALL, LOGISTIC, NETWORK, SHUFFLED, TrainedModel, TrainingRequest, Variant
from models.split import Split
from models.train import train as fit
from sluice.declare.pipeline import Pipeline
from sluice.lake.incidents import refuse_incidents
from sluice.lake.lineage.datasets import Run, model_of, table_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.plan import VECTORS
from sluice.lake.training_sets import TrainingSet, keep
from sluice.scoring import Input
from sluice.version import code_version

BUCKETS = 64
"""How many codes an open category is folded into."""


@flow(name="train")
def train(pipeline: str, segments: list[str] | None = None, control: bool = False, at: int | None = None) -> list[str]:
    """Train candidates for segments (all, and the fallback `*`, when none are named) on the labels mature by now.

    With `control` each segment gets a second model, made from shuffled labels, that no gate may let pass.
    The newest of each variant gets its name as alias. Returns `<variant>:<model>/<version>`, such as
    `candidate:fraud-pos/3`; nothing serves until the rollout says so. It waits while an incident is open.
    """
    here, now = place(pipeline), moment(at)
    refuse_incidents(here.lake, here.pipeline, "training")
    wanted = segments or [*(name for name in here.pipeline.segments if name != ALL), ALL]
    return fit_candidates(pipeline, wanted, control, now)


@task(name="fit and register")
def fit_candidates(pipeline: str, segments: list[str], control: bool, at: int) -> list[str]:
    """Fit every candidate in one worker group and register what passed its checks."""
    variants = (Variant(), SHUFFLED) if control else (Variant(),)
    here = place(pipeline)
    request = training_request(here, segments, variants, at)
    made: list[TrainedModel] = []
    with told_run(here.pipeline.name, "train", lambda: about(here, request, made), at=at):
        made += fit(request).models
    models = made
    keep_sets(here, request, models, at)
    registry = Registry(here.settings.mlflow, here.pipeline.name, here.settings.places.at("models"))
    for model in models:
        registry.set_alias(model.segment, model.variant, model.version)
    show_models(models)
    return [f"{model.variant}:{model.name}/{model.version}" for model in models]


def about(here: Place, request: TrainingRequest, models: Sequence[TrainedModel]) -> Run:
    """What training has read, and which models came of it."""
    vectors, _, version = request.data_version.rpartition("@")
    registered = [model_of(here.settings.mlflow, one.name, str(one.version)) for one in models]
    return Run([table_of(here.lake, vectors, version=int(version))], registered)


def keep_sets(here: Place, request: TrainingRequest, models: Sequence[TrainedModel], at: int) -> None:
    """Keep what each model was trained on, for those who ask where it came from, or what a repair touches."""
    vectors, _, version = request.data_version.rpartition("@")
    first, until = request.split.train.start, request.split.test.end
    for model in models:
        of = (model.name, str(model.version), model.segment)
        keep(here.lake, TrainingSet(*of, vectors, int(version), first, until, request.definition_hash, at))


def training_request(here: Place, segments: list[str], variants: tuple[Variant, ...], at: int) -> TrainingRequest:
    """What the models room is asked for: rows with mature labels, split in time order, the label delay between."""
    declared = here.pipeline
    plan, delay = declared.training, declared.label.settled_after
    end, version = at - delay, here.lake.version(vectors_of(declared))
    table = mature_vectors(here, end - int(plan.history), end, version)
    first = int(pa.compute.min(table.column("event_time")).as_py())
    return TrainingRequest(
        pipeline=declared.name,
        table=table,
        inputs=model_inputs(declared),
        split=Split.ending(
            end,
            history=min(int(plan.history), end - first),
            validation=int(plan.validation),
            test=int(plan.test),
            delay=delay,
        ),
        card=declared.card_key,
        segments=tuple(segments),
        data_version=f"{vectors_of(declared)}@{version}",
        knowledge=plan.knowledge,
        definition_hash=declared.definition,
        code_version=code_version(),
        tracking_uri=here.settings.mlflow,
        store=here.settings.places.at("models"),
        yardstick=yardstick(declared),
        variants=variants,
        algorithms=(LOGISTIC, replace(NETWORK, hidden=tuple(plan.hidden), epochs=plan.epochs, batch=plan.batch)),
        seed=plan.seed,
        refit=True,
        ray_address=here.settings.ray,
    )


def vectors_of(pipeline: Pipeline) -> str:
    """The table of the vectors that a pipeline trains on: they know what its declaration says."""
    return VECTORS[pipeline.training.knowledge]


def mature_vectors(here: Place, start: int, end: int, version: int) -> pa.Table:
    """The vectors of a span of event time whose labels are known, in time order, as a version of their table has them.

    The version is what a model says it was trained on; a backfill may make another one meanwhile.
    """
    span = (ds.field("event_time") >= start) & (ds.field("event_time") < end) & ds.field("label").is_valid()
    return here.lake.read(vectors_of(here.pipeline), where=span, version=version).sort_by(
        [("event_time", "ascending"), ("event_id", "ascending")]
    )


def model_inputs(pipeline: Pipeline) -> tuple[Input, ...]:
    """The features that models read, as inputs."""
    return tuple(
        Input(place.name, place.kind, place.size or BUCKETS, open=place.size is None)
        if place.kind == "category"
        else Input(place.name, place.kind)
        for place in pipeline.features
        if place.name not in pipeline.training.exclude
    )


def yardstick(pipeline: Pipeline) -> str | None:
    """The first plain number of the request: ranking by it alone is what every model has to beat."""
    plain = [
        f"{view.name}__{feature.name}"
        for view in pipeline.requests
        for feature in view.features
        if feature.function == "value"
    ]
    numbers = {place.name for place in pipeline.features if place.kind == "number"}
    return next((name for name in plain if name in numbers), None)


def show_models(models: Sequence[TrainedModel]) -> None:
    """Put every candidate's measures on the run's page."""
    rows = [
        {
            "model": f"{model.name}/{model.version}",
            "variant": model.variant,
            "algorithm": model.spec.algorithm,
            "average precision": round(model.test.average_precision, 3),
            "AUC": round(model.test.auc, 3),
            "amount alone": round(model.metrics["yardstick"].average_precision, 3)
            if "yardstick" in model.metrics
            else None,
        }
        for model in models
    ]
    create_table_artifact(table=rows, key="models", description="Candidates on their test rows")
