"""Keep a lake as its declaration says: drop what is old, pack what is small, and take away what nobody names.

What would be done is looked at, and what is to be done is done, by the same steps: only the hands differ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.lake.files import remove
from sluice.lake.keeping import compaction, retiring, vacuum
from sluice.lake.keeping.answers import Answers
from sluice.lake.keeping.holds import Held, holding
from sluice.lake.keeping.pins import Pins, is_kept_whole, pins
from sluice.lake.keeping.plan import Rule, kept, of_stream, rules
from sluice.lake.keeping.present import File, tables
from sluice.lake.keeping.retired import floor, since_of, unfinished
from sluice.lake.keeping.retiring import Old, old
from sluice.lake.keeping.rewriting import Change, Older, Share, Which, rewrite, share, without
from sluice.lake.lineage.datasets import Run, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.tables import Lake
from sluice.lake.tiles import TILES, without_old

DROPPED, PACKED, VACUUMED, KEPT = "rows dropped", "files packed", "files removed", "kept"
_BY_ENTITY = ("vectors", "vectors_as_served", "rows", "rows_as_served")
"""Tables whose rows name their entities in columns."""
_NAMELESS = ("audits", "predictions_refused")
"""Tables whose rows are about entities, and do not name them."""
_RECORDS = ("retirements", "retired")


@dataclass(frozen=True)
class Told:
    """What keeping does to a table, or why it does nothing: `count` rows or files, and about how many bytes."""

    table: str
    what: str
    count: int
    bytes: int
    because: str


class Hands(Protocol):
    """Those that only look, and those that do."""

    def retire(self, found: Old) -> Mapping[str, Share]:
        """What goes of the tables of a stream."""

    def drop(self, table: str, which: Which, change: Change, /) -> Share:
        """What goes of a table, whose files become what `change` makes of them."""

    def compact(self, table: str) -> int:
        """How many small files become few."""

    def vacuum(self, table: str, pinned: Collection[int]) -> Sequence[File]:
        """The files that nobody names."""

    def leftovers(self) -> Sequence[tuple[str, int]]:
        """What killed runs have left beside the tables."""


@dataclass(frozen=True)
class Looking:
    """Hands that change nothing."""

    lake: Lake

    def retire(self, found: Old) -> Mapping[str, Share]:
        """What would go."""
        return retiring.of_table(self.lake, found)

    def drop(self, table: str, which: Which, _: Change, /) -> Share:
        """What would go."""
        return share(self.lake, table, which)

    def compact(self, table: str) -> int:
        """How many would be packed."""
        return len(compaction.small(self.lake, table))

    def vacuum(self, table: str, pinned: Collection[int]) -> Sequence[File]:
        """What would go."""
        return vacuum.unneeded(self.lake, table, pinned)

    def leftovers(self) -> Sequence[tuple[str, int]]:
        """What would go."""
        return vacuum.leftovers(self.lake)


@dataclass(frozen=True)
class Doing:
    """Hands that do it, at a moment of the event clock."""

    lake: Lake
    at: int

    def retire(self, found: Old) -> Mapping[str, Share]:
        """What has gone."""
        return retiring.retire(self.lake, found, self.at)

    def drop(self, table: str, which: Which, change: Change, /) -> Share:
        """What has gone."""
        return rewrite(self.lake, table, which, change)

    def compact(self, table: str) -> int:
        """How many were packed."""
        return compaction.compact(self.lake, table)

    def vacuum(self, table: str, pinned: Collection[int]) -> Sequence[File]:
        """What has gone."""
        return vacuum.vacuum(self.lake, table, pinned)

    def leftovers(self) -> Sequence[tuple[str, int]]:
        """What has gone."""
        found = vacuum.leftovers(self.lake)
        for name, _ in found:
            remove(self.lake.uri(name))
        return found


def show(lake: Lake, pipeline: Pipeline, at: int, in_use: Collection[str]) -> list[Told]:
    """What keeping would do at a moment, and why not more; nothing is changed."""
    begun = [Told(stream, KEPT, 0, 0, "what was begun is finished first") for stream in _begun(lake, pipeline)]
    return [*begun, *_kept(lake, pipeline, at, in_use, Looking(lake))]


def apply(lake: Lake, pipeline: Pipeline, at: int, in_use: Collection[str]) -> list[Told]:
    """Finish what a keeping that died has left, then keep the lake as declared; what was done, and why not more.

    Models that are `in_use` (`fraud-pos/3`) keep the rows they were trained on, however old. Again, there is nothing
    to do.
    """
    finished: list[str] = []
    told: list[Told] = []
    with told_run(pipeline.name, "keep", lambda: _about(lake, finished, told), at=at):
        for stream in _begun(lake, pipeline):
            for shares in retiring.finish(lake, stream):
                finished += (table for table, one in shares.items() if one.rows)
        told += _kept(lake, pipeline, at, in_use, Doing(lake, at))
    return told


def _about(lake: Lake, finished: Sequence[str], told: Sequence[Told]) -> Run:
    """The tables that were written anew, and those that say what went of them."""
    dropped = {*finished, *(one.table for one in told if one.what == DROPPED and one.count)}
    packed = {one.table for one in told if one.what == PACKED}
    return Run((), tables_of(lake, sorted({*dropped, *packed, *(_RECORDS if dropped else ())})))


def _begun(lake: Lake, pipeline: Pipeline) -> list[str]:
    return [stream.name for stream in pipeline.streams if unfinished(lake, stream.name)]


def _kept(lake: Lake, pipeline: Pipeline, at: int, in_use: Collection[str], hands: Hands) -> Iterator[Told]:
    held, floors = holding(lake), dict[str, int]()
    for stream in pipeline.streams:
        yield from _stream(lake, pipeline, stream, at, held, hands, floors)
    for rule in rules(pipeline, tables(lake), at, floors, since_of(pipeline, floors)):
        yield _ruled(lake, pipeline, rule, held, hands)
    for table in tables(lake):
        if packed := hands.compact(table):
            yield Told(table, PACKED, packed, 0, "many small files")
    wanted = pins(lake, pipeline, at, in_use)
    for table in tables(lake):
        yield from _vacuumed(pipeline, table, held, wanted, hands)
    for name, size in hands.leftovers():
        yield Told(name, VACUUMED, 1, size, "a run that died has left it")


def _stream(
    lake: Lake,
    pipeline: Pipeline,
    stream: Stream,
    at: int,
    held: Held,
    hands: Hands,
    floors: dict[str, int],
) -> Iterator[Told]:
    """Keep the tables of a stream; `floors` learns from when on it is whole."""
    before, hold = floor(lake, stream.name), held.stream(stream.name)
    words = kept(pipeline, stream.name)
    if before is not None:
        floors[stream.name] = before
    if stream.retention is None or hold is not None:
        yield Told(stream.name, KEPT, 0, 0, words if hold is None else f"legal hold {hold.hold} on {hold}")
        return
    found = old(lake, stream, at, held)
    shares = hands.retire(found)
    if len(found.places):
        floors[stream.name] = max(found.before, floors.get(stream.name, found.before))
    yield from (Told(table, DROPPED, one.rows, one.bytes, f"kept {words}") for table, one in shares.items() if one.rows)
    if held.entities():
        yield Told(stream.name, KEPT, 0, 0, "legal holds on entities: their events, and every refused row, stay")


def _ruled(lake: Lake, pipeline: Pipeline, rule: Rule, held: Held, hands: Hands) -> Told:
    hold = held.table(rule.table)
    entities = held.entities()
    if hold is not None:
        return Told(rule.table, KEPT, 0, 0, f"legal hold {hold.hold} on {hold}")
    if entities and rule.table in _NAMELESS:
        return Told(rule.table, KEPT, 0, 0, "legal holds on entities: nobody can tell whose rows these are")
    gone = hands.drop(rule.table, _which(pipeline, rule, entities), _change(lake, pipeline, rule))
    return Told(rule.table, DROPPED, gone.rows, gone.bytes, rule.because)


def _change(lake: Lake, pipeline: Pipeline, rule: Rule) -> Change:
    """What becomes of files with old rows; tiles have many events in one row."""
    if rule.table.startswith(TILES):
        return partial(without_old, lake, pipeline.view(rule.table.removeprefix(TILES)), rule.before)
    return without


def _which(pipeline: Pipeline, rule: Rule, entities: Mapping[str, list[str]]) -> Which:
    """The old rows of a table that are not of a held entity."""
    kind, _, view = rule.table.partition("/")
    if kind == "predictions":
        return Answers(rule.before, entities)
    own = {pipeline.view(view).of: "key"} if view else {key: key for key in pipeline.keys}
    if kind not in _BY_ENTITY:
        own = {}
    held = {column: pa.array(entities[key]) for key, column in own.items() if key in entities}
    return Older(rule.column, rule.before, held)


def _vacuumed(pipeline: Pipeline, table: str, held: Held, wanted: Pins, hands: Hands) -> Iterator[Told]:
    stream = of_stream(pipeline, table)
    hold = held.table(table) or (held.stream(stream) if stream else None)
    if is_kept_whole(table):
        return
    if hold is not None:
        yield Told(table, KEPT, 0, 0, f"legal hold {hold.hold} on {hold}: every version stays")
    elif held.entities() and table.partition("/")[0] in _BY_ENTITY:
        yield Told(table, KEPT, 0, 0, "legal holds on entities: every version stays")
    else:
        mine = wanted.get(table, {})
        for version, models in sorted(mine.items()):
            yield Told(f"{table}@{version}", KEPT, 0, 0, f"trained on by {', '.join(sorted(models))}")
        gone = hands.vacuum(table, mine.keys())
        if gone:
            yield Told(table, VACUUMED, len(gone), sum(file.bytes for file in gone), "no kept version names them")
