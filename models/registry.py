"""Trained models in MLflow: one run each, versions by segment, and aliases that say which of them serves."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.request import ALL
from sluice.errors import DeclarationError
from sluice.scoring import MODEL_FILE, Input, ModelSpec

HELD_OUT_FILE = "held_out.parquet"
"""What monitoring measures the served model against."""
_FALLBACK_NAME = "all"
_REQUIRED = ("sluice", "numpy", "pandas", "ai-edge-litert", "mlflow")
"""What predicting needs; `sluice` itself comes from the project's wheel."""
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_UV_AUTO_DETECT": "false",  # else every model carries half a megabyte of lock file; its hash is a tag
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A registered version and a local folder with its `spec.json` and `model.tflite`."""

    name: str
    segment: str
    version: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered version, and what was said of it when it was."""

    name: str
    version: int
    tags: Mapping[str, str]

    @property
    def segment(self) -> str:
        """What it was trained for."""
        return self.tags["segment"]

    @property
    def variant(self) -> str:
        """Which of the models that were made for its segment it is."""
        return self.tags["variant"]


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What a run keeps of one trained model beside its files."""

    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    texts: Mapping[str, str]
    example: pd.DataFrame
    held_out: pa.Table
    """The test rows as the winner scored them before it was fitted on them: `score`, `card`, `day` and `label`."""


def registered_name(pipeline: str, segment: str) -> str:
    """`<pipeline>-<segment>`, and `<pipeline>-all` for the fallback; DeclarationError for a name MLflow cannot keep."""
    if segment == _FALLBACK_NAME or not segment or set(segment) & set("/:@. "):
        raise DeclarationError(
            f"a segment cannot be named {segment!r}", allowed=f"no / : @ . or space, and not {_FALLBACK_NAME!r}"
        )
    return f"{pipeline}-{_FALLBACK_NAME if segment == ALL else segment}"


class Registry:
    """One pipeline's models in one MLflow; `store` keeps artefacts and the folders that serving loads."""

    def __init__(self, tracking_uri: str, pipeline: str, store: Path) -> None:
        self._uri, self._pipeline, self._store = tracking_uri, pipeline, store.absolute()

    def register(self, spec: ModelSpec, litert: bytes, keras: bytes, record: Record) -> tuple[Resolved, str]:
        """Record a run with the model and register it as the next version of its segment; with the run's id."""
        with tempfile.TemporaryDirectory() as scratch, self._run(record) as run_id:
            folder = Path(scratch) / "model"
            folder.mkdir()
            spec.save(folder)
            (folder / MODEL_FILE).write_bytes(litert)
            pq.write_table(record.held_out, folder / HELD_OUT_FILE)
            (archive := Path(scratch) / "model.keras").write_bytes(keras)
            self._client().log_artifact(run_id, str(archive))
            number = self._log_model(spec, folder, record, run_id)
            return self._unpack(spec.segment, number, folder), run_id

    def versions(self, **tags: str) -> list[Registered]:
        """Every version that was registered of the pipeline with these tags, the oldest first."""
        asked = " and ".join(
            f"tags.`{name}` = '{value}'" for name, value in {"pipeline": self._pipeline, **tags}.items()
        )
        found = [Registered(one.name, int(one.version), dict(one.tags)) for one in self._pages(asked)]
        return sorted(found, key=lambda one: (one.name, one.version))

    def set_alias(self, segment: str, alias: str, number: int | None) -> None:
        """Make `alias` (champion, challenger …) mean this version of the segment, or nothing when it is None.

        The one function that moves aliases: what serves is what this was last told.
        """
        client, name = self._client(), registered_name(self._pipeline, segment)
        if number is None:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, str(number))

    def resolve(self, segment: str, alias: str) -> Resolved | None:
        """The version that the alias means now, with its folder on this machine; None when it means none."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client().get_model_version_by_alias(registered_name(self._pipeline, segment), alias)
        except MlflowException as error:
            if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                return None
            raise
        return self.fetch(segment, int(found.version))

    def fetch(self, segment: str, number: int) -> Resolved:
        """That version of the segment, its files brought to this machine unless they are here."""
        name = registered_name(self._pipeline, segment)
        folder = self._folder(name, number)
        if folder.is_dir():
            return Resolved(name, segment, number, folder)
        mlflow = _mlflow(self._uri)
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"models:/{name}/{number}"
            downloaded = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
            return self._unpack(segment, number, downloaded / "artifacts" / "model")

    def _unpack(self, segment: str, number: int, source: Path) -> Resolved:
        """Put the files where serving loads them, the spec now saying its version; complete or not at all."""
        name = registered_name(self._pipeline, segment)
        folder = self._folder(name, number)
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.parent))
        for file in (MODEL_FILE, HELD_OUT_FILE):
            shutil.copy(source / file, fresh / file)
        ModelSpec.load(source).numbered(number).save(fresh)
        fresh.chmod(0o755)
        if folder.is_dir():  # another process was first; versions never change
            shutil.rmtree(fresh)
        else:
            fresh.replace(folder)
        return Resolved(name, segment, number, folder)

    def _pages(self, asked: str) -> Iterator[Any]:
        client, token = self._client(), None
        while True:
            page = client.search_model_versions(asked, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _folder(self, name: str, number: int) -> Path:
        return self._store / "models" / name / str(number)

    def _client(self) -> Any:
        return _mlflow(self._uri).MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _run(self, record: Record) -> Any:
        return _Run(self._client(), self._pipeline, (self._store / "artifacts").as_uri(), record)

    def _log_model(self, spec: ModelSpec, folder: Path, record: Record, run_id: str) -> int:
        mlflow = _mlflow(self._uri)
        with mlflow.start_run(run_id=run_id):
            info = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"model": str(folder)},
                signature=_signature(spec.inputs),
                input_example=record.example,
                pip_requirements=[f"{name}=={version(name)}" for name in _REQUIRED],
            )
        client = self._client()
        if not client.search_registered_models(f"name = '{spec.name}'"):
            client.create_registered_model(spec.name)
        tags = {**record.tags, "algorithm": spec.algorithm}
        made = client.create_model_version(spec.name, info.model_uri, run_id, tags=tags, model_id=info.model_id)
        return int(made.version)


class _Run:
    """One MLflow run around the making of a version: finished when it is registered, failed when something broke."""

    def __init__(self, client: Any, experiment: str, artifacts: str, record: Record) -> None:
        self._client, self._record = client, record
        found = client.get_experiment_by_name(experiment)
        self._experiment = found.experiment_id if found else client.create_experiment(experiment, artifacts)

    def __enter__(self) -> str:
        run_id = self._id = str(self._client.create_run(self._experiment, tags=dict(self._record.tags)).info.run_id)
        from mlflow.entities import Metric, Param

        start = self._client.get_run(run_id).info.start_time
        metrics = [Metric(name, value, start, 0) for name, value in self._record.metrics.items()]
        parameters = [Param(name, value) for name, value in self._record.parameters.items()]
        self._client.log_batch(run_id, metrics=metrics, params=parameters)
        for name, text in self._record.texts.items():
            self._client.log_text(run_id, text, name)
        return run_id

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._client.set_terminated(self._id, "FAILED" if kind else "FINISHED")


def environment() -> str:
    """Every installed distribution with its version, sorted, one a line."""
    return "\n".join(sorted({f"{each.metadata['Name']}=={each.version}" for each in distributions()}))


def _signature(inputs: Sequence[Input]) -> Any:
    """Numbers are doubles; codes are left open, because MLflow's integers know no null."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    columns = [ColSpec(DataType.double if each.kind == "number" else AnyType(), each.name) for each in inputs]
    return ModelSignature(Schema(columns), Schema([ColSpec(DataType.double)]))


def _mlflow(uri: str) -> Any:
    """MLflow pointed at this store, quiet and reporting to nobody unless the environment says otherwise."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow
