"""The audit: served vectors computed again from bronze, as of what each of them could know, and compared bit for bit.

Nothing of the serving path is trusted: the raw events within K go through the contract and the batch kernel, and as-of
tables are read from the lake at the versions of K; silver, tiles and the online store are not read. A mismatch is a
defect by definition, and is named with the features hit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import Lookups
from sluice.engine.encode import Ints
from sluice.engine.vectors import Values, as_values, pack, unpack, vectors
from sluice.errors import UserError
from sluice.lake.asof import load
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.monitor.bronze import Bronze
from sluice.monitor.related import Related

AUDITS = pa.schema(
    {
        "request_id": pa.string(),
        "event_id": pa.string(),
        "event_time": pa.int64(),
        "definition": pa.string(),
        "equal": pa.bool_(),
        "features": pa.string(),
        "at": pa.int64(),
    }
)
"""The table `audits`: one row for each vector checked; `features` names those that differ, with both values."""

Pairs: TypeAlias = tuple[tuple[str, int], ...]
"""Positions of partitions or versions of tables, in the order of their names."""

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

    @property
    def knowledge(self) -> tuple[int, Pairs, Pairs]:
        """K, to group by."""
        return self.base, tuple(sorted(self.positions.items())), tuple(sorted(self.tables.items()))


@dataclass(frozen=True)
class Audited:
    """What the audit found of one vector; `differences` maps features to (served, computed)."""

    served: Served
    differences: Mapping[str, tuple[object, object]]


def served_rows(predictions: Iterable[Mapping[str, Any]]) -> list[Served]:
    """The vectors of rows of the table `predictions`; a vector that several models scored counts once."""
    found: dict[tuple[str, str, str, bytes], Served] = {}
    for row in predictions:
        knowledge = json.loads(row["knowledge"])
        found[row["request_id"], row["event_id"], row["request"], row["vector"]] = Served(
            row["request_id"],
            row["event_id"],
            orjson.loads(row["request"]),
            row["event_time"],
            row["definition"],
            knowledge["base"],
            knowledge["positions"],
            row["vector"],
            knowledge.get("tables", {}),
        )
    return list(found.values())


def audit(lake: Lake, pipeline: Pipeline, served: Sequence[Served]) -> list[Audited]:
    """Compute every vector again from bronze at its (t, K), in the order of K.

    UserError for vectors of another definition than the pipeline's; Outage while the archive is behind their K.
    """
    _refuse_other_definitions(pipeline, served)
    by_base: dict[int, list[Served]] = {}
    for item in sorted(served, key=lambda item: item.knowledge):
        by_base.setdefault(item.base, []).append(item)
    return [
        audited for base, group in by_base.items() for audited in _Recomputation(lake, pipeline, base, group).compare()
    ]


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
        }
        for item in audited
    ]


class _Recomputation:
    """The vectors of one base, computed again."""

    def __init__(self, lake: Lake, pipeline: Pipeline, base: int, served: Sequence[Served]) -> None:
        self._lake, self._pipeline, self._served = lake, pipeline, served
        self._requests = encode_requests(pipeline, [item.request for item in served])
        self._bronze = Bronze(lake, pipeline, base)
        self._events = self._bronze.events
        self._related = Related(pipeline, self._events, self._requests)

    def compare(self) -> list[Audited]:
        """What was served beside what is computed."""
        groups: dict[tuple[Pairs, Pairs], list[int]] = {}
        for place, item in enumerate(self._served):
            groups.setdefault(item.knowledge[1:], []).append(place)
        for positions, _ in groups:
            self._bronze.require(dict(positions))
        lookups = {tables: load(self._lake, self._pipeline, dict(tables)) for _, tables in groups}
        return [
            Audited(self._served[place], differences(self._pipeline, self._served[place].vector, bits))
            for (positions, tables), places in groups.items()
            for place, bits in zip(
                places, self._packed(dict(positions), lookups[tables], np.array(places)), strict=True
            )
        ]

    def _packed(self, positions: Mapping[str, int], lookups: Lookups, places: Ints) -> list[bytes]:
        events = {
            name: self._events[name].take(pa.array(self._bronze.known(name, rows, positions)))
            for name, rows in self._related.rows(places).items()
        }
        computed = vectors(self._pipeline, events, self._requests.take(pa.array(places)), lookups)
        return pack(self._pipeline, as_values(self._pipeline, computed))


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
