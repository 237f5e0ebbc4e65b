"""What each registered model was trained on: which version of which vectors, and the events' span of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyarrow as pa

from sluice.lake.tables import Lake

TRAINING_SETS = pa.schema(
    {
        "model": pa.string(),
        "version": pa.string(),
        "segment": pa.string(),
        "vectors": pa.string(),
        "vectors_version": pa.int64(),
        "first": pa.int64(),
        "until": pa.int64(),
        "definition": pa.string(),
        "at": pa.int64(),
    }
)


@dataclass(frozen=True)
class TrainingSet:
    """The vectors of events from `first` to before `until`, in the version of their table that a model saw."""

    model: str
    version: str
    segment: str
    vectors: str
    vectors_version: int
    first: int
    until: int
    definition: str
    at: int


def keep(lake: Lake, made: TrainingSet) -> None:
    """Keep what a model was trained on, once."""
    lake.append_rows("training_sets", [asdict(made)], TRAINING_SETS, once=f"training_set:{made.model}/{made.version}")


def training_sets(lake: Lake) -> Mapping[tuple[str, str], TrainingSet]:
    """By name and version of the model, all that there are."""
    found = [TrainingSet(**row) for row in lake.rows("training_sets")]
    return {(one.model, one.version): one for one in sorted(found, key=lambda one: one.at)}
