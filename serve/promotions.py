"""The table `promotions`: every move of every segment, append-only, each row chained to the one before by its hash.

The rows are the rollout's only state. A changed, removed, inserted or reordered row breaks the chain; that rows were
cut off at the end shows only against a hash that was kept elsewhere (`verify(lake, head=…)`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from serve.rollout_state import Kind, Move, SegmentState
from serve.routing import Model, Routing
from sluice.errors import DataError, Outage
from sluice.lake.tables import Lake

TABLE = "promotions"
PROMOTIONS = pa.schema(
    {
        "sequence": pa.int64(),
        "segment": pa.string(),
        "move": pa.string(),
        "from": pa.string(),
        "to": pa.string(),
        "share": pa.float64(),
        "reason": pa.string(),
        "at": pa.int64(),
        "evidence": pa.string(),
        "models": pa.string(),
        "previous": pa.string(),
        "hash": pa.string(),
    }
)
"""`from` and `to` are models as `name/version`; `models` is JSON of both in full; `previous` is the hash before."""
START = "0" * 64
"""What the first row is chained to."""
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Verified:
    """What `verify` found: how many rows, the last hash, and every place where the chain is broken."""

    rows: int
    head: str
    broken: tuple[str, ...] = ()


def append(lake: Lake, move: Move) -> dict[str, Any]:
    """Write a move as the next row and return it.

    DataError: it is not possible from where the segment stands, or the table has been tampered with. Outage: another
    process wrote a move meanwhile; read again and decide again.
    """
    found = moves(lake)
    broken = verify_rows(found).broken
    if broken:
        raise DataError(f"the chain is broken: {broken[0]}", where=lake.uri(TABLE), next_step="restore the table")
    state_of(found).get(move.segment, SegmentState(move.segment)).after(move)
    row = row_of(move, len(found), found[-1]["hash"] if found else START)
    if not lake.append_rows(TABLE, [row], PROMOTIONS, once=f"{TABLE}:{row['sequence']}"):
        raise Outage("another process wrote a move first", where=lake.uri(TABLE), next_step="decide again")
    return row


def moves(lake: Lake) -> list[dict[str, Any]]:
    """Every row in order."""
    return sorted(lake.rows(TABLE), key=lambda row: int(row["sequence"]))


def in_use(lake: Lake) -> set[str]:
    """The models that answer somewhere, want to, or are what a rollback goes back to, as `name/version`."""
    states = state(lake).values()
    return {str(model) for one in states for model in (one.champion, one.challenger, *one.line) if model}


def state(lake: Lake) -> dict[str, SegmentState]:
    """Where every segment stands, read back from the rows alone."""
    return state_of(moves(lake))


def state_of(rows: Iterable[Row]) -> dict[str, SegmentState]:
    """Where every segment stands after these rows; DataError for a row that is not possible where it stands."""
    states: dict[str, SegmentState] = {}
    for row in rows:
        before = states.get(row["segment"], SegmentState(row["segment"]))
        states[row["segment"]] = before.after(move_of(row))
    return states


def routing_of(states: Mapping[str, SegmentState]) -> Routing:
    """The routing that these states ask for."""
    return Routing({segment: state.route for segment, state in states.items() if state.route is not None})


def verify(lake: Lake, *, head: str | None = None) -> Verified:
    """Check the chain; with `head`, also that the row with this hash is still there."""
    return verify_rows(moves(lake), head=head)


def verify_rows(rows: Sequence[Row], *, head: str | None = None) -> Verified:
    """Check the chain of rows that are in order."""
    broken = []
    previous = START
    for place, row in enumerate(rows):
        said = f"row {row['sequence']} ({row['segment']}: {row['move']})"
        if row["sequence"] != place:
            broken.append(f"{said} stands at place {place}")
        if row["previous"] != previous:
            broken.append(f"{said} does not follow the row before it")
        if row["hash"] != hash_of_row(row):
            broken.append(f"{said} has been changed")
        previous = row["hash"]
    if head is not None and head not in {START, *(row["hash"] for row in rows)}:
        broken.append(f"the row with hash {head[:12]}… is gone")
    return Verified(len(rows), previous, tuple(broken))


def hash_of_row(row: Row) -> str:
    """SHA-256 over the row's other columns as canonical JSON; `previous` is among them."""
    body = {name: row[name] for name in PROMOTIONS.names if name != "hash"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def row_of(move: Move, sequence: int, previous: str) -> dict[str, Any]:
    """A move as a row of the chain."""
    row = {
        "sequence": sequence,
        "segment": move.segment,
        "move": move.kind.value,
        "from": str(move.leaving) if move.leaving else None,
        "to": str(move.to) if move.to else None,
        "share": move.share,
        "reason": move.reason,
        "at": move.at,
        "evidence": json.dumps(dict(move.evidence), sort_keys=True),
        "models": json.dumps({str(model): asdict(model) for model in (move.leaving, move.to) if model}, sort_keys=True),
        "previous": previous,
    }
    return {**row, "hash": hash_of_row(row)}


def move_of(row: Row) -> Move:
    """The move that a row tells; the inverse of `row_of`."""
    models = {name: Model(**raw) for name, raw in json.loads(row["models"]).items()}
    leaving, to = (models[row[side]] if row[side] else None for side in ("from", "to"))
    evidence = json.loads(row["evidence"])
    return Move(row["segment"], Kind(row["move"]), leaving, to, row["share"], row["reason"], row["at"], evidence)
