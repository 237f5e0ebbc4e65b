"""Replays: refused rows that go back into history, mended or as they are, each of them once.

    replays     what was taken up: a refused row's place, and the payload that goes back. One commit claims all rows of
                a replay, and a row that a replay has claimed no other one can.
    replayed    replays that are done, and the places that their rows have now

Rows of files go back through bronze as a batch of their own, `replay-<name>`, with the source `replay:<name>`; rows of
topics go back through their topic, so that the online store learns of them too. They are known from when they go back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from sluice.decisions import signed
from sluice.declare.pipeline import hash_of
from sluice.declare.streams import Stream
from sluice.errors import DataError, UserError
from sluice.lake.contract import BRONZE
from sluice.lake.forgetting.erasures import refuse_later
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.refused import Place
from sluice.lake.tables import Lake

REPLAYS = pa.schema(
    {
        "replay": pa.string(),
        "stream": pa.string(),
        "row": pa.int64(),
        "source": pa.string(),
        "partition": pa.int32(),
        "position": pa.int64(),
        "batch": pa.string(),
        "rule": pa.string(),
        "column": pa.string(),
        "allowed": pa.string(),
        "payload": pa.binary(),
        "revision": pa.int32(),
        "op": pa.int8(),
        "by": pa.string(),
        "because": pa.string(),
        "at": pa.int64(),
        "ends": pa.string(),
    }
)
"""`ends`: where each partition of the topic ended when its rows were claimed, as JSON; null for rows of files."""
REPLAYED = pa.schema({"replay": pa.string(), "stream": pa.string(), "at": pa.int64(), "places": pa.string()})
"""`places`: the last position of each `source/partition` at which rows of the replay are, as JSON."""

REPLAY = "replay-"
"""What the batch of a replay's rows begins with."""
_NAMED = 3


@dataclass(frozen=True)
class Mended:
    """A refused row as it goes back: where it was, why it was refused, and its payload, revision and operation now."""

    place: Place
    batch: str
    rule: str
    column: str
    allowed: str
    payload: bytes
    revision: int | None
    op: int | None


@dataclass(frozen=True)
class Replay:
    """One replay: rows of one stream that go back together, who decided it, and why."""

    name: str
    stream: str
    by: str
    because: str
    at: int
    ends: Mapping[int, int] | None
    """Where the partitions of the topic ended when it was claimed; None for rows of files."""
    rows: Sequence[Mapping[str, Any]]
    """As `REPLAYS`, in order."""

    @property
    def batch(self) -> str:
        """The batch that its rows are of, when they go back through bronze."""
        return batch_of(self.name)


def batch_of(name: str) -> str:
    """The batch of a replay's rows."""
    return f"{REPLAY}{name}"


def claim(
    lake: Lake,
    stream: str,
    rows: Sequence[Mended],
    *,
    by: str,
    because: str,
    at: int,
    ends: Mapping[int, int] | None = None,
) -> Replay:
    """Take rows up for a replay; the same rows with the same payloads again are the replay that there is already.

    UserError without a person and a reason, and for rows that another replay has taken up; Outage when another process
    claims rows of the stream at the same moment.
    """
    signed("a replay", by=by, because=because)
    if not rows:
        raise UserError("there is no refused row to replay", where=stream, next_step="sluice quarantine list PIPELINE")
    ordered = sorted(rows, key=lambda row: row.place)
    name = _name(stream, ordered)
    told = {"replay": name, "stream": stream, "by": by, "because": because, "at": at}
    end = None if ends is None else json.dumps({str(number): last for number, last in sorted(ends.items())})
    table = pa.Table.from_pylist(
        [
            {**asdict(row), **row.place._asdict(), **told, "row": number, "ends": end}
            for number, row in enumerate(ordered)
        ],
        schema=REPLAYS,
    )

    turn = f"replays:{stream}"
    before = lake.reached_by("replays", turn)
    if not _taken(lake, stream, ordered, name):
        lake.append_moving("replays", table, turn, before, (before or 0) + 1)
    return replay_of(lake, name)


def replay_of(lake: Lake, name: str) -> Replay:
    """A replay as it was claimed; DataError when nobody has claimed it."""
    rows = sorted(lake.rows("replays", where=ds.field("replay") == name), key=lambda row: int(row["row"]))
    if not rows:
        raise DataError(f"there is no replay {name!r}", where=lake.uri("replays"))
    first = rows[0]
    ends = None if first["ends"] is None else {int(number): end for number, end in json.loads(first["ends"]).items()}
    return Replay(name, first["stream"], first["by"], first["because"], first["at"], ends, rows)


def unfinished(lake: Lake) -> list[Replay]:
    """Replays that were claimed and are not done, oldest first: something died before they were."""
    done = {row["replay"] for row in lake.rows("replayed")}
    at = {row["replay"]: row["at"] for row in lake.rows("replays") if row["replay"] not in done}
    return [replay_of(lake, name) for name in sorted(at, key=lambda name: (at[name], name))]


def land(lake: Lake, replay: Replay, stream: Stream, forgotten: Forgotten) -> None:
    """Bring a replay's rows into bronze as a batch of their own, once however often it is called.

    What was forgotten keeps its place alone; Outage when an entity was forgotten since that was read.
    """
    count = len(replay.rows)
    own = {name: [row[name] for row in replay.rows] for name in ("payload", "revision", "op")}
    rows = pa.table(
        {
            **own,
            "source": [f"replay:{replay.name}"] * count,
            "partition": [0] * count,
            "position": range(count),
            "known": [replay.at] * count,
            "batch": [replay.batch] * count,
        },
        schema=BRONZE,
    )
    known = forgotten.erased(stream, rows)
    refuse_later(lake, forgotten.erasures)
    lake.append(f"events/{replay.stream}", known, once=replay.batch)


def finish(lake: Lake, replay: Replay, places: Mapping[str, int]) -> None:
    """Say that a replay is done: its rows are in bronze, or in their topic, up to these positions."""
    row = {"replay": replay.name, "stream": replay.stream, "at": replay.at, "places": json.dumps(dict(places))}
    lake.append_rows("replayed", [row], REPLAYED, once=f"replayed:{replay.name}")


def landed_at(replay: Replay) -> dict[str, int]:
    """Where the rows of a replay are that went back through bronze."""
    return {f"replay:{replay.name}/0": len(replay.rows) - 1}


def _name(stream: str, rows: Sequence[Mended]) -> str:
    return hash_of(
        {"stream": stream, "rows": [[str(row.place), row.payload.hex(), row.revision, row.op] for row in rows]}
    )


def _taken(lake: Lake, stream: str, rows: Sequence[Mended], name: str) -> bool:
    """Whether this very replay is claimed; UserError when another one has some of its rows."""
    claimed = {
        Place(row["source"], row["partition"], row["position"]): row["replay"]
        for row in lake.rows("replays", where=ds.field("stream") == stream)
    }
    if name in claimed.values():
        return True
    twice = [row.place for row in rows if row.place in claimed]
    if twice:
        told = ", ".join(f"{place} (replay {claimed[place]})" for place in twice[:_NAMED])
        raise UserError(
            f"{len(twice):,} of the rows are replayed already: {told}",
            where=stream,
            next_step="a row that was refused again is in quarantine under its new place: replay that one",
        )
    return False
