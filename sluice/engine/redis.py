"""The online store in Redis: one place for writers and readers on any number of machines.

A change is one transaction: the knowledge is watched and compared with what the change expects, and all of it is
written unless anything was written since. A read asks for the knowledge before and after everything else, and again if
it has changed. A base is loaded into keys of a generation of its own, while readers go on with the one before, until
one write of the knowledge names the new one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from sluice.engine.redis_facts import elsewhere_of, fact_changes, facts_of, read_elsewhere, read_facts
from sluice.engine.redis_link import Link, Session
from sluice.engine.redis_tiles import Wanted, tile_changes
from sluice.engine.redis_words import EMPTY, FORMAT, Command, Keys, Names, State, id_of, parts, read_state, written
from sluice.engine.store import (
    Call,
    Change,
    ChunkGone,
    ChunkName,
    Fact,
    Heads,
    Knowledge,
    Name,
    NotThere,
    Reading,
    StoreDown,
    nothing,
)
from sluice.engine.tiles import Id
from sluice.errors import Outage, SettingsError, UserError

_READER_S, _WRITER_S = 1.0, 10.0
"""How long an answer is waited for: a reader has its caller waiting, a writer's batch may be large."""
_PAGE = 1000
"""Tiles or facts that are loaded together, and heads that are looked through together."""


class RedisStore:
    """A tile store in Redis, for any number of threads.

    StoreDown when Redis does not answer in time, or cannot at the moment: what it was asked may have happened, or not.
    A writer is also told so, once, when Redis has lost the last changes that it saw: readers take it as it is.
    """

    def __init__(self, uri: str, pipeline: str, *, read_only: bool = False) -> None:
        self._link = Link(uri, patience_s=_READER_S if read_only else _WRITER_S)
        self._names = Names(pipeline)
        self._read_only = read_only
        self._last: tuple[bytes | None, State] = None, EMPTY
        if read_only:
            self._check_there()
        else:
            self._check_room()
            self._link.ask(("SET", self._names.knowledge, written(EMPTY), "NX"))
        self._ask(lambda _: [])

    def load(self, base: int, tiles: Iterable[tuple[str, Id, int | None, bytes]], facts: Iterable[Fact]) -> None:
        """Replace everything by a base version; a tile without start is a head, and positions start empty."""
        self._check_writer()
        with self._link.session() as session:
            [generation] = session.ask(("INCR", self._names.loads))
            session.ask(("SADD", self._names.generations, generation))
            keys = self._names.of(generation)
            for some in parts(tiles, _PAGE):
                heads = [(view, key, body) for view, key, start, body in some if start is None]
                chunks = [(view, key, start, body) for view, key, start, body in some if start is not None]
                session.ask(*tile_changes(keys, heads, chunks))
            for came in parts(facts, _PAGE):
                session.ask(*fact_changes(session.ask_one, keys, came, None))
            self._switch(session, generation, base)
            [left] = session.ask(("SMEMBERS", self._names.generations))
            # the first generation was begun by no load
            self._drop(session, {EMPTY.generation, *(at for at in map(int, left) if at < generation)})

    def read(self, names: Sequence[tuple[str, Id | None]], call: Call | None = None) -> Reading:
        """The heads of some entities (nobody's is None), the chunks they call for, and what they know.

        One round trip when no chunks are called for. Else heads and chunks are read together, and again if other heads
        have come between that call for more.
        """
        before: Heads | None = None
        called: list[ChunkName] = []
        while True:
            wanted = Wanted(names, called)
            state, replies = self._ask(wanted.commands)
            heads, chunks = wanted.read(replies)
            if heads != before:
                called = list(dict.fromkeys((call or nothing)(heads)))
            if chunks.keys() >= set(called):
                return Reading(heads, {name: _there(name, chunks[name]) for name in called}, state.known)
            before = heads

    def scan(self, view: str) -> Iterator[tuple[Id, bytes]]:
        """Every head of a view."""
        found: dict[bytes, bytes] = {}
        cursor, generation = b"0", self._last[1].generation
        while True:
            state, [(after, page)] = self._ask(partial(_scanned, view, cursor))
            if state.generation != generation:
                # another base was loaded: what was found belongs to the one before, and so does the cursor
                found, cursor, generation = {}, b"0", state.generation
                continue
            found.update(zip(page[::2], page[1::2], strict=True))
            cursor = after
            if cursor == b"0":
                break
        yield from ((id_of(field), head) for field, head in found.items())

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version that was anchored at the given ids."""
        listed = list(dict.fromkeys(anchors))
        if not listed:
            return []
        _, [bodies] = self._ask(lambda keys: [facts_of(keys, listed)])
        return [fact for some in read_facts(listed, bodies).values() for fact in some]

    def versions(self, names: Sequence[Name]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
        wanted = dict.fromkeys(names)
        anchors = own = list(dict.fromkeys(identity for _, identity in wanted))
        while anchors:
            _, [bodies, further] = self._ask(partial(_anchored, anchors, wanted))
            elsewhere = {anchor for some in read_elsewhere(further) for anchor in some}
            if elsewhere <= set(anchors):
                found = read_facts(anchors, bodies).values()
                return [fact for some in found for fact in some if fact.name in wanted]
            anchors = list(dict.fromkeys([*own, *elsewhere]))
        return []

    def apply(self, change: Change, *, forget: int | None = None) -> None:
        """Write a change and drop the facts before a time, or raise LostPartition and write nothing."""
        self._check_writer()
        with self._link.session() as session:
            while not self._applied(session, change, forget):
                pass

    def purge(self) -> None:
        """Its files are the server's: an append-only file has what was removed until the server writes it anew."""

    def close(self) -> None:
        """Close the connections."""
        self._link.close()

    def _applied(self, session: Session, change: Change, forget: int | None) -> bool:
        """Whether the change was written; not if anything was written meanwhile."""
        held = self._watched(session)
        held.known.demand(change.expected)
        keys = self._names.of(held.generation)
        moved = Knowledge(held.known.base, {**held.known.positions, **change.positions})
        commands = [
            *tile_changes(keys, change.heads, change.chunks),
            *fact_changes(session.ask_one, keys, change.facts, forget, change.gone),
            ("SET", self._names.knowledge, written(held.after(held.generation, moved))),
        ]
        return session.atomically(commands) is not None

    def _switch(self, session: Session, generation: int, base: int) -> None:
        """Name a generation as the one that is read from now on; Outage when a later one is named already."""
        while (held := self._watched(session)).generation < generation:
            named = written(held.after(generation, Knowledge(base, {})))
            if session.atomically([("SET", self._names.knowledge, named)]) is not None:
                return
        self._drop(session, [generation])
        raise Outage(
            "another base was loaded meanwhile, and stands",
            where=self._link.where,
            next_step="load this one again, if it is the newer one",
        )

    def _drop(self, session: Session, generations: Iterable[int]) -> None:
        """Remove what generations have left; Redis frees the memory beside its other work."""
        for generation in generations:
            keys = self._names.of(generation)
            views = session.ask_one(("SMEMBERS", keys.views))
            names = keys.all(view.decode() for view in views)
            session.ask(("UNLINK", *names), ("SREM", self._names.generations, generation))

    def _watched(self, session: Session) -> State:
        """What is known; what is asked atomically next happens only if nothing is written in between."""
        seen = self._last[1]
        _, body = session.ask(("WATCH", self._names.knowledge), ("GET", self._names.knowledge))
        return self._state(body, seen)

    def _ask(self, listed: Callable[[Keys], Sequence[Command]]) -> tuple[State, list[Any]]:
        """The replies to commands on the present generation, and what was known; nothing was written in between.

        They are asked between two questions for the knowledge, which every change changes. A transaction would do the
        same, but a Redis whose memory is full refuses transactions, also of readers.
        """
        knowledge, seen = ("GET", self._names.knowledge), self._last[1]
        while True:
            before, *replies, after = self._link.ask(knowledge, *listed(self._names.of(seen.generation)), knowledge)
            state = self._state(after, seen)
            if before == after and state.generation == seen.generation:
                return state, replies
            seen = state

    def _state(self, body: bytes | None, seen: State) -> State:
        """What the knowledge says now, some time after another state was seen; the same bytes are not read again."""
        last, state = self._last
        if body != last:
            found = read_state(body)
            if found is None:
                raise Outage(
                    f"the online store has another format than this version's {FORMAT}",
                    where=self._link.where,
                    next_step=f"remove the keys {self._names.all} and run the flow `features`: it is made from history",
                )
            self._last, state = (body, found), found
        if state.change < seen.change and not self._read_only:
            raise StoreDown(
                f"Redis has lost its last changes: it holds {state.change} of {seen.change}",
                where=self._link.where,
                next_step="read the positions again, and go on from them",
            )
        return state

    def _check_there(self) -> None:
        [body] = self._link.ask(("GET", self._names.knowledge))
        if body is None:
            raise NotThere.at(f"{self._link.where}, {self._names.knowledge}")

    def _check_room(self) -> None:
        """SettingsError where Redis may throw away what it has no memory for."""
        [given] = self._link.ask(("INFO", "memory"))
        limit, policy = (re.search(rb"\r\n%b:(\S+)" % name, given) for name in (b"maxmemory", b"maxmemory_policy"))
        if limit and policy and limit[1] != b"0" and policy[1].startswith(b"allkeys"):
            raise SettingsError(
                f"this Redis may throw tiles away: its maxmemory-policy is {policy[1].decode()}",
                where=self._link.where,
                allowed="noeviction, or one of volatile-*",
                next_step="CONFIG SET maxmemory-policy noeviction, or name another Redis",
            )

    def _check_writer(self) -> None:
        if self._read_only:
            raise UserError("this store was opened to be read", where=self._link.where)


def _scanned(view: str, cursor: bytes, keys: Keys) -> list[Command]:
    return [("HSCAN", keys.heads(view), cursor, "COUNT", _PAGE)]


def _anchored(anchors: Iterable[Id], names: Iterable[Name], keys: Keys) -> list[Command]:
    return [facts_of(keys, anchors), elsewhere_of(keys, names)]


def _there(name: ChunkName, body: bytes | None) -> bytes:
    if body is None:
        raise ChunkGone.at(name)
    return body
