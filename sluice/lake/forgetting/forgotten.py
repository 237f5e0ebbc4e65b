"""What was forgotten, as far as it takes to know it again: which rows are of it, be they typed or raw."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.facts import column_type, id_type
from sluice.engine.tiles import Id
from sluice.engine.versions import id_codes
from sluice.lake.contract import BRONZE, ERASED, TOPIC, Checked, check, format_of
from sluice.lake.decoding import Schema, decode
from sluice.lake.forgetting.pseudonyms import Pseudonyms
from sluice.lake.typing import integer

_WORD = re.compile(rb"[^\s\"'{}\[\]():,;=<>\\\x00-\x1f]+")
"""What may be a value in a text that nobody can take apart."""
_NO_SCHEMAS: Mapping[int, Schema] = MappingProxyType({})
_NEVER = int(np.iinfo(np.int64).min)
_EVER = _NEVER + 1
"""A moment before every other."""


@dataclass(frozen=True)
class Forgotten:
    """Entities with the moment up to which their events are forgotten, and events that are for ever."""

    names: Pseudonyms | None = None
    entities: Mapping[tuple[str, bytes], int] = field(default_factory=dict)
    """By key column and pseudonym; in microseconds."""
    events: frozenset[tuple[str, bytes]] = frozenset()
    """By stream and pseudonym of the id."""
    erasures: int = 0
    """How many there were when this was read."""

    def __bool__(self) -> bool:
        return bool(self.entities or self.events)

    @property
    def keys(self) -> set[str]:
        """The key columns of entities."""
        return {key for key, _ in self.entities}

    def with_events(self, stream: str, ids: pa.Array) -> Forgotten:
        """The same, with more events of a stream."""
        if self.names is None or not len(ids):
            return self
        return replace(self, events=self.events | {(stream, self.names.of(stream, one)) for one in ids.to_pylist()})

    def until(self, key: str, value: Id) -> int:
        """Up to which moment the events of an entity are forgotten; the least there is for one that was not."""
        return _NEVER if self.names is None else self.entities.get((key, self.names.of(key, value)), _NEVER)

    def mask(self, stream: Stream, rows: pa.Table) -> Mask:
        """Which typed or encoded events of a stream are forgotten, or tell about one that is."""
        gone = np.zeros(len(rows), bool)
        if not self or not len(rows):
            return gone
        time, _ = integers(rows.column("_time").cast(pa.int64()))
        for key in sorted(self.keys & set(stream.columns)):
            gone |= _each(rows.column(key), partial(self.until, key)) >= time
        for name, column in self._told(stream):
            gone |= _each(rows.column(column), partial(self.has, name)) > 0
        return gone

    def has(self, stream: str, identity: Id) -> bool:
        """Whether an event is forgotten."""
        return self.names is not None and (stream, self.names.of(stream, identity)) in self.events

    def whole(self, stream: Stream, rows: pa.Table) -> Mask:
        """Which versions of events go: those that are forgotten; and all of an event whose last owner is.

        One that was corrected to be another entity's loses the versions before that, and stays.
        """
        named = self.mask(stream, rows)
        if not named.any():
            return named
        codes = np.unique(id_codes(rows.column("_id")), return_inverse=True)[1].ravel()
        revision, owned = integers(rows.column("_revision"))[0], _owned(stream, rows, self.keys)
        top = np.full(codes.max() + 1, -1, np.int64)
        np.maximum.at(top, codes[owned], revision[owned])
        going = np.zeros(len(top), bool)
        going[codes[named & (revision == top[codes])]] = True
        return np.asarray(named | going[codes], bool)

    def standing(self, stream: Stream, rows: pa.Table) -> pa.Table:
        """Typed or encoded events without those that are forgotten."""
        gone = self.mask(stream, rows)
        return rows.filter(pa.array(~gone)) if gone.any() else rows

    def erased(self, contract: Stream, bronze: pa.Table, schemas: Mapping[int, Schema] = _NO_SCHEMAS) -> pa.Table:
        """Raw events; those that are forgotten without their content."""
        gone = self.raw(contract, bronze, schemas)
        return emptied(contract, schemas, bronze, gone) if gone.any() else bronze

    def raw(self, contract: Stream, bronze: pa.Table, schemas: Mapping[int, Schema] = _NO_SCHEMAS) -> Mask:
        """Which raw events are forgotten, by what the contract reads in them; of refused ones, by what they name."""
        if not self or not len(bronze):
            return np.zeros(len(bronze), bool)
        gone, checked = np.zeros(len(bronze), bool), _numbered(contract, bronze, schemas)
        gone[integers(checked.accepted.column("_partition"))[0][self.mask(contract, checked.accepted)]] = True
        refused = checked.rejected
        columns = (refused.column(name).to_pylist() for name in ("partition", "payload", "source"))
        for index, payload, source in zip(*columns, strict=True):
            gone[index] = self.named_in(contract, payload or b"", format_of(contract, source), schemas)
        return gone

    def named_in(self, stream: Stream, payload: bytes, form: str, schemas: Mapping[int, Schema]) -> bool:
        """Whether a refused payload names what is forgotten; one that cannot be taken apart, by any word of it."""
        row = decode(form, payload, schemas)
        if not isinstance(row, dict):
            return self.in_words(stream, payload)
        return self.in_row(stream, {name: row.get(stream.source(name)) for name in stream.all_columns})

    def in_strange(self, stream: Stream, payload: bytes) -> bool:
        """Whether a row of a file that lacks a declared column names what is forgotten in one that is not declared."""
        row = decode("json", payload, _NO_SCHEMAS)
        if not isinstance(row, dict):
            return False
        sources = {stream.source(name): name for name in stream.all_columns}
        lacking = [name for source, name in sources.items() if source not in row]
        strange = [value for name, value in row.items() if name not in sources]
        return any(self.in_row(stream, {name: value}) for name in lacking for value in strange)

    def in_row(self, stream: Stream, row: Mapping[str, Any], *, since: int = _EVER) -> bool:
        """Whether declared columns of a row, as people write them, name what is forgotten of a moment or later."""
        for key in self.keys & set(stream.columns):
            if any(
                self.until(key, value) >= since for value in _values(row.get(key), column_type(stream.columns[key]))
            ):
                return True
        return any(
            self.has(name, value)
            for name, column in self._told(stream, named=True)
            for value in _values(row.get(column), id_type(stream if name == stream.name else _parent(stream)))
        )

    def in_words(self, stream: Stream, text: bytes, *, since: int = _EVER) -> bool:
        """Whether any word of a text names what is forgotten of a moment or later."""
        for word in {one.decode(errors="replace") for one in _WORD.findall(text)}:
            if any(self.until(key, word) >= since for key in self.keys & set(stream.columns)):
                return True
            if any(self.has(name, word) for name, _ in self._told(stream)):
                return True
        return False

    def _told(self, stream: Stream, *, named: bool = False) -> Iterator[tuple[str, str]]:
        """The streams whose events a row names, and the column that does."""
        if not named:
            yield stream.name, "_id"
        elif len(stream.id_columns) == 1:
            yield stream.name, stream.id_columns[0]
        if stream.parent is not None:
            yield stream.parent[1].name, stream.parent[0]


def emptied(contract: Stream, schemas: Mapping[int, Schema], bronze: pa.Table, gone: Mask) -> pa.Table:
    """Raw events of which some have only their place left, and those of a topic the time of their event."""
    mask = pa.array(gone)
    own = {"payload": pa.scalar(b""), "known": _times(contract, schemas, bronze, gone)}
    own |= {"revision": pa.scalar(None, pa.int32()), "op": pa.scalar(ERASED, pa.int8())}
    for name, value in own.items():
        kind = bronze.schema.field(name)
        column = pc.if_else(mask, value, bronze.column(name))
        bronze = bronze.set_column(bronze.schema.get_field_index(name), kind, column.cast(kind.type))
    return bronze


def _times(contract: Stream, schemas: Mapping[int, Schema], bronze: pa.Table, gone: Mask) -> pa.Array:
    """The event time of each accepted event of a topic that goes; null for every other row."""
    asked = np.flatnonzero(gone & pc.starts_with(bronze.column("source"), TOPIC).to_numpy())
    accepted = _numbered(contract, bronze.take(pa.array(asked)).select(BRONZE.names), schemas).accepted
    times, known = np.zeros(len(bronze), np.int64), np.zeros(len(bronze), bool)
    at = asked[integers(accepted.column("_partition"))[0]]
    times[at], known[at] = integers(accepted.column("_time"))[0], True
    return pa.array(times, mask=~known)


def _numbered(contract: Stream, bronze: pa.Table, schemas: Mapping[int, Schema]) -> Checked:
    """Raw events under the contract, which tells of each by its partition which row it was: it never looks at it."""
    rows = np.arange(len(bronze), dtype=np.int32)
    where = bronze.schema.get_field_index("partition")
    numbered = bronze.set_column(where, BRONZE.field("partition"), pa.array(rows))
    return check(contract, numbered, batch="", schemas=schemas)


def _owned(stream: Stream, rows: pa.Table, keys: set[str]) -> Mask:
    """Which versions say whose they are, or what they tell about."""
    columns = [*sorted(keys & set(stream.columns)), *([stream.parent[0]] if stream.parent else [])]
    owned = np.zeros(len(rows), bool)
    for name in columns:
        owned |= rows.column(name).is_valid().to_numpy()
    return owned


def _parent(stream: Stream) -> Stream:
    if stream.parent is None:
        raise AssertionError(f"{stream} has no parent")
    return stream.parent[1]


def _each(column: pa.ChunkedArray, told: Callable[[Id], int]) -> Ints:
    """What is told of each value, asked once for each different one; the least there is for null."""
    coded = column.combine_chunks().dictionary_encode()
    answers = np.array([*(told(value) for value in coded.dictionary.to_pylist()), _NEVER], np.int64)
    places, valid = integers(coded.indices)
    return answers[np.where(valid, places, len(answers) - 1)]


def _values(value: Any, kind: pa.DataType) -> Sequence[Id]:
    """What a raw value may be read as."""
    if value is None:
        return ()
    if isinstance(value, dict | list):
        return [word.decode(errors="replace") for word in _WORD.findall(orjson.dumps(value, default=str))]
    whole = integer(value) if pa.types.is_integer(kind) else None
    return [str(value)] if whole is None else [whole, str(value)]
