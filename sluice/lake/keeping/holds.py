"""Legal holds: what must not go, whatever is declared, until a person says that it may.

Each is a row of `legal_holds` that stays; lifting one is another row with a person and a reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from sluice.decisions import signed
from sluice.declare.pipeline import Pipeline, hash_of
from sluice.engine.facts import column_type
from sluice.errors import UserError
from sluice.lake.keeping.plan import STREAMED
from sluice.lake.keeping.present import tables
from sluice.lake.tables import Lake
from sluice.lake.typing import integer

LEGAL_HOLDS = pa.schema(
    {
        "hold": pa.string(),
        "on": pa.string(),
        "value": pa.string(),
        "state": pa.string(),
        "by": pa.string(),
        "because": pa.string(),
        "at": pa.int64(),
    }
)
"""`on` is a key of an entity, whose `value` is held, or a table or stream, of which everything is (`value` is null)."""
PLACED, LIFTED = "placed", "lifted"


@dataclass(frozen=True)
class Hold:
    """What one person holds: an entity (`customer_id`, `17`), or a table or a stream as a whole (no value)."""

    hold: str
    on: str
    value: str | None
    by: str
    because: str
    at: int

    def __str__(self) -> str:
        return self.on if self.value is None else f"{self.on}={self.value}"


@dataclass(frozen=True)
class Held:
    """What the holds that are on keep, asked table by table."""

    holds: Sequence[Hold] = ()

    def table(self, *names: str) -> Hold | None:
        """The hold on one of some tables or streams as a whole."""
        return next((one for one in self.holds if one.value is None and one.on in names), None)

    def stream(self, name: str) -> Hold | None:
        """The hold on a stream, or on one of its tables: they lose an event together, or not at all."""
        return self.table(name, *(f"{kind}/{name}" for kind in STREAMED))

    def entities(self) -> dict[str, list[str]]:
        """The values that are held, by key."""
        found: dict[str, list[str]] = {}
        for one in self.holds:
            if one.value is not None:
                found.setdefault(one.on, []).append(one.value)
        return found


def place(lake: Lake, pipeline: Pipeline, what: str, *, by: str, because: str, at: int) -> Hold:
    """Hold an entity (`customer_id=17`), or a table or stream; the same again is the hold that there is.

    UserError without a person and a reason, and for what the pipeline does not have.
    """
    signed("a legal hold", by=by, because=because)
    on, sign, value = what.partition("=")
    if sign:
        _check_entity(pipeline, on, value)
    elif on not in (known := tables_of(lake, pipeline)):
        raise UserError.unknown("table or stream", on, known, where="hold")
    held = value if sign else None
    for one in holding(lake).holds:
        if (one.on, one.value) == (on, held):
            return one
    name = hash_of({"on": on, "value": held, "at": at})
    hold = Hold(name, on, held, by, because, at)
    lake.append_rows("legal_holds", [{**asdict(hold), "state": PLACED}], LEGAL_HOLDS, once=f"hold:{name}")
    return hold


def lift(lake: Lake, name: str, *, by: str, because: str, at: int) -> Hold:
    """Let go what a hold held; UserError without a person and a reason, and for a hold that is not on."""
    signed("lifting a hold", by=by, because=because)
    on = {one.hold: one for one in holding(lake).holds}
    if name not in on:
        raise UserError.unknown("hold", name, on, where="hold")
    row = {**asdict(on[name]), "state": LIFTED, "by": by, "because": because, "at": at}
    lake.append_rows("legal_holds", [row], LEGAL_HOLDS, once=f"lift:{name}")
    return on[name]


def holding(lake: Lake) -> Held:
    """The holds that are on, oldest first."""
    rows = sorted(lake.rows("legal_holds"), key=lambda row: (row["at"], row["hold"]))
    lifted = {row["hold"] for row in rows if row["state"] == LIFTED}
    return Held(tuple(_hold(row) for row in rows if row["state"] == PLACED and row["hold"] not in lifted))


def tables_of(lake: Lake, pipeline: Pipeline) -> Collection[str]:
    """The streams of a pipeline and the tables that its lake has."""
    return {*(stream.name for stream in pipeline.streams), *tables(lake)}


def _hold(row: Mapping[str, object]) -> Hold:
    return Hold(**{name: row[name] for name in ("hold", "on", "value", "by", "because", "at")})  # type: ignore[arg-type]


def _check_entity(pipeline: Pipeline, key: str, value: str) -> None:
    if key not in pipeline.keys:
        raise UserError.unknown("key", key, pipeline.keys, where="hold")
    whole = pa.types.is_integer(column_type(pipeline.events.columns[key]))
    if not value or (whole and integer(value) is None):
        raise UserError(
            f"{value!r} is no value of {key!r}", where="hold", allowed="a whole number" if whole else "a text"
        )
