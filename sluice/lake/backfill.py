"""The steps of a backfill: published history to the vector of every event and the tiles of every entity.

Events are dealt by their own id, then told events by the event they are about (so that labels meet their events), then
rows by entity, then values by day:

    deal        files of silver       → versions by id
    relate      told versions by id   → all versions of a teller with every event that it ever told about
    count       versions by event     → rows and requests of every view by entity; the scored events with their label
    compute     rows by entity        → values by day; tiles; the rows themselves, to go on from (`buckets`)
    assemble    values by day         → vectors

Each step is a task that runs on any worker, reads and writes with Arrow, and may be tried again. A plan for vectors as
they were served takes the same steps, leaves no tiles, and asks about each event as it was told first.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.durations import DAY
from sluice.declare.operate import EVENT_TIME
from sluice.declare.pipeline import ALL, Pipeline
from sluice.engine.arrivals import scored
from sluice.engine.based import NO_BASES
from sluice.engine.batch import Column
from sluice.engine.build import Opened, build
from sluice.engine.encode import OWN_COLUMNS, encode, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.labels import label_at
from sluice.engine.vectors import as_table, complete
from sluice.lake import buckets, dealing, pieces, tiles
from sluice.lake.asof import load
from sluice.lake.contract import silver_schema
from sluice.lake.dealing import ALL_DAYS, days_of
from sluice.lake.files import write_parquet
from sluice.lake.handing import handed_over
from sluice.lake.pieces import Piece
from sluice.lake.plan import Plan, Source
from sluice.lake.ranges import Sheet
from sluice.lake.storage import below

Written = tuple[str, str]
"""A file that was written: its table, and its path below it."""


class Counted(TypedDict):
    """What a task counted: rows of each view in each bucket, and scored events of each day; JSON can hold it."""

    rows: list[list[Any]]
    days: list[tuple[int, int]]


def deal(plan: Plan, source: Source) -> None:
    """Encode the published rows of one file of silver and deal them by id."""
    stream = plan.declared().stream(source.stream)
    published = ds.field("_batch").isin(list(source.batches))
    file = ds.ParquetFileFormat().make_fragment(source.path, below(source.table))
    # a column that was declared after the file was written is null in it
    needed = [*OWN_COLUMNS, *stream.columns]
    table = pa.table(file.to_table(schema=silver_schema(stream), columns=needed, filter=published))
    encoded = encode(table, stream)
    dealing.deal(plan, encoded, encoded.column("_id"), ("facts", stream.name), source.number)


def count(plan: Plan, part: int) -> Counted:
    """The rows and requests of every view from the versions of some events, dealt by entity; the scored events."""
    pipeline = plan.declared()
    by_id, about = dealing.related(plan, part)
    events = plan.asked(scored(by_id[pipeline.events.name], plan.knowledge))
    sizes = dealing.count_views(plan, by_id, about, events, part, plan.knowledge)
    ids, times = events.column("_id").combine_chunks(), integers(events.column("_time"))[0]
    label, known = label_at(pipeline.label, about, ids, times, plan.at)
    labelled = events.append_column("_label", pa.array(label.astype(np.int8), mask=~known))
    days = days_of(labelled.column("_time"))
    dealing.deal(plan, labelled, days, ("scored",), part, order="_time")
    found = pc.value_counts(days)
    return {
        "rows": [[view, bucket, rows] for (view, bucket), rows in sizes.items()],
        "days": list(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)),
    }


def compute_piece(plan: Plan, piece: Piece, *, of: str = ALL_DAYS) -> list[Written]:
    """The values of one view for some entities and times, dealt by day, and in the end the entities' tiles.

    Their rows are those that were counted. `of` names the range of days. Which files of tables were written.
    """
    view, recent = plan.declared().view(piece.view), plan.at - plan.declared().view(piece.view).horizon
    counted, written = _laid(plan, piece, of, recent)
    if piece.is_last and plan.knowledge == EVENT_TIME:
        path = f"{plan.folder}/{piece.part:05}.parquet"
        uri = plan.tables().uri(f"{tiles.tile_table(view)}/{path}")
        tiles.lay(uri, piece.part, tiles.Stamp(0, plan.at), build(view, counted, since=recent))
        written = [*written, (tiles.tile_table(view), path)]
    dealing.deal_values(plan, view, Opened(counted, NO_BASES), pieces.requests(plan, piece), piece.name, of=of)
    return written


def _laid(plan: Plan, piece: Piece, of: str, recent: int) -> tuple[pa.Table, list[Written]]:
    """The counted rows that a piece needs; its own are also laid out for the backfills to come."""
    counted = pieces.counted(plan, piece, since=recent if piece.is_last else None, knowledge=plan.knowledge)
    table = plan.rows(plan.declared().view(piece.view))
    path = f"{plan.folder}/{of}-{piece.name}.parquet"
    buckets.lay(plan.tables().uri(f"{table}/{path}"), piece.part, pieces.own(piece, counted))
    return counted, [(table, path)]


def assemble(plan: Plan, sheet: Sheet, *, of: str = ALL_DAYS) -> list[Written]:
    """The vectors of the events of some days, a file for each: every view's values beside the request's own."""
    pipeline = plan.declared()
    within = partial(handed_over, since=sheet.begin, before=sheet.end)
    scored = within(plan.work("scored", sheet.part), by="_time") or _unscored(pipeline)
    windowed: dict[str, Column] = {}
    for view in pipeline.windows:
        values = within(plan.work("values", of, view.name, sheet.part))
        windowed |= dealing.aligned(scored.column("_id").combine_chunks(), values, view, "_id")
    lookups = load(plan.tables(), pipeline, dict(plan.asof))
    table = _described(pipeline, scored, as_table(pipeline, complete(pipeline, scored, windowed, lookups)))
    days = days_of(table.column("event_time"))
    written = []
    for day in pc.unique(days).to_pylist():
        some = table.filter(pc.equal(days, day))
        hours = "" if sheet.begin is None or sheet.begin <= day * DAY else f"-{sheet.begin - day * DAY}"
        path = f"{plan.folder}/{day:07}{hours}.parquet"
        write_parquet(plan.tables().uri(f"{plan.vectors}/{path}"), [some], some.schema)
        written.append((plan.vectors, path))
    return written


def _unscored(pipeline: Pipeline) -> pa.Table:
    return encoded_schema(pipeline.events).empty_table().append_column("_label", pa.array([], pa.int8()))


def _described(pipeline: Pipeline, scored: pa.Table, vectors: pa.Table) -> pa.Table:
    """Vectors beside who they are about: id, time, keys, segment and the label known at the backfill's moment."""
    head = {
        "event_id": scored.column("_id"),
        "event_time": scored.column("_time"),
        **{key: scored.column(key) for key in pipeline.keys},
        "segment": _segments(pipeline, scored),
        "label": scored.column("_label"),
    }
    return pa.table({**head, **{name: vectors.column(name) for name in vectors.column_names}})


def _segments(pipeline: Pipeline, scored: pa.Table) -> pa.Array:
    if pipeline.segment_by is None:
        return pa.array([ALL] * len(scored), pa.string())
    names = pa.array(pipeline.segments, pa.string())
    return names.take(scored.column(pipeline.segment_by).combine_chunks()).fill_null(ALL)
