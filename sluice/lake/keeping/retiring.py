"""The old events of a stream go: from bronze to silver, each with all its versions and copies, and nothing else.

An event is old when every version of it happened before a moment; what tells about another event stays as long as that
one does. A refused row, and one of a batch that was never repaired, is as old as the last time it was judged.

Which rows go is written down first, then announced in one commit: from there on it happens, whatever dies.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.streams import Stream
from sluice.engine.encode import Mask
from sluice.errors import Outage
from sluice.lake.accounts import of_batches
from sluice.lake.bronze import archived_since
from sluice.lake.contract import BRONZE, check, silver_schema
from sluice.lake.files import remove
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.keeping.holds import Held
from sluice.lake.keeping.retired import RETIRED, RETIREMENTS, totals, unfinished
from sluice.lake.keeping.rewriting import At, Older, Share, drop, is_in, share
from sluice.lake.published import ids_of
from sluice.lake.replays import unfinished as replays_left
from sluice.lake.schemas import kept_for
from sluice.lake.tables import Lake

_PLACE = ["source", "partition", "position"]
_VERSION = ["_id", "_revision", "_hash", "_op"]
_OWN = [*_VERSION, "_time", *(f"_{name}" for name in _PLACE)]
_FOLDER = "retiring"
TABLES = {"events": "", "quarantine": "", "held": "", "conflicts": "_", "late": "_", "silver": "_"}
"""The tables of a stream that have a row for each place, silver last, and what the names of a place begin with."""


@dataclass(frozen=True)
class Old:
    """What is to go of a stream: the places of its rows in bronze, and how many of them are told as duplicates."""

    stream: str
    before: int
    places: pa.Table
    duplicates: int
    turn: int | None
    """How often something was announced of the stream before this was looked for."""

    def which(self, table: str) -> At:
        """The rows of one of its tables."""
        return At(self.places, TABLES[table])


def old(lake: Lake, stream: Stream, at: int, held: Held) -> Old:
    """Find what of a stream is older at a moment than its retention, and not held."""
    if stream.retention is None:
        raise AssertionError(f"{stream} is kept for ever")
    before, turn = at - int(stream.retention), lake.reached_by("retirements", _turn(stream.name))
    events = _events(lake, stream, held)
    going = _old_ids(lake, stream, events, at, held)
    mine = events.filter(pc.is_in(events.column("_id"), value_set=going))
    versions = mine.group_by(_VERSION).aggregate([]) if len(mine) else mine
    places = _places(mine, "_")
    copies = _copies(lake, stream, events, going)
    duplicates = len(places) + len(copies) - len(versions)
    # what a refused row is about nobody can tell: while an entity is held, all of them stay
    refused = [] if held.entities() else [_refused(lake, stream.name, before), _stopped(lake, stream.name, before)]
    return Old(stream.name, before, pa.concat_tables([places, copies, *refused]), duplicates, turn)


def of_table(lake: Lake, found: Old) -> Mapping[str, Share]:
    """What goes of each table of the stream, with nothing changed."""
    shares = {f"{name}/{found.stream}": share(lake, f"{name}/{found.stream}", found.which(name)) for name in TABLES}
    return {**shares, **{table: share(lake, table, which) for table, which in _beside(found)}}


def retire(lake: Lake, found: Old, at: int) -> Mapping[str, Share]:
    """Announce what goes, and do it; nothing for nothing.

    Outage, and nothing announced, when another process keeps the same stream: rows would be told twice.
    """
    if not len(found.places):
        return {}
    if unfinished(lake, found.stream):
        raise Outage(
            "another process is taking old events out, or has died while it did",
            where=lake.uri(found.stream),
            next_step="let one process keep a lake, and run it again",
        )
    name = uuid.uuid4().hex
    hand_over(f"{_folder(lake, name)}/places.arrow", found.places)
    row = {
        "retirement": name,
        "stream": found.stream,
        "before": found.before,
        "at": at,
        "rows": len(found.places),
        "duplicates": found.duplicates,
    }
    announced = pa.Table.from_pylist([row], schema=RETIREMENTS)
    lake.append_moving("retirements", announced, _turn(found.stream), found.turn, (found.turn or 0) + 1)
    return _do(lake, row)


def finish(lake: Lake, stream: str) -> list[Mapping[str, Share]]:
    """Do what was announced of a stream and is not done, as it was announced."""
    return [_do(lake, row) for row in unfinished(lake, stream)]


def _do(lake: Lake, row: Mapping[str, Any]) -> Mapping[str, Share]:
    name, stream = row["retirement"], row["stream"]
    places = handed_over(_folder(lake, name))
    if places is None:
        raise AssertionError(f"what retirement {name} is of has been removed")
    found = Old(stream, row["before"], places, row["duplicates"], None)
    shares = {f"{table}/{stream}": drop(lake, f"{table}/{stream}", found.which(table)) for table in TABLES}
    shares |= {table: drop(lake, table, which) for table, which in _beside(found)}
    extents = places.group_by(["source", "partition"]).aggregate(
        [("position", "min"), ("position", "max"), ("position", "count")]
    )
    done = [
        {
            "retirement": name,
            "stream": stream,
            "at": row["at"],
            "source": one["source"],
            "partition": one["partition"],
            "first": one["position_min"],
            "last": one["position_max"],
            "rows": one["position_count"],
        }
        for one in extents.to_pylist()
    ]
    lake.append_rows("retired", done, RETIRED, once=f"retired:{name}")
    remove(_folder(lake, name))
    return shares


def _beside(found: Old) -> Iterator[tuple[str, At | Older]]:
    """What else there is of a stream: what its days were like, and refused rows that a person took up."""
    yield f"baselines/{found.stream}", Older("day", found.before, {})
    yield "replays", At(found.places, stream=found.stream)


def _turn(stream: str) -> str:
    return f"retire:{stream}"


def _folder(lake: Lake, name: str) -> str:
    return lake.uri(f"{_FOLDER}/{name}")


def _events(lake: Lake, stream: Stream, held: Held) -> pa.Table:
    """Every published version of every event, by what it is and where it is from."""
    keys = [key for key in held.entities() if key in stream.columns]
    columns = [*_OWN, *keys, *([stream.parent[0]] if stream.parent else [])]
    if lake.open(f"silver/{stream.name}") is None:
        return silver_schema(stream).empty_table().select(columns)
    return lake.read(f"silver/{stream.name}", columns=columns).combine_chunks()


def _old_ids(lake: Lake, stream: Stream, events: pa.Table, at: int, held: Held) -> pa.Array:
    """The ids of events of which every version is old, none is held, and none tells about an event that stays."""
    newest = events.group_by("_id").aggregate([("_time", "max")])
    if stream.retention is None or held.stream(stream.name) is not None:
        return newest.column("_id").combine_chunks().slice(0, 0)
    is_old = pc.less(newest.column("_time_max"), at - int(stream.retention))
    stays = _is_held(events, held)
    if stream.parent:
        name, parent = stream.parent
        about = _events(lake, parent, held)
        going = _old_ids(lake, parent, about, at, held)
        standing = ids_of(about).filter(pc.invert(pc.is_in(ids_of(about), value_set=going)))
        stays |= is_in(events.column(name), standing)
    staying = ids_of(events).filter(pa.array(stays))
    found = newest.filter(is_old).column("_id").combine_chunks()
    return found.filter(pc.invert(pc.is_in(found, value_set=staying)))


def _is_held(events: pa.Table, held: Held) -> Mask:
    """Which versions name an entity that is held."""
    mine = np.zeros(len(events), bool)
    for key, values in held.entities().items():
        if key in events.column_names:
            mine |= is_in(events.column(key), pa.array(values))
    return mine


def _copies(lake: Lake, stream: Stream, events: pa.Table, going: pa.Array) -> pa.Table:
    """The places of rows in bronze that are copies of versions which go, and so in no other table."""
    batches = {batch["batch"]: batch for batch in lake.published(stream.name)}
    found = [pa.schema([BRONZE.field(name) for name in _PLACE]).empty_table()]
    if not len(going) or sum(batch["duplicates"] for batch in batches.values()) == totals(lake, stream.name).duplicates:
        return found[0]
    known = [At(_places(events, "_")), At(_refused_rows(lake, stream.name, None))]
    judged = ~archived_since(lake.reached(stream.name)).rows & of_batches({"", *batches})
    schemas = kept_for(lake, stream)
    for chunk in lake.scan(f"events/{stream.name}", columns=BRONZE.names, where=judged):
        rows = pa.table(chunk)
        rows = rows.filter(pa.array(~(known[0].mask(rows) | known[1].mask(rows))))
        for name in pc.unique(rows.column("batch")).to_pylist():
            renamed = json.loads(batches[name]["renamed"]) if name else {}
            contract = replace(stream, sources={**stream.sources, **renamed})
            mine = rows.filter(pc.equal(rows.column("batch"), name))
            accepted = check(contract, mine, batch="", schemas=schemas).accepted
            found.append(_places(accepted.filter(pc.is_in(accepted.column("_id"), value_set=going)), "_"))
    return pa.concat_tables(found)


def _refused(lake: Lake, stream: str, before: int) -> pa.Table:
    """The places of refused rows of batches judged before a moment, but for those that a replay is bringing back."""
    batches = {batch["batch"] for batch in lake.published(stream) if batch["at"] < before}
    places = _refused_rows(lake, stream, ds.field("_batch").isin(pa.array(sorted(batches), pa.string())))
    claimed = [row for replay in replays_left(lake) if replay.stream == stream for row in replay.rows]
    taken = pa.Table.from_pylist([{name: row[name] for name in _PLACE} for row in claimed], schema=places.schema)
    return places.filter(pa.array(~At(taken).mask(places)))


def _refused_rows(lake: Lake, stream: str, where: ds.Expression | None) -> pa.Table:
    if lake.open(f"quarantine/{stream}") is None:
        return pa.schema([BRONZE.field(name) for name in _PLACE]).empty_table()
    return _places(lake.read(f"quarantine/{stream}", columns=_PLACE, where=where), "")


def _stopped(lake: Lake, stream: str, before: int) -> pa.Table:
    """The places of rows of batches that were stopped, and that nobody has looked at since a moment."""
    last: dict[str, int] = {}
    for row in lake.rows("verdicts", where=ds.field("stream") == stream):
        last[row["batch"]] = max(row["at"], last.get(row["batch"], row["at"]))
    known = {batch["batch"] for batch in lake.published(stream)}
    known |= {row["batch"] for row in lake.rows("publications", where=ds.field("stream") == stream)}
    names = {batch for batch, at in last.items() if at < before and batch not in known}
    if lake.open(f"events/{stream}") is None:
        return pa.schema([BRONZE.field(name) for name in _PLACE]).empty_table()
    return _places(lake.read(f"events/{stream}", columns=_PLACE, where=of_batches(names)), "")


def _places(rows: pa.Table, prefix: str) -> pa.Table:
    """The places of some rows."""
    own = {name: rows.column(f"{prefix}{name}").cast(BRONZE.field(name).type) for name in _PLACE}
    return pa.table(own, schema=pa.schema([BRONZE.field(name) for name in _PLACE]))
