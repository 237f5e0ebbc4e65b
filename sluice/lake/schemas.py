"""Registered schemas, kept in the lake before a row is judged by them: an audit next year depends on no registry.

    schemas     a schema that messages of a topic name by its id; append-only, the first row of an id is its meaning

An id that the registry does not know is kept as unknown, and its messages stay refused: a row that was refused for it
must not be accepted when it is judged again, whatever was registered since.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Stream
from sluice.errors import ServiceDown, UserError
from sluice.lake.contract import TOPIC
from sluice.lake.decoding import HEAD, UNKNOWN, Schema, schema_ids
from sluice.lake.tables import Lake

SCHEMAS = pa.schema(
    {
        "id": pa.int64(),
        "subject": pa.string(),
        "kind": pa.string(),
        "text": pa.string(),
        "references": pa.string(),
        "hash": pa.string(),
    }
)
"""`references`: pairs of name and text, each after those that it refers to; `hash`: SHA-256 of the text and those."""

_AGAIN_S = (0.5, 1.5)
"""A registry of several machines may not know everywhere yet what was registered a moment ago: it is asked again."""


class RegistryDown(ServiceDown):
    """The registry does not answer: the rows that need it wait, and none is judged without it."""


class Registry(Protocol):
    """Where schemas are registered."""

    def schema(self, number: int) -> Schema | None:
        """The schema of an id, None if it has none; RegistryDown when it does not answer."""
        ...


class MemoryRegistry:
    """A registry in this process: what is put into it can be looked up."""

    def __init__(self, schemas: Mapping[int, Schema] | None = None) -> None:
        self.schemas = dict(schemas or {})

    def schema(self, number: int) -> Schema | None:
        """The schema that was put there."""
        return self.schemas.get(number)


class Schemas:
    """The schemas that a lake has, and those that a registry adds to it when a message names them first."""

    def __init__(self, lake: Lake, registry: Registry | None, *, again_s: Sequence[float] = _AGAIN_S) -> None:
        self._lake, self._registry, self._again_s = lake, registry, again_s
        self._held: Mapping[int, Schema] = {}

    def of(self, stream: Stream, payloads: Iterable[bytes | None]) -> Mapping[int, Schema]:
        """What is needed to judge messages of a stream's topic, in the lake by then.

        RegistryDown when a schema is not there and the registry does not answer; UserError when none is named.
        """
        if stream.format == "json":
            return self._held
        wanted = schema_ids(payloads)
        if not wanted <= self._held.keys():
            self._held = kept(self._lake)
        if not wanted <= self._held.keys():
            self._learn(wanted - self._held.keys(), stream)
        return self._held

    def of_events(self, stream: Stream, bronze: pa.Table) -> Mapping[int, Schema]:
        """What is needed to judge raw events of a stream, in the lake by then; what came in files names no schema."""
        if stream.format == "json":
            return self._held
        sent = bronze.column("payload").filter(pc.starts_with(bronze.column("source"), TOPIC))
        return self.of(stream, pc.binary_slice(sent, 0, HEAD).to_pylist())

    def _learn(self, wanted: set[int], stream: Stream) -> None:
        """Keep what the registry says of some ids, unless another process was first."""
        found = self._ask(wanted, stream)
        rows = [_row(number, schema) for number, schema in sorted(found.items())]
        self._lake.append_new("schemas", pa.Table.from_pylist(rows, schema=SCHEMAS), "id")
        self._held = kept(self._lake)

    def _ask(self, wanted: set[int], stream: Stream) -> dict[int, Schema]:
        if self._registry is None:
            raise UserError(
                f"messages name schema {min(wanted)}, and no registry is named",
                where=f"topic of {stream.name}",
                next_step="set SLUICE_SCHEMA_REGISTRY_URL",
            )
        found: dict[int, Schema] = {}
        for pause in (0.0, *self._again_s):
            if missing := sorted(wanted - found.keys()):
                time.sleep(pause)
                answers = {number: self._registry.schema(number) for number in missing}
                found |= {number: schema for number, schema in answers.items() if schema is not None}
        return {number: found.get(number, Schema(UNKNOWN, "")) for number in wanted}


def kept_for(lake: Lake, stream: Stream) -> dict[int, Schema]:
    """The schemas that messages of a stream's topic may name: none for JSON."""
    return {} if stream.format == "json" else kept(lake)


def kept(lake: Lake) -> dict[int, Schema]:
    """The schemas that a lake has, by id."""
    return {
        row["id"]: Schema(
            row["kind"],
            row["text"],
            tuple((name, text) for name, text in json.loads(row["references"])),
            row["subject"],
        )
        for row in lake.rows("schemas")
    }


def _row(number: int, schema: Schema) -> dict[str, object]:
    references = json.dumps(schema.references)
    digest = hashlib.sha256(f"{schema.text}\n{references}".encode()).hexdigest()
    told = {"id": number, "subject": schema.subject, "kind": schema.kind, "text": schema.text}
    return {**told, "references": references, "hash": digest}
