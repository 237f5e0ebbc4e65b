"""What a lake has of what is forgotten: by stream, the places of its rows in bronze, and the events that they tell."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.encode import Mask, encode
from sluice.engine.facts import encoded_schema
from sluice.engine.versions import parent_of
from sluice.lake.accounts import of_batches
from sluice.lake.bronze import archived_since
from sluice.lake.contract import BRONZE, PRESENT, check, format_of, silver_schema
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.keeping.rewriting import At
from sluice.lake.published import ids_of
from sluice.lake.schemas import kept_for
from sluice.lake.tables import Lake

PLACE = ["source", "partition", "position"]
_PLACES = pa.schema([BRONZE.field(name) for name in PLACE])
_VERSION = ["_id", "_revision", "_hash", "_op"]
_PARTS = ("places", "events", "about")
_COUNTS = "duplicates"


@dataclass(frozen=True)
class Found:
    """What a stream has of what is forgotten."""

    stream: str
    places: pa.Table
    """Of raw events."""
    events: pa.Table
    """The versions that go, encoded."""
    about: pa.Table
    """Those that stay of events that something which goes had told about."""
    duplicates: int
    """How many of the rows are told as such."""

    @property
    def ids(self) -> pa.Array:
        """Of the events."""
        return pc.unique(ids_of(self.events))

    def leave(self, folder: str) -> None:
        """Write it down beside what was before, for those who go on with it."""
        part = uuid.uuid4().hex
        for name in _PARTS:
            hand_over(f"{folder}/{name}/{self.stream}/{part}.arrow", getattr(self, name))
        hand_over(f"{folder}/{_COUNTS}/{self.stream}/{part}.arrow", pa.table({_COUNTS: [self.duplicates]}))

    def and_(self, more: Found) -> Found:
        """With what was found later."""
        both = {name: pa.concat_tables([getattr(self, name), getattr(more, name)]) for name in _PARTS}
        return Found(self.stream, **both, duplicates=self.duplicates + more.duplicates)


@dataclass(frozen=True)
class _Versions:
    """Every version of every event that a lake has of a stream, and the raw rows that are none."""

    typed: pa.Table
    """As in silver: those of history first, then those that are in bronze alone."""
    history: int
    """How many of them are in history."""
    judged: int
    """How many of those in bronze alone were judged, which are copies: they come first."""
    named: pa.Table
    """The places of rows that the contract refuses, and that name what is forgotten."""

    def part(self, gone: Mask) -> tuple[pa.Table, int]:
        """Those that go, and how many of them are told as duplicates."""
        mine = self.typed.filter(pa.array(gone))
        own = self.typed.slice(0, self.history).filter(pa.array(gone[: self.history]))
        copies = int(gone[self.history : self.history + self.judged].sum())
        versions = own.group_by(_VERSION).aggregate([]) if len(own) else own
        return mine, len(own) + copies - len(versions)


def left(pipeline: Pipeline, folder: str) -> dict[str, Found]:
    """What was written down."""
    found = {}
    for stream in pipeline.streams:
        parts = {name: handed_over(f"{folder}/{name}/{stream.name}") for name in _PARTS}
        encoded = encoded_schema(stream).empty_table()
        empty = {"places": _PLACES.empty_table(), "events": encoded, "about": encoded}
        given = {name: empty[name] if part is None else part for name, part in parts.items()}
        counts = handed_over(f"{folder}/{_COUNTS}/{stream.name}")
        duplicates = 0 if counts is None else sum(counts.column(_COUNTS).to_pylist())
        found[stream.name] = Found(stream.name, **given, duplicates=duplicates)
    return found


def find(lake: Lake, pipeline: Pipeline, what: Forgotten) -> tuple[dict[str, Found], Forgotten]:
    """What every stream has of what is forgotten; and what is forgotten, now with the events of which all goes."""
    versions = {stream.name: _versions(lake, stream, what) for stream in pipeline.streams}
    gone, what = parted(pipeline, what, {name: one.typed for name, one in versions.items()})
    found = {}
    for stream in pipeline.streams:
        mine, duplicates = versions[stream.name].part(gone[stream.name])
        places = pa.concat_tables([_places(mine), versions[stream.name].named])
        none = encoded_schema(stream).empty_table()
        found[stream.name] = Found(stream.name, places, encode(mine, stream), none, duplicates)
    for stream in pipeline.streams:
        if stream.parent is not None:
            column, parent = stream.parent
            told = pc.unique(found[stream.name].events.column(column).combine_chunks())
            rows = versions[parent.name].typed.filter(pa.array(~gone[parent.name]))
            about = encode(rows.filter(pc.is_in(rows.column("_id"), value_set=told)), parent)
            found[parent.name] = replace(found[parent.name], about=about)
    return {stream.name: found[stream.name] for stream in pipeline.streams}, what


def parted(pipeline: Pipeline, what: Forgotten, versions: Mapping[str, pa.Table]) -> tuple[dict[str, Mask], Forgotten]:
    """Which versions of events go, by stream; and what is forgotten, now with the events of which all goes."""
    gone: dict[str, Mask] = {}
    # what tells about an event goes with it
    for stream in sorted(pipeline.streams, key=_depth):
        rows = versions[stream.name]
        gone[stream.name] = mine = what.whole(stream, rows)
        ids, kept_ids = (pc.unique(rows.column("_id").filter(pa.array(side))) for side in (mine, ~mine))
        what = what.with_events(stream.name, ids.filter(pc.invert(pc.is_in(ids, value_set=kept_ids))))
    return gone, what


def seen(view: Windows, found: Mapping[str, Found]) -> pa.Table:
    """The entities of a view whose rows are made of what goes: `key` and `time`, a row for each."""
    if view.label is None:
        events = found[view.stream.name].events
        return _owned(view, events) if view.of in events.column_names else _of_parents(view, view.stream, found)
    # what is told about an event is in windows at the event's own time
    about = found[view.label.of.name]
    return pa.concat_tables([_owned(view, about.events), _owned(view, about.about)])


def _owned(view: Windows, events: pa.Table) -> pa.Table:
    rows = pa.table({"key": events.column(view.of), "time": events.column("_time")})
    return rows.filter(rows.column("key").is_valid())


def _of_parents(view: Windows, stream: Stream, found: Mapping[str, Found]) -> pa.Table:
    """The entities of the events that some which go had told about, whichever version of these."""
    column, parent = parent_of(stream)
    about = pa.concat_tables([found[parent.name].events, found[parent.name].about])
    keys = pa.table({"parent": ids_of(about), "key": about.column(view.of)}).group_by(["parent", "key"]).aggregate([])
    events = found[stream.name].events
    told = pa.table({"parent": events.column(column), "time": events.column("_time")})
    rows = told.join(keys, "parent", join_type="inner").select(["key", "time"])
    return rows.filter(rows.column("key").is_valid())


def _depth(stream: Stream) -> int:
    return 0 if stream.parent is None else 1 + _depth(stream.parent[1])


def _versions(lake: Lake, stream: Stream, what: Forgotten) -> _Versions:
    history = _history(lake, stream)
    known = At(_places(history))
    batches = {batch["batch"]: batch for batch in lake.published(stream.name)}
    judged = ~archived_since(lake.reached(stream.name)).rows & of_batches({"", *batches})
    schemas = kept_for(lake, stream)
    typed, named, counts = [history], [_PLACES.empty_table()], []
    for where in (judged, ~judged):
        for rows in _unknown(lake, stream, known, where):
            for contract, some in _by_batch(stream, rows, batches):
                checked = check(contract, some, batch="", schemas=schemas)
                typed.append(checked.accepted)
                refused = checked.rejected
                columns = (refused.column(name).to_pylist() for name in ("payload", "source"))
                mine = [
                    what.named_in(contract, payload or b"", format_of(contract, source), schemas)
                    for payload, source in zip(*columns, strict=True)
                ]
                named.append(refused.select(PLACE).filter(pa.array(mine, pa.bool_())))
        counts.append(sum(map(len, typed)))
    return _Versions(pa.concat_tables(typed), len(history), counts[0] - len(history), pa.concat_tables(named))


def _history(lake: Lake, stream: Stream) -> pa.Table:
    """Every published version of every event."""
    schema = silver_schema(stream)
    if lake.open(f"silver/{stream.name}") is None:
        return schema.empty_table()
    rows = lake.read(f"silver/{stream.name}")
    for field in schema:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    return rows.select(schema.names).cast(schema)


def _unknown(lake: Lake, stream: Stream, known: At, where: ds.Expression) -> Iterator[pa.Table]:
    """Raw events that are not in history."""
    for chunk in lake.scan(f"events/{stream.name}", columns=BRONZE.names, where=where & PRESENT):
        rows = pa.table(chunk)
        yield rows.filter(pa.array(~known.mask(rows)))


def _by_batch(
    stream: Stream, rows: pa.Table, batches: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Stream, pa.Table]]:
    """Rows with the contract that they were, or will be, judged by."""
    for name in pc.unique(rows.column("batch")).to_pylist():
        renamed = json.loads(batches[name]["renamed"]) if name in batches and name else {}
        contract = replace(stream, sources={**stream.sources, **renamed})
        yield contract, rows.filter(pc.equal(rows.column("batch"), name))


def _places(rows: pa.Table) -> pa.Table:
    """The places of rows of silver."""
    own = {name: rows.column(f"_{name}").cast(_PLACES.field(name).type) for name in PLACE}
    return pa.table(own, schema=_PLACES)
