"""Facts in Redis: all of one anchor in one field, so that what a batch asks for is one question.

A field's value begins with the least time of its facts, written so that it sorts as bytes: what is to be forgotten is
found without reading the facts themselves.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from sluice.engine.redis_words import Command, Keys, changes, field_of, id_of
from sluice.engine.store import Fact, Name
from sluice.engine.tiles import Id

Ask = Callable[[Command], Any]
"""The reply to one command."""
By = dict[Id, list[Fact]]
"""Facts by anchor."""
_RECORD = struct.Struct("<qqqqqBBHII")
"""Time, revision, hash, known, watermark, whether there is one, operation, bytes of stream, id and values."""
_ZERO = 2**63
_TIME = 8
_PAGE = 1000
"""About how many fields are looked through at once for what is to be forgotten."""


def packed(facts: Sequence[Fact]) -> bytes:
    """The value of some facts of one anchor; the same bytes in whatever order they are given."""
    least = min(fact.time for fact in facts)
    return b"".join((_time(least), *sorted(map(_record, facts))))


def unpacked(anchor: Id, body: bytes) -> list[Fact]:
    """The facts of an anchor from their value."""
    found, at = [], _TIME
    while at < len(body):
        time, revision, hash_, known, mark, marked, op, *sizes = _RECORD.unpack_from(body, at)
        begin = at + _RECORD.size
        middle, end = begin + sizes[0], begin + sizes[0] + sizes[1]
        at = end + sizes[2]
        stream, identity, values = body[begin:middle].decode(), id_of(body[middle:end]), body[end:at]
        watermark = mark if marked else None
        found.append(Fact(anchor, stream, identity, revision, hash_, op, time, known, watermark, values))
    return found


def facts_of(keys: Keys, anchors: Iterable[Id]) -> Command:
    """What asks for the facts of some anchors."""
    return ("HMGET", keys.facts, *map(field_of, anchors))


def read_facts(anchors: Sequence[Id], bodies: Sequence[bytes | None]) -> By:
    """The facts of each anchor that has any, from the reply."""
    return {anchor: unpacked(anchor, body) for anchor, body in zip(anchors, bodies, strict=True) if body is not None}


def elsewhere_of(keys: Keys, names: Iterable[Name]) -> Command:
    """What asks where versions of some events are anchored, other than at their own ids."""
    return ("HMGET", keys.elsewhere, *map(_field, names))


def read_elsewhere(bodies: Sequence[bytes | None]) -> list[list[Id]]:
    """The anchors of each event, from the reply."""
    return [orjson.loads(body) if body is not None else [] for body in bodies]


def fact_changes(
    ask: Ask, keys: Keys, came: Sequence[Fact], forget: int | None, gone: Sequence[Fact] = ()
) -> Iterator[Command]:
    """The commands that add facts, and drop some and those before a time; what they depend on is asked now."""
    anchors = list(dict.fromkeys(fact.anchor for fact in (*came, *gone)))
    before = read_facts(anchors, ask(facts_of(keys, anchors))) if anchors else {}
    after = _added(before, came)
    after |= _without({**before, **after}, gone)
    if forget is not None:
        before |= {anchor: facts for anchor, facts in _older(ask, keys, forget) if anchor not in after}
        after = {
            anchor: [fact for fact in facts if fact.time >= forget] for anchor, facts in {**before, **after}.items()
        }
    bodies = ((field_of(anchor), packed(facts) if facts else None) for anchor, facts in after.items())
    yield from changes(keys.facts, bodies)
    yield from _moves(ask, keys, before, after)


def _added(before: By, came: Iterable[Fact]) -> By:
    """The facts of the anchors of what came, with what came; of one version the last copy stands."""
    after: By = {}
    for fact in came:
        after.setdefault(fact.anchor, []).append(fact)
    for anchor, facts in after.items():
        if anchor in before or len(facts) > 1:
            after[anchor] = list({fact.version: fact for fact in (*before.get(anchor, ()), *facts)}.values())
    return after


def _without(before: By, gone: Sequence[Fact]) -> By:
    """What is left of the anchors of facts that are removed."""
    versions = {(fact.anchor, fact.version) for fact in gone}
    return {
        anchor: [fact for fact in before.get(anchor, ()) if (anchor, fact.version) not in versions]
        for anchor in dict.fromkeys(fact.anchor for fact in gone)
    }


def _older(ask: Ask, keys: Keys, time: int) -> Iterator[tuple[Id, list[Fact]]]:
    """The facts of every anchor that has one before a time."""
    cut, cursor = _time(time), b"0"
    while True:
        cursor, page = ask(("HSCAN", keys.facts, cursor, "COUNT", _PAGE))
        for field, body in zip(page[::2], page[1::2], strict=True):
            if body < cut:
                yield id_of(field), unpacked(id_of(field), body)
        if cursor == b"0":
            return


def _moves(ask: Ask, keys: Keys, before: By, after: By) -> Iterator[Command]:
    """The commands that keep up where the versions of an event are anchored, other than at its own id."""
    gained, lost = _pairs(after) - _pairs(before), _pairs(before) - _pairs(after)
    names = list(dict.fromkeys(name for name, _ in (*gained, *lost)))
    if not names:
        return
    listed = read_elsewhere(ask(elsewhere_of(keys, names)))
    found = {name: set(anchors) for name, anchors in zip(names, listed, strict=True)}
    for name, anchor in lost:
        found[name].discard(anchor)
    for name, anchor in gained:
        found[name].add(anchor)
    yield from changes(keys.elsewhere, ((_field(name), _listed(anchors)) for name, anchors in found.items()))


def _pairs(facts: Mapping[Id, Iterable[Fact]]) -> set[tuple[Name, Id]]:
    return {(fact.name, anchor) for anchor, some in facts.items() for fact in some if fact.id != anchor}


def _listed(anchors: set[Id]) -> bytes | None:
    return orjson.dumps(sorted(anchors, key=field_of)) if anchors else None


def _record(fact: Fact) -> bytes:
    stream, identity, watermark = fact.stream.encode(), field_of(fact.id), fact.watermark
    numbers = _RECORD.pack(
        fact.time,
        fact.revision,
        fact.hash,
        fact.known,
        watermark or 0,
        watermark is not None,
        fact.op,
        len(stream),
        len(identity),
        len(fact.values),
    )
    return b"".join((numbers, stream, identity, fact.values))


def _field(name: Name) -> bytes:
    return name[0].encode() + b":" + field_of(name[1])


def _time(time: int) -> bytes:
    return (time + _ZERO).to_bytes(_TIME, "big")
