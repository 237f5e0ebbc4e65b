"""What a run remembers of a model: enough to find its data, code and environment again and to train it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd
import pyarrow as pa

from models.examples import SHARDS
from models.group import NUMERICS
from models.metrics import Metrics
from models.registry import Record, environment
from models.request import Exported, Fitted, TrainingRequest
from models.split import Interval, Split


def record(
    request: TrainingRequest,
    exported: Exported,
    rivals: Sequence[Fitted],
    metrics: Mapping[str, Metrics],
    example: pa.Table,
    held_out: pa.Table,
) -> Record:
    """Parameters, metrics and tags of one trained model; the winner's metrics also stand under their plain names."""
    installed = environment()
    return Record(
        parameters=_parameters(request, exported),
        metrics=_metrics(exported, rivals, metrics),
        tags={
            "pipeline": request.pipeline,
            "segment": exported.job.segment,
            "variant": exported.job.variant.name,
            "data_version": request.data_version,
            "knowledge": request.knowledge,
            "definition_hash": request.definition_hash,
            "code_version": request.code_version,
            "weights_hash": exported.weights_hash,
            "environment_hash": _digest(installed),
            "lock_hash": _digest(request.lock_file.read_text()) if request.lock_file else "",
            "request": request.identity,
            **request.tags,
        },
        texts={"environment.txt": installed, "inputs.json": json.dumps([asdict(each) for each in request.inputs])},
        example=_frame(request, example),
        held_out=held_out,
    )


def _parameters(request: TrainingRequest, exported: Exported) -> dict[str, str]:
    job = exported.job
    values = {f"algorithm.{name}": value for name, value in asdict(job.algorithm).items()}
    values |= {f"variant.{name}": value for name, value in asdict(job.variant).items()}
    values |= {f"split.{name}": value for name, value in _split(request.split).items()}
    values |= {f"numerics.{name}": value for name, value in NUMERICS.items()}
    values |= {"seed": request.seed, "refit": request.refit, "shards": SHARDS}
    values |= {"calibration.scale": exported.calibration.scale, "calibration.shift": exported.calibration.shift}
    return {name: str(value) for name, value in values.items()}


def _split(split: Split) -> dict[str, Interval | int | None]:
    return {"train": split.train, "validation": split.validation, "test": split.test, "delay": split.delay}


def _metrics(exported: Exported, rivals: Sequence[Fitted], metrics: Mapping[str, Metrics]) -> dict[str, float]:
    values = {
        f"{algorithm}.{name}": value for algorithm, each in metrics.items() for name, value in each.as_dict().items()
    }
    values |= metrics[exported.job.algorithm.name].as_dict()
    for fitted in rivals:
        if fitted.validation_average_precision is not None:
            values[f"{fitted.job.algorithm.name}.validation_average_precision"] = fitted.validation_average_precision
    return values | {"parity": exported.parity}


def _frame(request: TrainingRequest, example: pa.Table) -> pd.DataFrame:
    """A few rows as stock MLflow takes them: numbers as float64, codes as nullable integers."""
    columns = {
        each.name: example[each.name].to_pandas(
            types_mapper=None if each.kind == "number" else {pa.int64(): pd.Int64Dtype()}.get
        )
        for each in request.inputs
    }
    return pd.DataFrame(columns)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
