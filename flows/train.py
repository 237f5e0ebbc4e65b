"""Train: mature vectors to registered models, one for each segment and a fallback for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.dataset as ds
from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.place import Place, moment, place
from models.registry import Registered
from models.request import ALL, LOGISTIC, NETWORK, SHUFFLED, TrainedModel, TrainingRequest, Variant
from models.split import Split
from models.train import train as fit
from sluice.declare.pipeline import Pipeline
from sluice.lake.incidents import refuse_incidents
from sluice.lake.lineage.datasets import Run, model_of, table_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.plan import VECTORS
from sluice.lake.training_sets import TrainingSet, keep, training_sets
from sluice.scoring import Input
from sluice.version import code_version

SET = "training_set"
"""The tag of a registered version that says what it was trained on, which the lake is told of next."""
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
    """Fit every candidate in one worker group and register what passed its checks.

    What a run of the same data and moment has registered before it died is not made again.
    """
    variants = (Variant(), SHUFFLED) if control else (Variant(),)
    here = place(pipeline)
    adopt(here)
    request = training_request(here, segments, variants, at)
    made = registered_before(here, request)
    with told_run(here.pipeline.name, "train", lambda: about(here, request, made), at=at):
        left = replace(request, done=frozenset((one.segment, one.variant) for one in made))
        fitted = fit(left, registered=partial(keep_model, here, request, made)).models
    for model in made:
        newest = here.registry.versions(segment=model.segment, variant=model.variant)[-1]
        here.registry.set_alias(model.segment, model.variant, newest.version)
    show_models(fitted)
    return [f"{model.variant}:{model.name}/{model.version}" for model in made]


def registered_before(here: Place, request: TrainingRequest) -> list[Registered]:
    """The versions that a request has made already."""
    wanted = {(segment, variant.name) for segment in request.segments for variant in request.variants}
    found = here.registry.versions(request=request.identity)
    return [one for one in found if (one.segment, one.variant) in wanted]


def about(here: Place, request: TrainingRequest, models: Sequence[Registered]) -> Run:
    """What training has read, and which models came of it."""
    vectors, _, version = request.data_version.rpartition("@")
    registered = [model_of(here.settings.mlflow, one.name, str(one.version)) for one in models]
    return Run([table_of(here.lake, vectors, version=int(version))], registered)


def keep_model(here: Place, request: TrainingRequest, made: list[Registered], model: TrainedModel) -> None:
    """Keep what a model was trained on as soon as it is registered."""
    tags = {**request.tags, "segment": model.segment, "variant": model.variant}
    made.append(Registered(model.name, model.version, tags))
    keep_set(here, made[-1])


def adopt(here: Place) -> None:
    """Keep the training sets of models that were registered by a run which died before it could."""
    known = training_sets(here.lake)
    for model in here.registry.versions():
        if SET in model.tags and (model.name, str(model.version)) not in known:
            keep_set(here, model)


def keep_set(here: Place, model: Registered) -> None:
    """Keep what a model was trained on, for those who ask where it came from, or what a repair touches."""
    keep(here.lake, TrainingSet(model.name, str(model.version), model.segment, **json.loads(model.tags[SET])))


def training_request(here: Place, segments: list[str], variants: tuple[Variant, ...], at: int) -> TrainingRequest:
    """What the models room is asked for: rows with mature labels, split in time order, the label delay between."""
    declared = here.pipeline
    plan, delay = declared.training, declared.label.settled_after
    end, version = at - delay, here.lake.version(vectors_of(declared))
    table = mature_vectors(here, end - int(plan.history), end, version)
    first = int(pa.compute.min(table.column("event_time")).as_py())
    split = Split.ending(
        end,
        history=min(int(plan.history), end - first),
        validation=int(plan.validation),
        test=int(plan.test),
        delay=delay,
    )
    span = {"first": split.train.start, "until": split.test.end, "definition": declared.definition, "at": at}
    return TrainingRequest(
        pipeline=declared.name,
        table=table,
        inputs=model_inputs(declared),
        split=split,
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
        tags={SET: json.dumps({"vectors": vectors_of(declared), "vectors_version": version, **span})},
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
