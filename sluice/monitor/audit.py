"""The audit: served vectors computed again from bronze, as of what each of them could know, and compared bit for bit.

Nothing of the serving path is trusted: the raw events within K go through the contract and the batch kernel, and as-of
tables are read from the lake at the versions of K; silver, tiles and the online store are not read. A mismatch is a
defect by definition, and is named with the features hit. Apart from that, how stale a vector was is no defect: it is
compared with what there is to know by now, and each difference is attributed to its cause (`sluice.monitor.stages`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.vectors import Values, unpack
from sluice.errors import UserError
from sluice.lake.keeping.retired import vectors_since
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.monitor.bronze import Bronze
from sluice.monitor.erased import untouched
from sluice.monitor.knowledge import NOTHING, K, Known, Pairs, pairs
from sluice.monitor.looked_up import Tables
from sluice.monitor.related import Related
from sluice.monitor.stages import Seen, known, stale, with_all, with_expired, with_pending
from sluice.monitor.staleness import CAUSES, Cause, Steps, causes_of, staleness_columns

AUDITS = pa.schema(
    {
        "request_id": pa.string(),
        "event_id": pa.string(),
        "event_time": pa.int64(),
        "definition": pa.string(),
        "equal": pa.bool_(),
        "features": pa.string(),
        "at": pa.int64(),
        **dict.fromkeys(CAUSES, pa.int32()),
        "staleness": pa.string(),
    }
)
"""The table `audits`: one row for each vector checked; `features` names those that differ, with both values.

Of staleness it says how many features each cause changed, and of those their values stage by stage; null in rows from
before it was measured.
"""

WHOLE = "vector"
"""What differs when the bytes of a served vector cannot be read as features."""


@dataclass(frozen=True)
class Served:
    """One served vector as it was logged."""

    request_id: str
    event_id: str
    request: Mapping[str, Any]
    event_time: int
    definition: str
    base: int
    positions: Mapping[str, int]
    vector: bytes
    tables: Mapping[str, int] = field(default_factory=dict)
    """The version of each as-of table."""
    keys: Mapping[str, Known] | None = None
    """K by entity key, where the store was in shards; else base and positions are everyone's."""

    @property
    def knowledge(self) -> K:
        """K, to order and to group by."""
        by_key = None if self.keys is None else tuple(sorted(self.keys.items()))
        return K(Known.of(self.base, self.positions), by_key, pairs(self.tables))


@dataclass(frozen=True)
class Audited:
    """What the audit found of one vector; `differences` maps features to (served, computed), `stale` to their steps."""

    served: Served
    differences: Mapping[str, tuple[object, object]]
    stale: Mapping[str, Steps] = field(default_factory=dict)

    @property
    def causes(self) -> set[Cause]:
        """Why the vector was stale."""
        return {cause for steps in self.stale.values() for cause, _, _ in causes_of(steps)}


def served_rows(predictions: Iterable[Mapping[str, Any]]) -> list[Served]:
    """The vectors of rows of the table `predictions`; a vector that several models scored counts once."""
    rows = {(row["request_id"], row["event_id"], row["request"], row["vector"]): row for row in predictions}
    return [served_of(row, json.loads(row["knowledge"])) for row in rows.values()]


def audit(lake: Lake, pipeline: Pipeline, served: Sequence[Served], *, fresh: bool = False) -> list[Audited]:
    """Compute every vector again from bronze at its (t, K), in the order of K.

    Those whose windows reach back to what retention has dropped, or had seen what an erasure has taken away, are left
    out: nothing can tell any more. No `fresh` one, made after every erasure, had seen any of it.
    UserError for vectors of another definition than the pipeline's; Outage while the archive is behind their K.
    """
    _refuse_other_definitions(pipeline, served)
    since = vectors_since(lake, pipeline)
    told = [item for item in served if since is None or item.event_time >= since]
    told = told if fresh else untouched(lake, pipeline, told)
    ordered = sorted(told, key=lambda item: _order(item.knowledge))
    return _Recomputation(lake, pipeline, ordered).compare() if ordered else []


def audit_rows(audited: Iterable[Audited], at: int) -> list[dict[str, Any]]:
    """Rows of the table `audits`."""
    return [
        {
            "request_id": item.served.request_id,
            "event_id": item.served.event_id,
            "event_time": item.served.event_time,
            "definition": item.served.definition,
            "equal": not item.differences,
            "features": json.dumps({name: list(map(str, pair)) for name, pair in item.differences.items()}),
            "at": at,
            **staleness_columns(item.stale),
        }
        for item in audited
    ]


@dataclass(frozen=True)
class _Group:
    """The requests of some vectors, and what these saw of the events that matter to them."""

    requests: pa.Table
    seen: Sequence[Seen]

    def knew_more_than_its_time(self) -> bool:
        """Whether K has something that was known only after the time of some request."""
        earliest = integers(self.requests.column("_time"))[0].min()
        known_at = (
            integers(events.column("_known"))[0][part.within[name]]
            for part in self.seen
            for name, events in part.events.items()
        )
        return any(bool((moments > earliest).any()) for moments in known_at)


class _Recomputation:
    """Served vectors computed again, at every stage of what could be known."""

    def __init__(self, lake: Lake, pipeline: Pipeline, served: Sequence[Served]) -> None:
        self._pipeline, self._served = pipeline, served
        self._requests = encode_requests(pipeline, [item.request for item in served])
        self._bronze = Bronze(lake, pipeline, {known.base for item in served for known in item.knowledge.each})
        self._events = self._bronze.events
        self._related = Related(pipeline, self._events, self._requests)
        self._tables = Tables(lake, pipeline)

    def compare(self) -> list[Audited]:
        """What was served beside what is computed, in the order of what was served."""
        groups: dict[K, list[int]] = {}
        for place, item in enumerate(self._served):
            groups.setdefault(item.knowledge, []).append(place)
        for within in {within for k in groups for within in k.each}:
            self._bronze.require(dict(within.positions))
        found: dict[int, bytes] = {}
        pending: dict[int, bytes] = {}
        for k, places in groups.items():
            group = self._group(places, k)
            vectors = known(self._pipeline, group.seen, group.requests, self._tables.at(k.tables))
            found |= zip(places, vectors, strict=True)
            if group.knew_more_than_its_time():
                pending |= self._with_pending(places, group)
        # the others have nothing within K that is not known by their time, so that K does not matter here
        others = [place for place in found if place not in pending]
        pending |= self._with_pending(others, self._group(others))
        stages = zip(self._served, *self._beyond(), strict=True)
        return [self._audited(item, (found[at], pending[at], *more)) for at, (item, *more) in enumerate(stages)]

    def _group(self, places: list[int], k: K | None = None) -> _Group:
        """Some vectors with the events that matter to them, and which of these lie within K (None: nothing does)."""
        related = self._related.rows(np.array(places, np.int64))
        events = {name: self._events[name].take(pa.array(rows)) for name, rows in related.items()}
        keys: dict[Known, list[str]] = {}
        for key in self._pipeline.keys:
            keys.setdefault(k.of(key) if k else Known(), []).append(key)
        seen = [Seen(frozenset(mine), events, self._within(related, known)) for known, mine in keys.items()]
        return _Group(self._requests.take(pa.array(places, pa.int64())), seen)

    def _within(self, related: Mapping[str, Ints], known: Known) -> dict[str, Mask]:
        """Which of some events lie within what was known."""
        if known == Known():
            return {name: np.zeros(len(rows), bool) for name, rows in related.items()}
        base, positions = known.base, dict(known.positions)
        return {name: self._bronze.known(name, rows, base, positions) for name, rows in related.items()}

    def _with_pending(self, places: list[int], group: _Group) -> dict[int, bytes]:
        """Vectors with all that each could have known: events that had reached us, and tables that were loaded."""
        times, _ = integers(group.requests.column("_time"))
        asked = [
            (self._served[place].knowledge.tables, time) for place, time in zip(places, times.tolist(), strict=True)
        ]
        found: dict[int, bytes] = {}
        for versions, mine in self._tables.loaded(asked).items():
            requests, lookups = group.requests.take(pa.array(mine)), self._tables.at(versions)
            vectors = with_pending(self._pipeline, group.seen, requests, lookups)
            found |= zip((places[place] for place in mine), vectors, strict=True)
        return found

    def _beyond(self) -> tuple[list[bytes], list[bytes]]:
        """Every vector with all that history has by now, and with what has expired too."""
        group = self._group(list(range(len(self._served))))
        told = self._pipeline, group.seen[0].events, group.requests, self._tables.newest()
        return with_all(*told), with_expired(*told)

    def _audited(self, item: Served, stages: Sequence[bytes]) -> Audited:
        return Audited(item, differences(self._pipeline, item.vector, stages[0]), stale(self._pipeline, stages))


def differences(pipeline: Pipeline, served: bytes, computed: bytes) -> dict[str, tuple[object, object]]:
    """The features whose bits differ between two packed vectors, with both values; None stands for null."""
    if served == computed:
        return {}
    found: dict[str, tuple[object, object]] = {}
    if len(served) == len(computed):
        left, right = unpack(pipeline, [served]), unpack(pipeline, [computed])
        names = [place.name for place in pipeline.features]
        found = {
            name: (_shown(left, name), _shown(right, name)) for name in names if _bits(left, name) != _bits(right, name)
        }
    return found or {WHOLE: (served.hex(), computed.hex())}


def served_of(row: Mapping[str, Any], knowledge: Mapping[str, Any]) -> Served:
    """A served vector from a row of the table `predictions`, and K as it is logged."""
    keys = None
    if "keys" in knowledge:
        keys = {key: Known.of(known["base"], known["positions"]) for key, known in knowledge["keys"].items()}
    return Served(
        row["request_id"],
        row["event_id"],
        orjson.loads(row["request"]),
        row["event_time"],
        row["definition"],
        knowledge.get("base", NOTHING),
        knowledge.get("positions", {}),
        row["vector"],
        knowledge.get("tables", {}),
        keys,
    )


def _order(k: K) -> tuple[Known, tuple[tuple[str, Known], ...], Pairs]:
    return k.everywhere, k.keys or (), k.tables


def _bits(values: Values, name: str) -> tuple[bytes, bool]:
    value, valid = values[name]
    return value.tobytes(), bool(valid[0])


def _shown(values: Values, name: str) -> object:
    value, valid = values[name]
    return value[0].item() if valid[0] else None


def _refuse_other_definitions(pipeline: Pipeline, served: Sequence[Served]) -> None:
    other = sorted({item.definition for item in served} - {pipeline.definition})
    if other:
        raise UserError(
            f"vectors were served under definition {', '.join(other)}, and the pipeline's is {pipeline.definition}",
            where=f"audit of {pipeline.name}",
            next_step="audit them with the declaration that they were served under",
        )
