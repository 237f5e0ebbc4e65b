"""What history has of what is forgotten: by stream, the places of its rows in bronze, its events, and their copies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.encode import Mask, encode, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.versions import parent_of
from sluice.lake.accounts import of_batches
from sluice.lake.bronze import archived_since
from sluice.lake.contract import BRONZE, PRESENT, silver_schema
from sluice.lake.files import hand_over, handed_over
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.keeping.rewriting import At
from sluice.lake.schemas import kept
from sluice.lake.tables import Lake

PLACE = ["source", "partition", "position"]
_PLACES = pa.schema([BRONZE.field(name) for name in PLACE])
_VERSION = ["_id", "_revision", "_hash", "_op"]


@dataclass(frozen=True)
class Found:
    """What a stream has of what is forgotten."""

    stream: str
    places: pa.Table
    """Of raw events."""
    events: pa.Table
    """The versions in history, encoded."""
    duplicates: int
    """How many of the rows are told as such."""

    @property
    def ids(self) -> pa.Array:
        """Of the events."""
        return pc.unique(self.events.column("_id").combine_chunks())

    def leave(self, folder: str) -> None:
        """Write it down for those who go on with it."""
        hand_over(f"{folder}/places/{self.stream}/0.arrow", self.places)
        hand_over(f"{folder}/events/{self.stream}/0.arrow", self.events)


def left(pipeline: Pipeline, folder: str) -> dict[str, Found]:
    """What was written down."""
    found = {}
    for stream in pipeline.streams:
        parts = [handed_over(f"{folder}/{name}/{stream.name}") for name in ("places", "events")]
        empty = _PLACES.empty_table(), encoded_schema(stream).empty_table()
        places, events = (none if part is None else part for part, none in zip(parts, empty, strict=True))
        found[stream.name] = Found(stream.name, places, events, 0)
    return found


def find(lake: Lake, pipeline: Pipeline, what: Forgotten) -> tuple[dict[str, Found], Forgotten]:
    """What every stream has of what is forgotten; and what is forgotten, now with the events of which all goes."""
    history = {stream.name: _history(lake, stream) for stream in pipeline.streams}
    gone, what = parted(pipeline, what, history)
    found = {}
    for stream in pipeline.streams:
        mine = history[stream.name].filter(pa.array(gone[stream.name]))
        raw, copies = _raw(lake, stream, history[stream.name], what)
        versions = mine.group_by(_VERSION).aggregate([]) if len(mine) else mine
        places = pa.concat_tables([_places(mine), raw])
        found[stream.name] = Found(stream.name, places, encode(mine, stream), len(mine) + copies - len(versions))
    return found, what


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
    """The entities of a view whose rows are made of events that are gone: `key` and `time`, a row for each."""
    stream = view.stream if view.label is None else view.label.of
    events = found[stream.name].events
    if view.of in events.column_names:
        keys = events.column(view.of)
    else:
        column, parent = parent_of(stream)
        about = found[parent.name].events
        at, valid = integers(pc.index_in(events.column(column), value_set=about.column("_id"), skip_nulls=True))
        events = events.filter(pa.array(valid))
        keys = about.column(view.of).take(pa.array(at[valid]))
    rows = pa.table({"key": keys, "time": events.column("_time")})
    return rows.filter(rows.column("key").is_valid())


def _depth(stream: Stream) -> int:
    return 0 if stream.parent is None else 1 + _depth(stream.parent[1])


def _history(lake: Lake, stream: Stream) -> pa.Table:
    """Every published version of every event."""
    schema = silver_schema(stream)
    if lake.open(f"silver/{stream.name}") is None:
        return schema.empty_table()
    rows = lake.read(f"silver/{stream.name}")
    missing = [field for field in schema if field.name not in rows.column_names]
    for field in missing:
        rows = rows.append_column(field, pa.nulls(len(rows), field.type))
    return rows.select(schema.names)


def _raw(lake: Lake, stream: Stream, history: pa.Table, what: Forgotten) -> tuple[pa.Table, int]:
    """The places of raw events that are in no history and forgotten; how many of them are told as copies."""
    known = At(_places(history))
    batches = {batch["batch"]: batch for batch in lake.published(stream.name)}
    judged = ~archived_since(lake.reached(stream.name)) & of_batches({"", *batches})
    schemas = {} if stream.format == "json" else kept(lake)
    found, copies = [_PLACES.empty_table()], 0
    for is_judged, where in ((True, judged), (False, ~judged)):
        for rows in _unknown(lake, stream, known, where):
            for contract, some in _by_batch(stream, rows, batches):
                gone = some.filter(pa.array(what.raw(contract, some, schemas)))
                found.append(gone.select(PLACE))
                copies += len(gone) if is_judged else 0
    refused = _refused(lake, stream.name)
    places = pa.concat_tables(found)
    return places, copies - int(refused.mask(places).sum()) if copies else 0


def _unknown(lake: Lake, stream: Stream, known: At, where: ds.Expression) -> Iterator[pa.Table]:
    for chunk in lake.scan(f"events/{stream.name}", columns=BRONZE.names, where=where & PRESENT):
        rows = pa.table(chunk)
        yield rows.filter(pa.array(~known.mask(rows)))


def _by_batch(
    stream: Stream, rows: pa.Table, batches: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[Stream, pa.Table]]:
    """Rows with the contract that they were, or will be, judged by."""
    for name in pc.unique(rows.column("batch")).to_pylist():
        renamed = json.loads(batches[name]["renamed"]) if name in batches and name else {}
        yield (
            replace(stream, sources={**stream.sources, **renamed}),
            rows.filter(pc.equal(rows.column("batch"), name)),
        )


def _refused(lake: Lake, stream: str) -> At:
    table = f"quarantine/{stream}"
    return At(_PLACES.empty_table() if lake.open(table) is None else lake.read(table, columns=PLACE))


def _places(rows: pa.Table) -> pa.Table:
    """The places of rows of silver."""
    own = {name: rows.column(f"_{name}").cast(_PLACES.field(name).type) for name in PLACE}
    return pa.table(own, schema=_PLACES)
