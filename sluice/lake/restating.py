"""Restating: a file that is the whole truth about some days becomes new versions of what history holds of them.

An event whose content is another gets the next revision, one that the file no longer has is deleted, and one that is as
it was stays the version that it is. Nothing is overwritten: what stood before stays in bronze and in silver, below a
higher revision. An event that only a refused row names keeps what it was.

All of it is decided when the files land, against the history that readers see then, and is in bronze like any row: an
audit next year finds the same versions. When history has moved on before the batch is judged, a gate stops it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.clock import rfc3339
from sluice.declare.pipeline import hash_of
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.facts import id_type
from sluice.engine.versions import DELETE, PUT, latest
from sluice.errors import DataError
from sluice.lake.contract import BRONZE, Checked, check, silver_schema
from sluice.lake.days import Days
from sluice.lake.delivery import Delivery
from sluice.lake.files import write_parquet
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.landing import Part, land, told_in
from sluice.lake.tables import Lake
from sluice.lake.typing import id_of, type_column
from sluice.lake.versions import ARRIVAL, IDENTITY
from sluice.lake.within import around, between

RESTATED = "restated:"
"""What the source of a restated row begins with; the days follow, and what tells this restatement from others."""
_GONE = ":gone"
_NAMED = 3


@dataclass(frozen=True)
class Restated:
    """What a batch says anew of some days, as rows of bronze."""

    days: str
    as_before: int
    """Rows that are as they were, or refused."""
    replaced: int
    added: int
    gone: int
    """Events that the files no longer have."""
    current: bool
    """Whether history is still the one that it was decided against, and columns are called as they were then."""


def source_of(delivery: Delivery, source: str) -> str:
    """The name of a restated file as a source: the same file may restate the same days again, as another batch."""
    told = hash_of({"batch": delivery.batch, "source": source, "names": _names(delivery)})
    return f"{RESTATED}{delivery.restates}:{told[:16]}"


def history_of(delivery: Delivery, stream: str, turn: int) -> str:
    """The marker in bronze of the history against which a batch was decided: the stream's turn, and columns' names."""
    return f"history:{stream}:{delivery.batch}:{turn}:{hash_of(_names(delivery))}"


def land_restated(delivery: Delivery, stream: str, folder: str, numbered: tuple[int, Part]) -> None:
    """Write the raw events of one part with their revisions, and leave the ids that it names for `land_gone`."""
    number, part = numbered
    pipeline, lake, contract = delivery.declared(), delivery.tables(), delivery.contract(stream)
    kind, named, within = id_type(contract), list[pa.Array](), _within(delivery, stream)

    def revised() -> Iterator[pa.Table]:
        landed = land(pipeline, pipeline.stream(stream), part, batch=delivery.batch, renamed=delivery.renamed)
        for rows in (delivery.forgotten.erased(contract, rows) for rows in landed):
            checked = check(contract, rows, batch=delivery.batch)
            _refuse_others(delivery, within, checked, part)
            named.append(_ids(contract, checked, kind))
            yield _revised(lake, contract, rows, checked.accepted, delivery.at)

    write_parquet(lake.uri(f"events/{stream}/{folder}/part-{number:05}.parquet"), revised(), BRONZE)
    hand_over(lake.uri(f"work/{folder}/{number:05}.arrow"), pa.table({"_id": pa.chunked_array(named, kind)}))


def land_gone(delivery: Delivery, stream: str, folder: str, source: str) -> None:
    """Write a delete of every event of the restated days that no part names, in the order of ids."""
    lake, contract = delivery.tables(), delivery.contract(stream)
    named = handed_over(lake.uri(f"work/{folder}"))
    if named is None:
        raise AssertionError("no part was landed")
    gone = _missing(lake, contract, _within(delivery, stream), named.column("_id"))
    if not len(gone):
        return
    payload = [*contract.id_columns, contract.time]
    rows = pa.table(
        {
            "payload": [
                orjson.dumps({contract.source(name): value for name, value in row.items()})
                for row in gone.select(payload).to_pylist()
            ],
            "source": [source + _GONE] * len(gone),
            "partition": [0] * len(gone),
            "position": range(len(gone)),
            "known": np.maximum(integers(gone.column("_known"))[0], delivery.at),
            "revision": pc.add(gone.column("_revision"), 1),
            "op": [DELETE] * len(gone),
            "batch": [delivery.batch] * len(gone),
        },
        schema=BRONZE,
    )
    write_parquet(lake.uri(f"events/{stream}/{folder}/gone.parquet"), [rows], BRONZE)


def restated(lake: Lake, stream: str, sources: Sequence[str], history: str) -> Restated | None:
    """What a batch says anew, as its sources lie in bronze; None for one that restates nothing."""
    mine = [source for source in sources if source.startswith(RESTATED)]
    if not mine:
        return None
    held, where = lake.open(f"events/{stream}"), ds.field("source").isin(mine)
    rows = lake.read(f"events/{stream}", columns=["source", "revision", "known"], where=where)
    gone = np.array([source.endswith(_GONE) for source in rows.column("source").to_pylist()], bool)
    revision, told = integers(rows.column("revision"))[0], integers(rows.column("known"))[1]
    replaced = int((told & (revision > 0) & ~gone).sum())
    return Restated(
        days=mine[0].split(":")[1],
        as_before=int((~told).sum()),
        replaced=replaced,
        added=int((told & ~gone).sum()) - replaced,
        gone=int(gone.sum()),
        current=held is not None and held.transaction_version(history) is not None,
    )


def _names(delivery: Delivery) -> dict[str, dict[str, str]]:
    return {stream: dict(names) for stream, names in delivery.renamed.items()}


def _within(delivery: Delivery, stream: str) -> Days:
    """The restated days in a stream's own time: a label inside the row is dated when it will be known."""
    pipeline = delivery.declared()
    if delivery.restates is None:
        raise AssertionError("the delivery restates nothing")
    ahead = int(pipeline.label.known_after) if told_in(pipeline, pipeline.stream(stream)) is not None else 0
    return replace(delivery.restates, first=delivery.restates.first + ahead, until=delivery.restates.until + ahead)


def _refuse_others(delivery: Delivery, within: Days, checked: Checked, part: Part) -> None:
    """DataError for rows of other days: the file says that it is about these."""
    times, positions = (integers(checked.accepted.column(name))[0] for name in ("_time", "_position"))
    outside = (times < within.first) | (times >= within.until)
    if outside.any():
        told = [f"row {positions[at]} is of {rfc3339(int(times[at]))}" for at in np.flatnonzero(outside)[:_NAMED]]
        raise DataError(
            f"{int(outside.sum()):,} rows of {part.stream} are not of {delivery.restates}: {', '.join(told)}",
            where=part.path,
            next_step="name every day that the file is the whole truth about: --restates FIRST..LAST",
        )


def _ids(contract: Stream, checked: Checked, kind: pa.DataType) -> pa.Array:
    """The ids that rows name, refused or not, as far as they can be read."""
    typed = {
        name: type_column(contract, name, [row.get(contract.source(name)) for row in checked.parsed])
        for name in contract.id_columns
    }
    none = np.zeros(len(checked.parsed), np.int64)
    return pc.drop_null(id_of(contract, typed, none, none).cast(kind))


def _revised(lake: Lake, contract: Stream, rows: pa.Table, accepted: pa.Table, at: int) -> pa.Table:
    """Bronze rows with the revision that makes each the newest version of its event, known since the delivery."""
    if not len(accepted):
        return rows
    ids = accepted.column("_id").combine_chunks()
    standing = _latest(lake, contract, pc.unique(ids))
    place, enters = integers(pc.index_in(rows.column("position"), value_set=accepted.column("_position")))
    revision, changed = _decided(accepted, standing)
    every, told = integers(rows.column("revision"))
    decided = pa.array(np.where(enters, revision[place], every).astype(np.int32), mask=~(enters | told))
    # nobody knows it before the delivery, nor before the rule of its stream says so
    since = np.maximum(integers(accepted.column("_known"))[0], at)
    known = pa.array(since[place], mask=~(enters & changed[place]))
    for name, values in (("revision", decided), ("known", known)):
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), values)
    return rows


def _decided(accepted: pa.Table, standing: pa.Table) -> tuple[Ints, Mask]:
    """The revision of each row, and whether it says something else than what stands."""
    found, stands = integers(pc.index_in(accepted.column("_id"), value_set=standing.column("_id")))
    other = standing.take(pa.array(np.where(stands, found, 0))) if len(standing) else accepted
    (top, digest, done), (own, mine, asked) = (
        [integers(side.column(name))[0] for name in ("_revision", "_hash", "_op")] for side in (other, accepted)
    )
    same = stands & (digest == mine) & (done == asked)
    return np.where(same, top, np.where(stands, np.maximum(own, top + 1), own)), ~same


def _missing(lake: Lake, contract: Stream, within: Days, named: pa.ChunkedArray) -> pa.Table:
    """The events that stand in these days and that nobody names, in the order of their ids."""
    inside = between(_time=(within.first, within.until - 1))
    if lake.open(f"silver/{contract.name}") is None:
        return _latest(lake, contract, pa.array([], id_type(contract)))
    ids = lake.read(f"silver/{contract.name}", columns=["_id"], within=inside).column("_id")
    asked = pc.unique(ids.filter(pc.invert(pc.is_in(ids, value_set=named))))
    found = _latest(lake, contract, asked)
    time, stands = integers(found.column("_time"))[0], integers(found.column("_op"))[0] == PUT
    # a version of these days may have been replaced by one of another
    gone = found.filter(pa.array(stands & (within.first <= time) & (time < within.until)))
    return gone.sort_by("_id")


def _latest(lake: Lake, contract: Stream, ids: pa.Array) -> pa.Table:
    """The version that decides of each of some events."""
    table, schema = f"silver/{contract.name}", silver_schema(contract)
    columns = list(dict.fromkeys([*contract.id_columns, contract.time, "_time", *IDENTITY, *ARRIVAL]))
    if lake.open(table) is None:
        return pa.schema([schema.field(name) for name in columns]).empty_table()
    return latest(lake.read(table, columns=columns, where=ds.field("_id").isin(ids), within=around("_id", ids)))
