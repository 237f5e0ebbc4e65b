"""What an erasure would take away, which models would not be made again, and who has said that it must stay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.facts import column_type
from sluice.errors import UserError
from sluice.lake.forgetting import erasures, remains
from sluice.lake.forgetting.erasers import Entity, Erasers, unknown
from sluice.lake.forgetting.erasures import TURN
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.found import Found, find
from sluice.lake.forgetting.pseudonyms import Pseudonyms
from sluice.lake.keeping.holds import Hold, holding
from sluice.lake.keeping.present import files, tables
from sluice.lake.keeping.rewriting import Share, Which, share
from sluice.lake.schemas import kept
from sluice.lake.tables import Lake
from sluice.lake.training_sets import training_sets
from sluice.lake.typing import integer

_VECTORS = ("vectors", "vectors_as_served")


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
    looked = Erasers(pipeline, entity, what, found, kept(lake))
    answers = looked.of("predictions") if "predictions" in there else None
    answered = [] if answers is None else _asked(lake, answers)
    looked = replace(looked, answered=answered)
    wanted = {table: which for table in there if (which := looked.of(table)) is not None}
    shares = {table: one for table, which in wanted.items() if (one := share(lake, table, which)).rows}
    models = _models(
        lake, {table: remains.with_rows(lake, table, wanted[table]) for table in _VECTORS if table in wanted}
    )
    return Plan(entity, what, found, shares, models, unknown(there), answered, turn)


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
        named = set() if held is None else {file.path for file in files(held)}
        if named & gone.get(made.vectors, set()):
            found.append(f"{model}/{version}")
    return sorted(found)
