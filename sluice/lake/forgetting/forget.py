"""Forget an entity: everything that a lake and its online stores have of it goes, and stays away.

What goes is looked for, written down beside the tables and announced in one commit: from there on it happens, whatever
dies. What is written down is the one place that still names the entity, and goes last, after the receipt.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from sluice.decisions import signed
from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import Mask
from sluice.errors import Outage
from sluice.lake.files import remove
from sluice.lake.forgetting import erasures, remains, tiles
from sluice.lake.forgetting.erasers import Entity, Erasers
from sluice.lake.forgetting.erasures import ANNOUNCED, DONE, ENTITY, EVENT, FOLDER, SEEN, Receipt
from sluice.lake.forgetting.forgotten import Forgotten, emptied
from sluice.lake.forgetting.found import find, left, seen
from sluice.lake.forgetting.plan import Plan, plan, refuse_held
from sluice.lake.forgetting.pseudonyms import Pseudonyms
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.keeping import retiring
from sluice.lake.keeping.present import tables
from sluice.lake.keeping.retired import unfinished as half_retired
from sluice.lake.keeping.rewriting import Which, drop, rewrite
from sluice.lake.lineage.datasets import Run, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.publish import PUBLICATIONS, recover, turn_of
from sluice.lake.schemas import Registry, kept
from sluice.lake.tables import Lake

_LAST = {"rows": 1, "rows_as_served": 1, "tiles": 2}
"""Tiles are laid out anew from rows: these go first."""
_RECEIPTS = {"erasures", "erased"}
_RECORDS = {"legal_holds": "value", "verdicts": "message"}
"""Tables whose rows stay on record, and the column that may name the entity."""


@dataclass(frozen=True)
class Online:
    """What the online stores are to forget."""

    entity: Entity
    what: Forgotten
    events: Mapping[str, pa.Table]
    """The versions that history had, encoded, by stream."""


Stores = Callable[[Online], None]
"""Has every online store of the pipeline forget it."""


def forget(
    lake: Lake,
    pipeline: Pipeline,
    entity: Entity,
    names: Pseudonyms,
    stores: Stores,
    *,
    by: str,
    because: str,
    registry: Registry | None = None,
) -> Receipt:
    """Take away all that there is of an entity up to its moment; the receipt.

    `registry` has the schemas that archived messages name and the lake does not: while it is away nothing goes.
    UserError without a person and a reason; and under a legal hold, with who placed it.
    """
    signed("an erasure", by=by, because=because)
    done: list[Receipt] = []
    with _told(lake, pipeline, done, at=entity.until):
        _settle(lake, pipeline)
        done += _finish(lake, pipeline, names, stores, registry)
        planned = plan(lake, pipeline, entity, names, registry)
        refuse_held(lake, pipeline, planned)
        told = announced(planned, names, by, because)
        _write_down(lake, told, planned)
        erasures.announce(lake, told, _pseudonyms(pipeline, told, planned, names), planned.turn)
        done.append(_do(lake, pipeline, told, names, stores, registry))
    return done[-1]


def announced(planned: Plan, names: Pseudonyms, by: str, because: str) -> Receipt:
    """The receipt of an erasure that is about to begin."""
    entity = planned.entity
    return Receipt(
        uuid.uuid4().hex,
        ANNOUNCED,
        by,
        because,
        entity.until,
        entity.key,
        names.of(entity.key, entity.value).hex(),
        names.name,
        rows={table: one.rows for table, one in planned.shares.items()},
        duplicates={name: one.duplicates for name, one in planned.found.items() if one.duplicates},
        models=planned.models,
    )


def finish(
    lake: Lake, pipeline: Pipeline, names: Pseudonyms, stores: Stores, registry: Registry | None = None
) -> list[Receipt]:
    """Do what was announced and is not done, as it was announced; and take away what one that died had written down."""
    done: list[Receipt] = []
    with _told(lake, pipeline, done):
        done += _finish(lake, pipeline, names, stores, registry)
    return done


def _told(
    lake: Lake, pipeline: Pipeline, done: Sequence[Receipt], *, at: int | None = None
) -> AbstractContextManager[None]:
    """Tell of a run by the tables that something was looked for in; never of whom."""

    def about() -> Run:
        cleared = {table for one in done for table in one.versions}
        return Run((), tables_of(lake, sorted(cleared | (_RECEIPTS if done else set()))))

    return told_run(pipeline.name, "forget", about, at=at, private=True)


def _finish(
    lake: Lake, pipeline: Pipeline, names: Pseudonyms, stores: Stores, registry: Registry | None
) -> list[Receipt]:
    done = [_do(lake, pipeline, told, names, stores, registry) for told in erasures.unfinished(lake)]
    over = [f"{FOLDER}/{one.erasure}" for one in erasures.receipts(lake) if one.state == DONE]
    for name in {*over, *remains.idle(lake, FOLDER)}:
        remove(lake.uri(name))
    return done


def _settle(lake: Lake, pipeline: Pipeline) -> None:
    """Finish what others have announced: what is looked for afterwards is all that there is."""
    for stream in pipeline.streams:
        recover(lake, stream.name)
        if half_retired(lake, stream.name):
            retiring.finish(lake, stream.name)


def _do(
    lake: Lake, pipeline: Pipeline, told: Receipt, names: Pseudonyms, stores: Stores, registry: Registry | None
) -> Receipt:
    folder = lake.uri(f"{FOLDER}/{told.erasure}")
    entity, answered = _written(folder, told)
    what = erasures.forgotten_by(lake, told, names)
    erasers = Erasers(pipeline, entity, what, kept(lake), left(pipeline, folder), answered)
    _take(lake, erasers)
    is_more = True
    while is_more:
        _void(lake, pipeline)
        more, what = find(lake, pipeline, erasers.what, registry)
        erasures.add_events(lake, told, what)
        for one in more.values():
            one.leave(folder)
        found = {name: one.and_(more[name]) for name, one in erasers.found.items()}
        erasers = replace(erasers, what=what, found=found, schemas=kept(lake))
        # what others wrote while they did not know of it: events, and what a backfill had made of those before
        _take(lake, erasers)
        is_more = any(len(one.places) for one in more.values())
    stores(Online(entity, erasers.what, {name: one.events for name, one in erasers.found.items()}))
    for table, which in _wanted({*tables(lake), *erasers.tables}, erasers):
        remains.clear(lake, table, which, erasers.unlanded(table))
    for name in remains.idle(lake, "work"):
        remove(lake.uri(name))
    done = replace(
        told,
        state=DONE,
        duplicates={name: one.duplicates for name, one in erasers.found.items() if one.duplicates},
        versions={table: lake.version(table) for table, _ in _wanted(tables(lake), erasers)},
    )
    erasures.finish(lake, done)
    remove(folder)
    return done


def _take(lake: Lake, erasers: Erasers) -> None:
    """Take what goes out of the newest version of every table, a commit for each."""
    for table, which in _wanted(tables(lake), erasers):
        kind, _, name = table.partition("/")
        if kind == "events":
            stream = erasers.pipeline.stream(name)
            rewrite(lake, table, which, partial(emptied, stream, erasers.schemas))
        elif kind == "tiles":
            tiles.renew(lake, erasers.pipeline.view(name), which)
        elif kind in _RECORDS:
            rewrite(lake, table, which, partial(_unnamed, _RECORDS[kind]))
        else:
            drop(lake, table, which)


def _wanted(names: Collection[str], erasers: Erasers) -> list[tuple[str, Which]]:
    there = sorted(names, key=lambda table: (_LAST.get(table.partition("/")[0], 0), table))
    return [(table, which) for table in there if (which := erasers.of(table)) is not None]


def _unnamed(column: str, rows: pa.Table, mine: Mask) -> pa.Table:
    """Records that stay, and no longer name what is forgotten."""
    texts = [
        _quiet(column, text) if gone else text for text, gone in zip(rows.column(column).to_pylist(), mine, strict=True)
    ]
    return rows.set_column(rows.column_names.index(column), rows.schema.field(column), pa.array(texts, pa.string()))


def _quiet(column: str, text: str) -> str:
    return "forgotten" if column == "value" else f"{text.partition(';')[0]}; an example is forgotten"


def _void(lake: Lake, pipeline: Pipeline) -> None:
    """Have batches that are being judged judged anew: they were read before something went."""
    for stream in pipeline.streams:
        turn = turn_of(lake, stream.name)
        lake.append_moving("publications", PUBLICATIONS.empty_table(), f"stream:{stream.name}", turn or None, turn + 1)
        recover(lake, stream.name)


def _pseudonyms(pipeline: Pipeline, told: Receipt, planned: Plan, names: Pseudonyms) -> Iterator[dict[str, Any]]:
    """The rows of `erased`."""
    own = {"erasure": told.erasure, "first": None, "until": told.at}
    entity = planned.entity
    yield {**own, "kind": ENTITY, "of": entity.key, "hash": names.of(entity.key, entity.value)}
    for stream, digest in sorted(planned.what.events):
        yield {**own, "kind": EVENT, "of": stream, "hash": digest}
    for view in pipeline.windows:
        spans = (
            seen(view, planned.found).group_by("key", use_threads=False).aggregate([("time", "min"), ("time", "max")])
        )
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
