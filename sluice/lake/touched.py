"""What came too late, was corrected or was told anew, and what had been made of the days before: vectors, sets, models.

    touched    a row for the vectors of every repair, and one for each model whose training set is no longer what it was

A training set is a version of vectors and a span of time, so what was touched of it is what differs between that
version and the newest one within that span: it is found however many backfills came in between. So is what moved of the
vectors: since the version up to which somebody was told, which the commits of `touched` say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.declare.operate import EVENT_TIME
from sluice.declare.pipeline import ALL, Pipeline
from sluice.lake.backfills import batches, named_in
from sluice.lake.files import missing, spans
from sluice.lake.keeping.present import files
from sluice.lake.keeping.retired import vectors_since
from sluice.lake.lineage.datasets import Run, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.moved import COUNTS, Move, Moved, Span, moved
from sluice.lake.plan import VECTORS as TABLES
from sluice.lake.plan import published_batches
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, training_sets

TOUCHED = pa.schema(
    {
        "at": pa.int64(),
        "vectors": pa.string(),
        "before": pa.int64(),
        "after": pa.int64(),
        "model": pa.string(),
        "version": pa.string(),
        "segment": pa.string(),
        "first": pa.int64(),
        "until": pa.int64(),
        "changed": pa.int64(),
        "added": pa.int64(),
        "gone": pa.int64(),
        "labelled": pa.int64(),
        "columns": pa.string(),
        "batches": pa.string(),
    }
)
"""`first` and `until` are the span that was looked at; `batches` is what was new, as JSON, in the vectors' own row."""
VECTORS = TABLES[EVENT_TIME]
_TOLD = "told"
"""How far repairs have told what moved, in versions of the vectors."""
_EVER = Span(int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max))


@dataclass(frozen=True)
class Model:
    """A model, and what has moved of the vectors that it was trained on."""

    trained: TrainingSet
    moved: Moved


@dataclass(frozen=True)
class Touched:
    """What a repair did: vectors between two versions, and the models that had learned from what is no longer so."""

    before: int
    after: int
    arrived: Sequence[Mapping[str, object]]
    """The batches that were new: stream, name, rows, and how many of them were late."""
    vectors: Moved
    """Of the days that there were before; those of newer days are no repair."""
    models: Sequence[Model]
    """Only those whose training set is no longer what it was."""


def note_before(lake: Lake) -> None:
    """Before the first repair of all: write down which vectors there were, so that what it moves is told if it dies."""
    newest = lake.version(VECTORS)
    if newest >= 0 and lake.reached_by("touched", _TOLD) is None:
        lake.append_moving("touched", TOUCHED.empty_table(), _TOLD, None, newest)


def tell_touched(lake: Lake, pipeline: Pipeline, at: int) -> Touched | None:
    """Find what has moved since somebody was told, whoever moved it, and keep it; None for the first vectors of all."""
    with told_run(pipeline.name, "repair", lambda: _about(lake), at=at):
        told = lake.reached_by("touched", _TOLD)
        if told is None:
            note_before(lake)
            return None
        found = touched(lake, pipeline, _first_left(lake, told))
        record(lake, found, at, told=told)
    return found


def touched(lake: Lake, pipeline: Pipeline, before: int) -> Touched:
    """What has moved since a version of the vectors, in the days that it knew.

    Vectors that are older than events are kept have not moved: they are gone as declared.
    """
    first = vectors_since(lake, pipeline)
    least = _EVER.first if first is None else first
    known = Span(least, _newest_event(lake, before) + 1)
    after = lake.version(VECTORS)
    return Touched(
        before,
        after,
        list(_arrived(lake, before, after)),
        moved(lake, VECTORS, before, after, known),
        _models(lake, least),
    )


def record(lake: Lake, found: Touched, at: int, *, told: int | None = None) -> None:
    """Keep what a repair touched, once; Outage when another process has told of it since it was `told` last."""
    if lake.reached_by("touched", _TOLD) == found.after:
        return
    of_vectors = {
        "model": "",
        "version": "",
        "segment": ALL,
        "first": _EVER.first,
        "until": _EVER.until,
        "vectors": VECTORS,
        "before": found.before,
        "after": found.after,
        "batches": json.dumps([dict(row) for row in found.arrived]),
        **_counts(found.vectors),
    }
    rows = [{"at": at, **row} for row in (of_vectors, *(_of_model(lake, one) for one in found.models))]
    lake.append_moving("touched", pa.Table.from_pylist(rows, schema=TOUCHED), _TOLD, told, found.after)


def columns_of(row: Mapping[str, Any]) -> dict[str, Move]:
    """The columns that moved, from a row of `touched`."""
    return {name: Move(**told) for name, told in json.loads(row["columns"]).items()}


def arrived_of(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The batches that were new, from a row of `touched`."""
    found: list[dict[str, Any]] = json.loads(row["batches"])
    return found


def arrived_in_words(row: Mapping[str, Any]) -> Iterator[str]:
    """The same, each batch with how many rows it had and how many of them were late."""
    for batch in arrived_of(row):
        late = f", {batch['late']:,} late" if batch["late"] else ""
        yield f"{batch['stream']}: batch {batch['batch']!r}, {batch['accepted']:,} rows{late}"


def _about(lake: Lake) -> Run:
    """What a repair has compared, and where that is kept."""
    return Run(tables_of(lake, [VECTORS, "training_sets"]), tables_of(lake, ["touched"]))


def _first_left(lake: Lake, version: int) -> int:
    """A version of the vectors; if files of it are gone, the next one that can be read whole."""
    newest = lake.version(VECTORS)
    named = _paths(lake, newest)
    for one in range(version, newest):
        if not missing(lake.uri(VECTORS), sorted(_paths(lake, one) - named)):
            return one
    return newest


def _paths(lake: Lake, version: int) -> set[str]:
    found = lake.open(VECTORS, version)
    return {file.path for file in files(found)} if found else set()


def _of_model(lake: Lake, one: Model) -> dict[str, object]:
    trained = one.trained
    return {
        "model": trained.model,
        "version": trained.version,
        "segment": trained.segment,
        "first": trained.first,
        "until": trained.until,
        "vectors": trained.vectors,
        "before": trained.vectors_version,
        "after": lake.version(trained.vectors),
        "batches": "[]",
        **_counts(one.moved),
    }


def _models(lake: Lake, least: int) -> list[Model]:
    found = []
    for one in training_sets(lake).values():
        newest = lake.version(one.vectors)
        span = Span(max(one.first, least), one.until, one.segment)
        # a model that nothing can serve any more has no vectors kept for it
        with suppress(FileNotFoundError):
            found.append(Model(one, moved(lake, one.vectors, one.vectors_version, newest, span)))
    return [one for one in found if one.moved.vectors]


def _counts(found: Moved) -> dict[str, object]:
    return {**{name: getattr(found, name) for name in COUNTS}, "columns": found.as_json()}


def _arrived(lake: Lake, before: int, after: int) -> Iterator[dict[str, object]]:
    """The batches that one version of the vectors knows and the other did not."""
    bases = [named_in(lake, VECTORS, version) for version in (before, after)]
    if bases[0] is None or bases[1] is None:
        return
    old = batches(lake, bases[0]["base"])
    for row in published_batches(lake, bases[1]["base"]):
        if (row["stream"], row["batch"]) not in old:
            yield {name: row[name] for name in ("stream", "batch", "accepted", "late")}


def _newest_event(lake: Lake, version: int) -> int:
    found = lake.open(VECTORS, version)
    ends = [last for _, _, last in spans(found, "event_time")] if found else []
    return max((last for last in ends if last is not None), default=_EVER.first)
