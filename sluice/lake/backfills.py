"""The backfills of a pipeline, each with a row when it begins to publish and one when it has: `backfills`.

Those of vectors as they were served have a table of their own and go on from each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from sluice.errors import Outage
from sluice.lake.plan import BACKFILLS, Plan, published_batches
from sluice.lake.tables import Lake

_PUBLISHING, _DONE = "publishing", "done"
BACKFILL = pa.schema(
    {
        "number": pa.int64(),
        "state": pa.string(),
        "name": pa.string(),
        "meaning": pa.string(),
        "base": pa.int64(),
        "at": pa.int64(),
        "parts": pa.int32(),
        "asof": pa.string(),
        "erasures": pa.int64(),
    }
)


@dataclass(frozen=True)
class Previous:
    """The backfill that the next one can go on from."""

    base: int
    at: int
    parts: int
    asof: Mapping[str, int]
    turn: int = 0
    """Of the one that goes on from it: greater than that of every backfill before, but one over everything is 0."""


def begun(plan: Plan) -> int | None:
    """Into how many buckets the backfill of this name dealt that has begun to publish; None where none has.

    Some of its tables may be there: who goes on with it deals likewise.
    """
    rows = [row for row in plan.tables().rows(BACKFILLS[plan.knowledge]) if row["name"] == plan.name]
    last = max(rows, key=lambda row: row["number"], default=None)
    return None if last is None or last["state"] == _DONE else int(last["parts"])


def previous(plan: Plan) -> Previous | str:
    """The backfill to go on from, or why everything is to be computed anew."""
    lake = plan.tables()
    listed = sorted(lake.rows(BACKFILLS[plan.knowledge]), key=lambda row: row["number"])
    if not listed:
        return "it is the first"
    last = listed[-1]
    reasons = {
        "the one before was not finished": last["state"] != _DONE,
        "the declaration or the code is another": last["meaning"] != plan.meaning,
        "an entity was forgotten since": (last.get("erasures") or 0) != plan.erasures,
        "the one before is of a later moment": last["at"] > plan.at,
    }
    for reason, holds in reasons.items():
        if holds:
            return reason
    found = Previous(last["base"], last["at"], last["parts"], json.loads(last["asof"]), last["number"] + 1)
    other = [table for table in plan.written if lake.reached_by(table, last["name"]) is None]
    if other:
        return f"{other[0]} was written by somebody else since"
    return unfit(plan, found) or found


def unfit(plan: Plan, found: Previous) -> str | None:
    """Why a backfill cannot go on from one before, for what has come since or has gone; None where it can."""
    old, new = batches(plan.tables(), found.base), batches(plan.tables(), plan.base)
    if not set(old) <= set(new):
        return "a batch of the one before is history no longer"
    if sum(rows for name, rows in new.items() if name not in old) > sum(old.values()):
        return "more than half of the rows are new"
    return None


def named_in(lake: Lake, table: str, version: int) -> Mapping[str, Any] | None:
    """The backfill that wrote a version of a table; None where none has."""
    found = lake.open(table, version)
    rows = [row for name in BACKFILLS.values() for row in lake.rows(name)]
    written = [row for row in rows if found is not None and found.transaction_version(row["name"]) is not None]
    return max(written, key=lambda row: (row["at"], row["number"]), default=None)


def base_of(lake: Lake, versions: Mapping[str, int], base: int) -> int:
    """The version of `batches` that these versions of tables show; `base` where no backfill wrote them.

    Outage while a backfill is publishing, when some of them show one and others another.
    """
    written = [named_in(lake, table, version) for table, version in versions.items()]
    found = {base if row is None else int(row["base"]) for row in written}
    if len(found) > 1:
        raise Outage(
            "a backfill is publishing, and its tables are not all there yet",
            where=", ".join(versions),
            next_step="run it again when that has ended",
        )
    return found.pop() if found else base


def begin(plan: Plan) -> None:
    """Note that tables are about to move to this backfill."""
    _note(plan, _PUBLISHING)


def end(plan: Plan) -> None:
    """Note that every table has."""
    _note(plan, _DONE)


def batches(lake: Lake, base: int) -> dict[tuple[str, str], int]:
    """The batches that are history at a version of `batches` by stream and name, with the rows they brought."""
    return {(row["stream"], row["batch"]): row["accepted"] for row in published_batches(lake, base)}


def _note(plan: Plan, state: str) -> None:
    lake, table = plan.tables(), BACKFILLS[plan.knowledge]
    row = {
        "number": lake.count(table),
        "state": state,
        "name": plan.name,
        "meaning": plan.meaning,
        "base": plan.base,
        "at": plan.at,
        "parts": plan.parts,
        "asof": json.dumps(dict(plan.asof)),
        "erasures": plan.erasures,
    }
    lake.append_rows(table, [row], BACKFILL)
