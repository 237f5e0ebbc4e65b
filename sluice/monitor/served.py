"""What was served, read back from the lake as the detectors and the quality measures want it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import encode, integers
from sluice.engine.facts import encoded_schema, id_type
from sluice.engine.labels import label_at
from sluice.engine.vectors import Values, as_values, unpack
from sluice.lake.tables import Lake
from sluice.monitor.days import day_numbers
from sluice.monitor.drift.columns import MISSING, Column
from sluice.monitor.performance import Scored, scored
from sluice.stream.predictions import PREDICTIONS


def served(lake: Lake, segment: str | None, since: int, until: int) -> pa.Table:
    """The answers given in (since, until], without what shadows scored; of one segment, or of all for None."""
    if lake.open("predictions") is None:
        return PREDICTIONS.empty_table()
    span = (ds.field("answered") > since) & (ds.field("answered") <= until) & (ds.field("role") != "shadow")
    return lake.read("predictions", where=span if segment is None else span & (ds.field("segment") == segment))


def served_columns(pipeline: Pipeline, rows: pa.Table) -> tuple[list[Column], list[Column]]:
    """The served vectors as columns to watch, and the scores beside them."""
    values = unpack(pipeline, rows.column("vector").to_pylist())
    days = day_numbers(integers(rows.column("event_time"))[0])
    return value_columns(pipeline, values, days), [score_column(rows.column("score").to_numpy(), days)]


def history_columns(pipeline: Pipeline, vectors: pa.Table) -> list[Column]:
    """Backfilled vectors as columns to compare with."""
    days = day_numbers(integers(vectors.column("event_time"))[0])
    return value_columns(pipeline, as_values(pipeline, vectors), days)


def value_columns(pipeline: Pipeline, values: Values, days: np.ndarray) -> list[Column]:
    """Features as columns: numbers with NaN and closed categories with MISSING where null; hashes are not watched."""
    columns = []
    for place in pipeline.features:
        value, valid = values[place.name]
        if place.kind == "number":
            columns.append(Column(place.name, np.where(valid, value, np.nan), days))
        elif place.size is not None:
            columns.append(Column(place.name, np.where(valid, value, MISSING).astype(np.int64), days))
    return columns


def score_column(scores: np.ndarray, days: np.ndarray) -> Column:
    """Scores as a column to watch."""
    return Column("score", np.asarray(scores, np.float64), days)


def labelled(lake: Lake, pipeline: Pipeline, rows: pa.Table, at: int) -> tuple[Scored, Scored]:
    """Served rows whose labels are mature at `at`, with them, and the rows whose labels are not."""
    times = integers(rows.column("event_time"))[0]
    ids = event_ids(pipeline, rows.column("event_id").to_pylist())
    values, known = label_at(pipeline.label, {pipeline.label.told_by.name: told_events(lake, pipeline)}, ids, times, at)
    mature = known & (times + pipeline.label.settled_after <= at)
    scores, cards, days = rows.column("score").to_numpy(), cards_of(pipeline, rows), day_numbers(times)
    return (
        scored(scores[mature], cards[mature], days[mature], values[mature]),
        scored(scores[~mature], cards[~mature], days[~mature]),
    )


def told_events(lake: Lake, pipeline: Pipeline) -> pa.Table:
    """Every version of the events that tell the label, encoded; none while nothing has been told."""
    stream = pipeline.label.told_by
    if lake.open(f"silver/{stream.name}") is None:
        return encoded_schema(stream).empty_table()
    return encode(lake.read(f"silver/{stream.name}"), stream)


def event_ids(pipeline: Pipeline, logged: Sequence[str]) -> pa.Array:
    """Logged event ids in the type of the stream's ids; an empty one is that of a request without id, null."""
    texts = pa.array([text or None for text in logged], pa.string())
    return pc.cast(texts, id_type(pipeline.events))


def cards_of(pipeline: Pipeline, rows: pa.Table) -> np.ndarray:
    """The card of each answer, as text."""
    keys: list[Mapping[str, Any]] = [orjson.loads(text) for text in rows.column("keys").to_pylist()]
    return np.array([str(key.get(pipeline.card_key)) for key in keys])
