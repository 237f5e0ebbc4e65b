"""Forget an entity: everything that a lake and its online stores have of it goes, and stays away.

What goes is looked for, written down beside the tables and announced in one commit: from there on it happens, whatever
dies. What is written down is the one place that still names the entity, and goes last, after the receipt.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import Mask
from sluice.engine.facts import column_type
from sluice.errors import Outage, UserError
from sluice.lake.files import hand_over, handed_over, remove
from sluice.lake.forgetting import erasures, remains, tiles
from sluice.lake.forgetting.erasers import Entity, Erasers, unknown
from sluice.lake.forgetting.erasures import ANNOUNCED, DONE, ENTITY, EVENT, FOLDER, SEEN, TURN, Receipt
from sluice.lake.forgetting.forgotten import Forgotten, emptied
from sluice.lake.forgetting.found import Found, find, left, seen
from sluice.lake.forgetting.pseudonyms import Pseudonyms
from sluice.lake.keeping import retiring
from sluice.lake.keeping.holds import Hold, holding
from sluice.lake.keeping.present import tables
from sluice.lake.keeping.retired import unfinished as half_retired
from sluice.lake.keeping.rewriting import Share, Which, drop, rewrite, share
from sluice.lake.publish import PUBLICATIONS, recover, turn_of
from sluice.lake.tables import Lake
from sluice.lake.training_sets import training_sets
from sluice.lake.typing import integer

_VECTORS = ("vectors", "vectors_as_served")
_LAST = {"rows": 1, "rows_as_served": 1, "tiles": 2}
"""Tiles are laid out anew from rows: these go first."""


@dataclass(frozen=True)
class Plan:
    """What an erasure takes away: of each table how much, and which models can no longer be trained again."""

    entity: Entity
    what: Forgotten
    found: Mapping[str, Found]
    shares: Mapping[str, Share]
    models: Sequence[str]
    strange: Sequence[str]
    """Tables that are not Sluice's: nobody knows whom they are about."""
    answered: Sequence[str]
    turn: int | None
    """How many erasures there were when it was looked for."""

    @property
    def erasers(self) -> Callable[[Pipeline], Erasers]:
        """What goes of each table."""
        return lambda pipeline: Erasers(pipeline, self.entity, self.what, self.found, self.answered)


@dataclass(frozen=True)
class Online:
    """What the online stores are to forget."""

    entity: Entity
    what: Forgotten
    events: Mapping[str, pa.Table]
    """The versions that history had, encoded, by stream."""


Stores = Callable[[Online], None]
"""Has every online store of the pipeline forget it."""


def entity_of(pipeline: Pipeline, text: str, until: int) -> Entity:
    """The entity that a person wrote, as `customer_id=17`; UserError for what is none."""
    key, sign, value = text.partition("=")
    if not sign or key not in pipeline.keys:
        raise UserError.unknown("key", key, pipeline.keys, where="forget")
    if not pa.types.is_integer(column_type(pipeline.events.columns[key])):
        if not value:
            raise UserError(f"{value!r} is no value of {key!r}", where="forget", allowed="a text")
        return Entity(key, value, until)
    number = integer(value)
    if number is None:
        raise UserError(f"{value!r} is no value of {key!r}", where="forget", allowed="a whole number")
    return Entity(key, number, until)


def plan(lake: Lake, pipeline: Pipeline, entity: Entity, names: Pseudonyms) -> Plan:
    """What an erasure would take away; nothing is changed."""
    erasures.check_key(erasures.receipts(lake), names)
    turn = lake.reached_by("erasures", TURN)
    what = Forgotten(names, {(entity.key, names.of(entity.key, entity.value)): entity.until})
    found, what = find(lake, pipeline, what)
    there = tables(lake)
    looked = Erasers(pipeline, entity, what, found)
    answers = looked.of("predictions") if "predictions" in there else None
    answered = [] if answers is None else _asked(lake, answers)
    looked = replace(looked, answered=answered)
    wanted = {table: which for table in there if (which := looked.of(table)) is not None}
    shares = {table: one for table, which in wanted.items() if (one := share(lake, table, which)).rows}
    models = _models(lake, {table: remains.with_rows(lake, table, wanted[table]) for table in _VECTORS if table in wanted})
    return Plan(entity, what, found, shares, models, unknown(there), answered, turn)


def forget(
    lake: Lake, pipeline: Pipeline, entity: Entity, names: Pseudonyms, stores: Stores, *, by: str, because: str
) -> Receipt:
    """Take away all that there is of an entity up to its moment; the receipt.

    UserError without a person and a reason; and under a legal hold, with who placed it.
    """
    for option, given in (("by", by), ("because", because)):
        if not given.strip():
            raise UserError("an erasure names a person and a reason", where=f"--{option}")
    _settle(lake, pipeline)
    finish(lake, pipeline, names, stores)
    planned = plan(lake, pipeline, entity, names)
    refuse_held(lake, pipeline, planned)
    told = Receipt(
        uuid.uuid4().hex, ANNOUNCED, by, because, entity.until, entity.key,
        names.of(entity.key, entity.value).hex(), names.name, {table: one.rows for table, one in planned.shares.items()},
        {name: one.duplicates for name, one in planned.found.items() if one.duplicates}, {}, planned.models,
    )  # fmt: skip
    _write_down(lake, told, planned)
    erasures.announce(lake, told, _pseudonyms(pipeline, told, planned, names), planned.turn)
    return _do(lake, pipeline, told, names, stores)


def finish(lake: Lake, pipeline: Pipeline, names: Pseudonyms, stores: Stores) -> list[Receipt]:
    """Do what was announced and is not done, as it was announced; and take away what one that died had written down."""
    done = [_do(lake, pipeline, told, names, stores) for told in erasures.unfinished(lake)]
    over = [f"{FOLDER}/{one.erasure}" for one in erasures.receipts(lake)]
    for name in {*over, *remains.idle(lake, FOLDER)}:
        remove(lake.uri(name))
    return done


def refuse_held(lake: Lake, pipeline: Pipeline, planned: Plan) -> None:
    """UserError when a legal hold is on the entity, on one that shares events with it, or on a table that has some."""
    held = next(_holds(lake, pipeline, planned), None)
    if held is not None:
        raise UserError(
            f"{held} is under a legal hold: {held.by}, because {held.because!r}",
            where="forget",
            next_step=f"when it may go: sluice hold remove {pipeline.name} {held.hold} --by WHO --because WHY",
        )


def _holds(lake: Lake, pipeline: Pipeline, planned: Plan) -> Iterator[Hold]:
    held = holding(lake)
    whole = [held.table(table) for table in planned.shares]
    streams = [held.stream(name) for name, one in planned.found.items() if len(one.places)]
    yield from (one for one in (*whole, *streams) if one is not None)
    for one in held.holds:
        if one.value is not None:
            what = entity_of(pipeline, str(one), planned.entity.until)
            events = [found.events for found in planned.found.values() if what.key in found.events.column_names]
            if what == planned.entity or any(what.value in rows.column(what.key).to_pylist() for rows in events):
                yield one


def _settle(lake: Lake, pipeline: Pipeline) -> None:
    """Finish what others have announced: what is looked for afterwards is all that there is."""
    for stream in pipeline.streams:
        recover(lake, stream.name)
        if half_retired(lake, stream.name):
            retiring.finish(lake, stream.name)


def _do(lake: Lake, pipeline: Pipeline, told: Receipt, names: Pseudonyms, stores: Stores) -> Receipt:
    folder = lake.uri(f"{FOLDER}/{told.erasure}")
    entity, answered = _written(folder, told)
    found = left(pipeline, folder)
    what = erasures.forgotten_by(lake, told, names)
    erasers = Erasers(pipeline, entity, what, found, answered)
    _take(lake, erasers)
    _void(lake, pipeline)
    # what others wrote while they did not know of it yet
    more, what = find(lake, pipeline, what)
    erasures.add_events(lake, told, what)
    _take(lake, replace(erasers, what=what, found=more))
    again = replace(erasers, what=what, found={name: _both(one, more[name]) for name, one in found.items()})
    stores(Online(entity, what, {name: one.events for name, one in again.found.items()}))
    for table, which in _wanted(lake, again):
        remains.clear(lake, table, which)
    for name in remains.idle(lake, "work"):
        remove(lake.uri(name))
    extra = {name: told.duplicates.get(name, 0) + one.duplicates for name, one in more.items()}
    done = replace(
        told, state=DONE, duplicates={name: count for name, count in extra.items() if count},
        versions={table: lake.version(table) for table, _ in _wanted(lake, again)},
    )  # fmt: skip
    erasures.finish(lake, done)
    remove(folder)
    return done


def _take(lake: Lake, erasers: Erasers) -> None:
    """Take what goes out of the newest version of every table, a commit for each."""
    for table, which in _wanted(lake, erasers):
        kind, _, name = table.partition("/")
        if kind == "events":
            rewrite(lake, table, which, emptied)
        elif kind == "tiles":
            tiles.renew(lake, erasers.pipeline.view(name), which)
        elif kind == "legal_holds":
            rewrite(lake, table, which, _unnamed)
        else:
            drop(lake, table, which)


def _wanted(lake: Lake, erasers: Erasers) -> list[tuple[str, Which]]:
    there = sorted(tables(lake), key=lambda table: (_LAST.get(table.partition("/")[0], 0), table))
    return [(table, which) for table in there if (which := erasers.of(table)) is not None]


def _unnamed(rows: pa.Table, mine: Mask) -> pa.Table:
    """Holds that stay on record, and say no longer on whom they were."""
    values = pc.if_else(pa.array(mine), pa.scalar("forgotten"), rows.column("value"))
    return rows.set_column(rows.column_names.index("value"), "value", values)


def _void(lake: Lake, pipeline: Pipeline) -> None:
    """Have batches that are being judged judged anew: they were read before something went."""
    for stream in pipeline.streams:
        turn = turn_of(lake, stream.name)
        lake.append_moving("publications", PUBLICATIONS.empty_table(), f"stream:{stream.name}", turn or None, turn + 1)
        recover(lake, stream.name)


def _both(one: Found, more: Found) -> Found:
    places, events = (pa.concat_tables([left, right]) for left, right in ((one.places, more.places), (one.events, more.events)))
    return Found(one.stream, places, events, one.duplicates + more.duplicates)


def _asked(lake: Lake, which: Which) -> list[str]:
    """The ids of the events that answers were asked for which go."""
    found: set[str] = set()
    for chunk in lake.scan("predictions", columns=list(which.columns)):
        rows = pa.table(chunk)
        found |= set(rows.column("event_id").filter(pa.array(which.mask(rows))).to_pylist())
    return sorted(filter(None, found))


def _models(lake: Lake, gone: Mapping[str, set[str]]) -> list[str]:
    """The models that were trained on a version which names a file that goes."""
    found = []
    for (model, version), made in training_sets(lake).items():
        held = lake.open(made.vectors, made.vectors_version)
        named = set() if held is None else set(pa.table(held.get_add_actions()).column("path").to_pylist())
        if named & gone.get(made.vectors, set()):
            found.append(f"{model}/{version}")
    return sorted(found)


def _pseudonyms(pipeline: Pipeline, told: Receipt, planned: Plan, names: Pseudonyms) -> Iterator[dict[str, Any]]:
    """The rows of `erased`."""
    own = {"erasure": told.erasure, "first": None, "until": told.at}
    entity = planned.entity
    yield {**own, "kind": ENTITY, "of": entity.key, "hash": names.of(entity.key, entity.value)}
    for stream, digest in sorted(planned.what.events):
        yield {**own, "kind": EVENT, "of": stream, "hash": digest}
    for view in pipeline.windows:
        spans = seen(view, planned.found).group_by("key", use_threads=False).aggregate([("time", "min"), ("time", "max")])
        for row in spans.to_pylist():
            span = {"first": row["time_min"], "until": row["time_max"]}
            yield {**own, "kind": SEEN, "of": view.name, "hash": names.of(view.name, row["key"]), **span}


def _write_down(lake: Lake, told: Receipt, planned: Plan) -> None:
    folder = lake.uri(f"{FOLDER}/{told.erasure}")
    for one in planned.found.values():
        one.leave(folder)
    hand_over(f"{folder}/entity/0.arrow", pa.table({"value": [planned.entity.value]}))
    hand_over(f"{folder}/answered/0.arrow", pa.table({"event": pa.array(planned.answered, pa.string())}))


def _written(folder: str, told: Receipt) -> tuple[Entity, list[str]]:
    entity, answered = handed_over(f"{folder}/entity"), handed_over(f"{folder}/answered")
    if entity is None or answered is None:
        raise Outage(
            f"what erasure {told.erasure} is of has been removed",
            where=folder,
            next_step="forget the entity once more, by its name: what is left of it goes then",
        )
    return Entity(told.of, entity.column("value")[0].as_py(), told.at), answered.column("event").to_pylist()
