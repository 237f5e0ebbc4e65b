"""Refused rows as a person asks for them: what was refused, where it is from, and whether it is back by now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.errors import UserError
from sluice.lake.attempts import last_attempts
from sluice.lake.tables import Lake

WAITING, HELD, SENT, BACK = "waiting", "held", "sent", "back"
"""waiting: for a person; held: its batch is stopped, and is mended as a whole; sent: replayed, and not yet in history;
back: replayed, and judged anew under the place that it has now."""
STATES = (WAITING, HELD, SENT, BACK)

_KEY = ("_batch", "rule", "column", "allowed")


class Place(NamedTuple):
    """Where a row is from: its source, the partition in it, and its position there."""

    source: str
    partition: int
    position: int

    def __str__(self) -> str:
        return f"{self.source}/{self.partition}/{self.position}"


@dataclass(frozen=True)
class Wanted:
    """Which refused rows are meant; None is all of them. `places` are whole ones, or beginnings of their source."""

    batch: str | None = None
    rule: str | None = None
    places: Sequence[str] = ()
    states: Sequence[str] = STATES

    def condition(self) -> ds.Expression | None:
        """As a filter of the tables that hold them."""
        named = {"_batch": self.batch, "rule": self.rule}
        parts = [ds.field(name) == value for name, value in named.items() if value is not None]
        if self.places:
            parts.append(reduce(or_, map(_at, map(place_of, self.places))))
        return reduce(and_, parts) if parts else None


@dataclass(frozen=True)
class Refused:
    """One refused row."""

    stream: str
    place: Place
    batch: str
    run: str | None
    rule: str
    column: str
    value: str
    allowed: str
    payload: bytes
    state: str
    replay: str | None = None
    """The replay that brought it back."""


@dataclass(frozen=True)
class Group:
    """Refused rows of one batch that are refused for one reason."""

    stream: str
    batch: str
    rule: str
    column: str
    allowed: str
    rows: int
    value: str
    """The least of their values."""
    states: Mapping[str, int]


def place_of(text: str) -> Place:
    """A place as it is written, `source/partition/position`; UserError for another text."""
    parts = text.rsplit("/", 2)
    if len(parts) < 3 or not (parts[0] and parts[1].isdecimal() and parts[2].isdecimal()):
        raise UserError(
            f"{text!r} is no place of a row",
            where="place",
            allowed="SOURCE/PARTITION/POSITION, as `sluice quarantine show` prints them",
        )
    return Place(parts[0], int(parts[1]), int(parts[2]))


def groups(lake: Lake, streams: Sequence[str], wanted: Wanted) -> list[Group]:
    """What was refused, the newest batch last, and the most rows of it first."""
    found: list[Group] = []
    for stream in streams:
        found += _groups(stream, _chunks(lake, f"quarantine/{stream}", wanted.condition()), _brought(lake, stream))
        found += _groups(stream, _held(lake, stream, wanted.condition()), None)
    judged: dict[str, int] = {}
    for row in lake.rows("verdicts"):
        judged[row["batch"]] = max(row["at"], judged.get(row["batch"], row["at"]))
    return sorted(found, key=lambda one: (judged.get(one.batch, 0), one.batch, one.stream, -one.rows, one.column))


def refused(lake: Lake, stream: str, wanted: Wanted) -> Iterator[Refused]:
    """The refused rows of published batches, then those of batches that are stopped as their last run found them."""
    found = _all(lake, stream, wanted)
    return (row for row in found if row.state in wanted.states)


def _all(lake: Lake, stream: str, wanted: Wanted) -> Iterator[Refused]:
    """Those of a stream in whatever state."""
    brought = {one.place: one for one in _brought(lake, stream)}
    for chunk in _chunks(lake, f"quarantine/{stream}", wanted.condition()):
        for row in chunk.to_pylist():
            back = brought.get(Place(row["source"], row["partition"], row["position"]))
            told = (WAITING, None) if back is None else (back.state, back.replay)
            yield _refused(stream, row, *told)
    for chunk in _held(lake, stream, wanted.condition()):
        for row in chunk.to_pylist():
            yield _refused(stream, row, HELD, None)


@dataclass(frozen=True)
class _Brought:
    """A refused row that a replay has taken up."""

    place: Place
    key: tuple[str, ...]
    replay: str
    state: str


def _chunks(lake: Lake, table: str, condition: ds.Expression | None) -> Iterator[pa.Table]:
    for chunk in lake.scan(table, where=condition):
        yield pa.Table.from_batches([chunk])


def _held(lake: Lake, stream: str, condition: ds.Expression | None) -> Iterator[pa.Table]:
    """The refused rows of batches that are stopped, each as its last run found it."""
    shown = {batch["batch"] for batch in lake.published(stream)}
    judged = last_attempts(lake.rows("verdicts", where=ds.field("stream") == stream))
    last = [one.run for one in judged if one.run is not None and one.batch not in shown]
    runs = ds.field("_run").isin(pa.array(last, pa.string()))
    return _chunks(lake, f"held/{stream}", runs if condition is None else runs & condition)


def _groups(stream: str, chunks: Iterable[pa.Table], brought: Sequence[_Brought] | None) -> Iterator[Group]:
    """Rows by batch and reason; what a replay took up is told apart, None where nothing can be."""
    counted = [chunk.group_by(list(_KEY)).aggregate([("value", "count"), ("value", "min")]) for chunk in chunks]
    if not counted:
        return
    whole = pa.concat_tables(counted).group_by(list(_KEY))
    states: dict[tuple[str, ...], Counter[str]] = {}
    for one in brought or ():
        states.setdefault(one.key, Counter())[one.state] += 1
    for row in whole.aggregate([("value_count", "sum"), ("value_min", "min")]).to_pylist():
        batch, rule, column, allowed = key = tuple(row[name] for name in _KEY)
        told, rows = states.get(key, Counter()), row["value_count_sum"]
        rest = {HELD if brought is None else WAITING: rows - told.total()}
        yield Group(stream, batch, rule, column, allowed, rows, row["value_min_min"], {**rest, **told})


def _refused(stream: str, row: Mapping[str, Any], state: str, replay: str | None) -> Refused:
    told = {name: row[name] for name in ("rule", "column", "value", "allowed", "payload")}
    place = Place(row["source"], row["partition"], row["position"])
    return Refused(stream, place, row["_batch"], row.get("_run"), **told, state=state, replay=replay)


def _brought(lake: Lake, stream: str) -> list[_Brought]:
    """The rows of a stream that replays have taken up."""
    where = ds.field("stream") == stream
    reached = lake.reached(stream)
    done = {row["replay"]: row for row in lake.rows("replayed", where=where)}
    found = []
    for row in lake.rows("replays", where=where):
        now = done.get(row["replay"])
        back = now is not None and all(
            reached.get(place, -1) >= position for place, position in json.loads(now["places"]).items()
        )
        place = Place(row["source"], row["partition"], row["position"])
        key = tuple(row[name.removeprefix("_")] for name in _KEY)
        found.append(_Brought(place, key, row["replay"], BACK if back else SENT))
    return found


def _at(place: Place) -> ds.Expression:
    here = (ds.field("partition") == place.partition) & (ds.field("position") == place.position)
    return pc.starts_with(ds.field("source"), place.source) & here
