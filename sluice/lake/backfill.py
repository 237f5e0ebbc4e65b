"""The steps of a backfill: published history to the vector of every event and the tiles of every entity.

Events are dealt by their own id, then told events by the event they are about (so that labels meet their events), then
rows by entity, then values by event again:

    deal        files of silver       → versions by id
    relate      told versions by id   → all versions of a teller with every event that it ever told about
    count       versions by event     → rows and requests of every view by entity; the scored events with their label
    compute     rows by entity        → values by event; tiles
    assemble    values by event       → vectors

Each step is a task that runs on any worker, reads and writes with Arrow, and may be tried again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs

from sluice.declare.functions import Windowed
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import ALL, Pipeline, hash_of
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.batch import Column, compute
from sluice.engine.build import build
from sluice.engine.encode import OWN_COLUMNS, Ints, encode, integers, invalid, row_hashes
from sluice.engine.facts import encoded_schema
from sluice.engine.history import empty_rows, id_codes, keep, rows, settled
from sluice.engine.labels import label_at
from sluice.engine.order import by_key
from sluice.engine.vectors import as_table, complete, requests_of
from sluice.lake.asof import load
from sluice.lake.contract import silver_schema
from sluice.lake.files import hand_over, handed_over, write_parquet
from sluice.lake.tables import Lake
from sluice.version import code_version


@dataclass(frozen=True)
class Plan:
    """What every task of a backfill needs to know; small, and sent to the workers."""

    pipeline: str
    """A registered name or the path of a .py file, which every worker can read."""
    lake: str
    base: int
    """The version of the table `batches` whose published batches are history."""
    at: int
    """Event clock in microseconds: labels are those known by then."""
    parts: int = 4
    asof: tuple[tuple[str, int], ...] = ()
    """The version of each as-of table, so that every task and every further try looks up the same."""
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """A name of its own, so that no run meets the files of another that was killed."""

    def declared(self) -> Pipeline:
        """The pipeline, loaded where it is needed."""
        return load_pipeline(self.pipeline)

    def tables(self) -> Lake:
        """The pipeline's tables."""
        return Lake(self.lake, self.declared().name)

    @property
    def name(self) -> str:
        """What decides the result; a backfill of the same name has nothing to add."""
        pipeline = self.declared()
        meaning = {"features": pipeline.definition, "label": pipeline.label.describe(), "by": pipeline.segment_by}
        meaning |= {"tables": dict(self.asof)} if self.asof else {}
        return f"backfill:{self.at}:{self.base}:{hash_of(meaning)}:{code_version()}"

    @property
    def folder(self) -> str:
        """The folder of this run below each table that it writes."""
        return f"backfill-{self.run}"

    def work(self, *names: object) -> str:
        """A place for what tasks hand to each other."""
        return self.tables().uri("/".join(map(str, ("work", self.folder, *names))))


@dataclass(frozen=True)
class Source:
    """One file of silver: its path below its table, and the batches of it that are history."""

    number: int
    stream: str
    table: str
    path: str
    batches: tuple[str, ...]


def sources(plan: Plan) -> tuple[list[Source], int]:
    """The files of history, and how many rows were accepted into them; none for a stream without published batches."""
    lake, pipeline = plan.tables(), plan.declared()
    published = lake.read("batches", version=plan.base).to_pylist() if plan.base >= 0 else []
    found: list[Source] = []
    for stream in pipeline.streams:
        batches = tuple(row["batch"] for row in published if row["stream"] == stream.name)
        silver = lake.open(f"silver/{stream.name}") if batches else None
        if silver is not None:
            files = silver.to_pyarrow_dataset(filesystem=_below(silver.table_uri)).get_fragments()
            mine = [(stream.name, silver.table_uri, file.path, batches) for file in files]
            found += [Source(len(found) + index, *one) for index, one in enumerate(mine)]
    return found, sum(row["accepted"] for row in published)


def deal(plan: Plan, source: Source) -> None:
    """Encode the published rows of one file of silver and deal them by id."""
    stream = plan.declared().stream(source.stream)
    published = ds.field("_batch").isin(list(source.batches))
    file = ds.ParquetFileFormat().make_fragment(source.path, _below(source.table))
    # a column that was declared after the file was written is null in it
    needed = [*OWN_COLUMNS, *stream.columns]
    table = pa.table(file.to_table(schema=silver_schema(stream), columns=needed, filter=published))
    encoded = encode(table, stream)
    _deal(plan, encoded, encoded.column("_id"), ("facts", stream.name), source.number)


def relate(plan: Plan, place: tuple[str, int]) -> None:
    """Bring every version of each teller of one part to every event that any version of it tells about."""
    stream, part = plan.declared().stream(place[0]), place[1]
    if stream.parent is None:
        raise AssertionError(f"{stream} tells about nothing")
    told = _facts(plan, "facts", stream, part)
    tellers, about = id_codes(told.column("_id")), _parts(told.column(stream.parent[0]), plan.parts)
    parented = ~invalid(_one(told.column(stream.parent[0])))
    for target in range(plan.parts):
        mine = np.isin(tellers, tellers[(about == target) & parented])
        _write(plan, told.filter(pa.array(mine)), "told", stream.name, target, part)


def count(plan: Plan, part: int) -> None:
    """The rows and requests of every view from the versions of some events, dealt by entity; the scored events."""
    pipeline = plan.declared()
    by_id = {stream.name: _facts(plan, "facts", stream, part) for stream in pipeline.streams}
    about = {stream.name: _facts(plan, "told", stream, part) for stream in pipeline.streams if stream.parent}
    scored = settled(by_id[pipeline.events.name])
    for view in pipeline.windows:
        # a view with a key of its own counts each event where it was dealt to; the others where their parent was
        related = view.label is not None or view.inherits_key
        counted = rows(view, {**by_id, **about} if related else by_id, kept=keep(pipeline))
        asked = requests_of(view, scored)
        _deal(plan, counted, counted.column("key"), ("rows", view.name), part)
        _deal(plan, asked, asked.column("key"), ("requests", view.name), part)
    ids, times = scored.column("_id").combine_chunks(), integers(scored.column("_time"))[0]
    label, known = label_at(pipeline.label, about, ids, times, plan.at)
    labelled = scored.append_column("_label", pa.array(label.astype(np.int8), mask=~known))
    _write(plan, labelled, "scored", part, 0)


def compute_part(plan: Plan, place: tuple[str, int]) -> None:
    """The values of one view for some entities, dealt by event, and the entities' tiles."""
    view, part = plan.declared().view(place[0]), place[1]
    counted = handed_over(plan.work("rows", view.name, part)) or empty_rows(view)
    built = build(view, counted, since=plan.at - view.horizon)
    write_parquet(plan.tables().uri(f"tiles/{view.name}/{plan.folder}/{part:05}.parquet"), [built], built.schema)
    asked = handed_over(plan.work("requests", view.name, part))
    if asked is not None:
        found = compute(view, counted, asked)
        columns = {name: pa.array(values, mask=~valid) for name, (values, valid) in found.items()}
        values = pa.table({"_id": asked.column("id"), **columns})
        _deal(plan, values, values.column("_id"), ("values", view.name), part)


def assemble(plan: Plan, part: int) -> None:
    """The vectors of some events: every view's values beside the request's own features."""
    pipeline = plan.declared()
    scored = handed_over(plan.work("scored", part)) or _unscored(pipeline)
    windowed: dict[str, Column] = {}
    for view in pipeline.windows:
        windowed |= _aligned(scored, handed_over(plan.work("values", view.name, part)), view)
    lookups = load(plan.tables(), pipeline, dict(plan.asof))
    table = _described(pipeline, scored, as_table(pipeline, complete(pipeline, scored, windowed, lookups)))
    write_parquet(plan.tables().uri(f"vectors/{plan.folder}/{part:05}.parquet"), [table], table.schema)


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


def _aligned(scored: pa.Table, values: pa.Table | None, view: Windows) -> dict[str, Column]:
    """A view's values in the order of the events."""
    if values is None:
        nothing = {feature.name: pa.array([], _kind(view, feature)) for feature in view.functions}
        values = pa.table({"_id": scored.column("_id"), **nothing})
    taken = values.take(pc.index_in(scored.column("_id").combine_chunks(), value_set=_one(values.column("_id"))))
    result: dict[str, Column] = {}
    for feature in view.functions:
        column = _one(taken.column(feature.name)).cast(_kind(view, feature))
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        result[f"{view.name}__{feature.name}"] = (numbers, ~invalid(column))
    return result


def _kind(view: Windows, feature: Windowed) -> pa.DataType:
    return pa.float64() if view.category(feature) is None else pa.int64()


def _facts(plan: Plan, kind: str, stream: Stream, part: int) -> pa.Table:
    return handed_over(plan.work(kind, stream.name, part)) or encoded_schema(stream).empty_table()


def _deal(plan: Plan, table: pa.Table, by: pa.ChunkedArray, kind: tuple[str, str], number: int) -> None:
    if plan.parts == 1:
        _write(plan, table, *kind, 0, number)
        return
    part = _parts(by, plan.parts)
    dealt = table.take(pa.array(by_key(part, plan.parts)))
    ends = np.cumsum(np.bincount(part, minlength=plan.parts))
    for index, (begin, end) in enumerate(pairwise([0, *ends.tolist()])):
        _write(plan, dealt.slice(begin, end - begin), *kind, index, number)


def _parts(column: pa.ChunkedArray, parts: int) -> Ints:
    """Which part each value belongs to; null to the one that its hash gives."""
    hashes = row_hashes([_one(column)]).view(np.uint64)
    return np.asarray(hashes % np.uint64(parts), np.int64)


def _write(plan: Plan, table: pa.Table, *names: object) -> None:
    if len(table):
        hand_over(f"{plan.work(*names)}.arrow", table)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()


def _below(table: str) -> pyarrow.fs.FileSystem:
    filesystem, path = pyarrow.fs.FileSystem.from_uri(table)
    return pyarrow.fs.SubTreeFileSystem(path, filesystem)
