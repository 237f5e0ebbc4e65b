"""What goes of each table, one eraser for each kind of it; a table that has none must say that it is about nobody."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import Mask, integers
from sluice.engine.tiles import Id
from sluice.lake.contract import ERASED
from sluice.lake.decoding import Schema
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.found import Found, seen
from sluice.lake.forgetting.named import Answers, Examples, Replayed, Unlanded, Words
from sluice.lake.keeping.retiring import TABLES
from sluice.lake.keeping.rewriting import At, Which, is_in

NOBODY = (
    "batches", "schemas", "files", "imports", "replayed", "waivers", "publications", "baselines",
    "retirements", "retired", "erasures", "erased", "backfills", "backfills_as_served", "touched", "training_sets",
    "drift", "performance", "decisions", "promotions", "rollbacks", "freshness",
)  # fmt: skip
"""Tables about batches, days, segments and models; `erased` has pseudonyms."""
_VECTORS, _ROWS = ("vectors", "vectors_as_served"), ("rows", "rows_as_served")


@dataclass(frozen=True)
class Entity:
    """Who is forgotten, and up to which moment."""

    key: str
    value: Id
    until: int

    def __str__(self) -> str:
        return f"{self.key}={self.value}"


@dataclass(frozen=True)
class Standing:
    """Raw events at some places that still have their content."""

    at: At

    @property
    def columns(self) -> list[str]:
        """The place, and the operation."""
        return [*self.at.columns, "op"]

    def mask(self, rows: pa.Table) -> Mask:
        """One without a readable operation has content."""
        op, known = integers(rows.column("op"))
        return np.asarray(self.at.mask(rows) & ~(known & (op == ERASED)), bool)


@dataclass(frozen=True)
class Of:
    """Rows of an entity up to its moment, and rows of some events."""

    entity: Entity | None
    key: str
    time: str
    id: str
    ids: pa.Array

    @property
    def columns(self) -> list[str]:
        """Whose, when, and of which event."""
        return [self.key, self.time, self.id] if self.entity is not None else [self.id]

    def mask(self, rows: pa.Table) -> Mask:
        """By one or the other."""
        gone = is_in(rows.column(self.id), self.ids) if len(self.ids) else np.zeros(len(rows), bool)
        if self.entity is not None:
            time, known = integers(rows.column(self.time).cast(pa.int64()))
            owned = is_in(rows.column(self.key), pa.array([self.entity.value]))
            gone |= owned & known & (time <= self.entity.until)
        return gone


@dataclass(frozen=True)
class Values:
    """Rows of which a column has one of some values."""

    column: str
    values: pa.Array

    @property
    def columns(self) -> list[str]:
        """The column."""
        return [self.column]

    def mask(self, rows: pa.Table) -> Mask:
        """By value."""
        return is_in(rows.column(self.column), self.values) if len(self.values) else np.zeros(len(rows), bool)


@dataclass(frozen=True)
class Held:
    """Legal holds that were on an entity."""

    entity: Entity

    @property
    def columns(self) -> list[str]:
        """The key, and the value."""
        return ["on", "value"]

    def mask(self, rows: pa.Table) -> Mask:
        """Both are the entity's."""
        owned = is_in(rows.column("on"), pa.array([self.entity.key]))
        return np.asarray(owned & is_in(rows.column("value"), pa.array([str(self.entity.value)])), bool)


@dataclass(frozen=True)
class Erasers:
    """What goes of each table of a lake."""

    pipeline: Pipeline
    entity: Entity
    what: Forgotten
    schemas: Mapping[int, Schema]
    """Those that the lake has."""
    found: Mapping[str, Found]
    answered: Sequence[str] = ()
    """The ids of events that answers about the entity were asked for."""

    def of(self, table: str) -> Which | None:
        """The eraser of a table; None for one that is about nobody."""
        kind, _, name = table.partition("/")
        if kind in NOBODY:
            return None
        if kind in TABLES and name in self.found:
            at = At(self.found[name].places, TABLES[kind])
            return Standing(at) if kind == "events" else at
        if kind in _VECTORS:
            return Of(self.entity, self.entity.key, "event_time", "event_id", self._whole)
        if kind in _ROWS:
            view = self.pipeline.view(name)
            stream = view.stream if view.label is None else view.label.of
            mine = self.entity if view.of == self.entity.key else None
            # of an event that became another's, too: rows do not say which version they are of, and come back with it
            return Of(mine, "key", "time", "id", self.found[stream.name].ids)
        if kind == "tiles":
            return Values("key", self.touched[name])
        return self._other(kind, name)

    def unlanded(self, table: str) -> Which | None:
        """The eraser of files with raw events that never came into a table: they are told by what is in them."""
        kind, _, name = table.partition("/")
        if kind != "events":
            return None
        return Unlanded(At(self.found[name].places), self.pipeline.stream(name), self.what, self.schemas)

    @property
    def tables(self) -> set[str]:
        """The tables of streams and views, be they written yet: who died before that may have left files there."""
        streams = {f"{kind}/{stream.name}" for kind in TABLES for stream in self.pipeline.streams}
        views = {f"{kind}/{view.name}" for kind in (*_ROWS, "tiles") for view in self.pipeline.windows}
        return {*streams, *views, *_VECTORS}

    @cached_property
    def touched(self) -> Mapping[str, pa.Array]:
        """By view, the entities whose tiles are made of what goes, and the forgotten one."""
        found = {}
        for view in self.pipeline.windows:
            keys = seen(view, self.found).column("key").unique()
            if view.of == self.entity.key:
                keys = pa.chunked_array([keys, pa.array([self.entity.value], keys.type)]).unique()
            found[view.name] = keys
        return found

    def _other(self, kind: str, name: str) -> Which | None:
        own: Mapping[str, Which] = {
            "predictions": Answers(self.pipeline, self.what),
            "predictions_refused": Words(self.pipeline, self.what, "payload"),
            "requests": Words(self.pipeline, self.what, "problem"),
            "audits": Values("event_id", self._audited()),
            "verdicts": Examples(self.pipeline, self.what),
            "replays": Replayed(self.pipeline, self.what, self.schemas, self.found),
            "legal_holds": Held(self.entity),
        }
        if kind == "asof":
            return self._looked_up(name)
        return own.get(kind)

    def _audited(self) -> pa.Array:
        events = map(str, self._whole.to_pylist())
        return pa.array(sorted({*events, *filter(None, self.answered)}), pa.string())

    @property
    def _whole(self) -> pa.Array:
        """The scored events of which all goes."""
        stream = self.pipeline.events.name
        ids = self.found[stream].ids
        return ids.filter(pa.array([self.what.has(stream, one) for one in ids.to_pylist()], pa.bool_()))

    def _looked_up(self, name: str) -> Which | None:
        table = self.pipeline.tables.get(name)
        view = next((one for one in self.pipeline.lookups if one.table == name), None)
        if table is None or view is None or self.entity.key not in view.keys:
            return None
        return Values(view.keys[self.entity.key], pa.array([self.entity.value]))


def unknown(tables: Collection[str]) -> list[str]:
    """The tables of which no eraser knows what they are about."""
    known = {*NOBODY, *TABLES, *_VECTORS, *_ROWS, "tiles", "asof"}
    known |= {"verdicts", "predictions", "predictions_refused", "requests", "audits", "replays", "legal_holds"}
    return sorted(table for table in tables if table.partition("/")[0] not in known)
