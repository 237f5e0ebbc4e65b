"""A backfill that goes on from the one before: a new day costs what is new and what it touches, not what there was.

    gather    new batches and what they are related to → rows that joined or left, events whose vector or label changes
    advance   what touched entities have, and is new    → values by day; their tiles          (`sluice.lake.advance`)
    assemble  values by day                             → vectors of events touched           (as in every backfill)
    renew     files of vectors with touched events      → the same without them, with the labels of today

An event changes the vectors of its entity from the moment on that a window can see it, or that it is known, until the
last window has passed it. Those are computed again; how late the event came makes no difference but to the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.asof import VALID_FROM
from sluice.declare.views import Windows
from sluice.engine.arrivals import counted, scored
from sluice.engine.changes import apart
from sluice.engine.encode import integers
from sluice.engine.forget import lifelong
from sluice.engine.history import keep
from sluice.engine.labels import label_at
from sluice.engine.vectors import requests_of
from sluice.lake import asof, buckets, dealing
from sluice.lake.backfills import Previous
from sluice.lake.files import read_file, spans, write_parquet
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.keeping.retired import floor_of, floors
from sluice.lake.plan import Plan
from sluice.lake.published import Events, Published, ids_of, parent_of, telling
from sluice.lake.tables import Lake

_NEVER = np.iinfo(np.int64).max
TOUCHED = "touched"


@dataclass(frozen=True)
class Grown:
    """What a backfill that went on did: versions that arrived, events computed again or first, labels that changed."""

    arrived: int
    computed: int
    labels: int


def gather(plan: Plan, before: Previous) -> Grown:
    """Find what new batches, a later clock and newer as-of tables change, and hand it over by bucket and day."""
    pipeline, lake = plan.declared(), plan.tables()
    everything = Published(lake, pipeline, plan.base)
    arrived = Published(lake, pipeline, plan.base, before.base).all()
    related = Published(lake, pipeline, before.base).related(arrived)
    after = {name: pa.concat_tables([related[name], arrived[name]]) for name in arrived}
    spans, gone = [], floors(lake, pipeline)
    for view in pipeline.windows:
        of_view = partial(counted, view, kept=keep(pipeline), knowledge=plan.knowledge)
        left, joined = apart(view, of_view(related), of_view(after))
        _lay(plan, view, floor_of(view, gone), joined, left)
        spans.append((view, _spans(view, pa.concat_tables([joined, left]))))
    touched = _touched(plan, everything, spans, arrived[pipeline.events.name], _since(lake, plan, before))
    labels = _labels(plan, everything, before, after, touched)
    for view in pipeline.windows:
        asked = requests_of(view, touched)
        for part, some in buckets.dealt(asked, asked.column("key"), plan.parts):
            hand_over(f"{plan.work('requests', view.name, part, 0)}.arrow", some)
    label = labels.take(pc.index_in(ids_of(touched), value_set=ids_of(labels))).column("label")
    labelled = touched.append_column("_label", label)
    for part, some in buckets.dealt(labelled, dealing.days_of(labelled.column("_time")), plan.parts):
        hand_over(f"{plan.work('scored', part, 0)}.arrow", some)
    name = pipeline.events.name
    _hand_over_changes(plan, after[name], arrived[name], touched, labels)
    return Grown(sum(map(len, arrived.values())), len(touched), len(labels) - len(touched))


def old_files(plan: Plan) -> list[str]:
    """The files of vectors in which an event may lie that is touched, by their statistics."""
    changes = handed_over(plan.work(TOUCHED))
    held = plan.tables().open(plan.vectors)
    if changes is None or held is None:
        return []
    times = np.sort(integers(changes.column("time"))[0])
    return [
        path
        for path, low, high in spans(held, "event_time")
        if low is None or high is None or np.searchsorted(times, low) < np.searchsorted(times, high, "right")
    ]


def renew(plan: Plan, numbered: tuple[int, str]) -> str | None:
    """Write a file of vectors without the events that were computed again, with changed labels; its path if it was."""
    number, path = numbered
    changes, lake = handed_over(plan.work(TOUCHED)), plan.tables()
    if changes is None:
        raise AssertionError("nothing was touched")
    held = read_file(f"{lake.uri(plan.vectors)}/{path}")
    found, valid = integers(pc.index_in(ids_of(held, "event_id"), value_set=ids_of(changes, "id")))
    if not valid.any():
        return None
    told = changes.take(pa.array(np.where(valid, found, 0)))
    again = valid & integers(told.column("again"))[0].astype(bool)
    label = pc.if_else(pa.array(valid), told.column("label").combine_chunks(), held.column("label").combine_chunks())
    kept = held.set_column(held.schema.get_field_index("label"), "label", label).filter(pa.array(~again))
    write_parquet(lake.uri(f"{plan.vectors}/{plan.folder}/kept-{number:05}.parquet"), [kept], kept.schema)
    return path


def _lay(plan: Plan, view: Windows, floor: int | None, *sides: pa.Table) -> None:
    """Lay out what joined and what left, but for what retention takes away: its rows may be gone already."""
    if floor is not None:
        sides = tuple(side.filter(pc.greater_equal(side.column("time"), floor)) for side in sides)
    nothing = sides[0].slice(0, 0)
    dealt = [dict(buckets.dealt(side, side.column("key"), plan.parts)) for side in sides]
    for part in range(plan.parts):
        more, less = (side.get(part, nothing) for side in dealt)
        buckets.lay(plan.tables().uri(f"{plan.rows(view)}/{plan.folder}/{part:05}.parquet"), part, more, less)


def _spans(view: Windows, changed: pa.Table) -> pa.Table:
    """From when until when the changed rows change vectors, by entity."""
    time = integers(changed.column("time"))[0]
    start = time + view.lag
    if "known" in changed.column_names:
        start = np.maximum(start, integers(changed.column("known"))[0])
    end = np.full(len(time), _NEVER) if lifelong(view) else time + view.reach
    if "until" in changed.column_names:
        end = np.minimum(end, integers(changed.column("until"))[0])
    spans = pa.table({"key": changed.column("key"), "start": pa.array(start), "end": pa.array(end)})
    found = spans.group_by("key", use_threads=False).aggregate([("start", "min"), ("end", "max")])
    return found.rename_columns(["key", "start", "end"])


def _since(lake: Lake, plan: Plan, before: Previous) -> int:
    """The first moment at which an as-of table says something else than the backfill before was told."""
    first = _NEVER
    for table, version in plan.asof:
        if before.asof[table] != version:
            both = pa.concat_tables(
                [lake.read(asof.place(table), version=one) for one in (before.asof[table], version)]
            )
            counted = both.group_by(both.column_names, use_threads=False).aggregate([([], "count_all")])
            other = counted.filter(pc.equal(counted.column("count_all"), 1)).column(VALID_FROM)
            first = min(first, integers(other.cast(pa.int64()))[0].min(initial=_NEVER))
    return int(first)


def _touched(
    plan: Plan, everything: Published, spans: Sequence[tuple[Windows, pa.Table]], arrived: pa.Table, since: int
) -> pa.Table:
    """The scored events that stand and whose vector is another, or new."""
    stream = everything.pipeline.events
    low = min((since, *(pc.min(span.column("start")).as_py() for _, span in spans if len(span))))
    high = max((pc.max(span.column("end")).as_py() for _, span in spans if len(span)), default=-_NEVER)
    high, theirs = (_NEVER, None) if since < _NEVER else (high, reduce(or_, (_of(*span) for span in spans)))
    near = everything.read(stream, theirs, _time=(low, high)) if low <= high else arrived
    ids = pa.concat_arrays([ids_of(near), ids_of(arrived)])
    standing = plan.asked(scored(everything.with_ids(stream, ids), plan.knowledge))
    time = integers(standing.column("_time"))[0]
    mine = (time >= since) | np.asarray(pc.is_in(ids_of(standing), value_set=ids_of(arrived)), bool)
    for view, span in spans:
        at, valid = integers(pc.index_in(ids_of(standing, view.of), value_set=ids_of(span, "key"), skip_nulls=True))
        if len(span):
            start, end = (integers(span.column(name))[0][at] for name in ("start", "end"))
            mine |= valid & (start <= time) & (time <= end)
    return standing.filter(pa.array(mine))


def _of(view: Windows, span: pa.Table) -> ds.Expression:
    """Events of the entities that have a span."""
    return ds.field(view.of).isin(span.column("key").combine_chunks())


def _labels(plan: Plan, everything: Published, before: Previous, after: Events, touched: pa.Table) -> pa.Table:
    """The labels as they are now of touched events and of those whose label may be another: `_id`, `time`, `label`."""
    label, at = everything.pipeline.label, plan.at
    stream = label.of
    ids = [ids_of(touched)]
    for teller in telling(everything.pipeline):
        became = everything.read(teller, _known=(before.at + 1, at))
        ids += [ids_of(side, parent_of(teller)) for side in (after[teller.name], became)]
    if label.absent is not None:
        wait = int(label.after)
        matured = everything.read(stream, _time=(before.at - wait + 1, at - wait))
        ids.append(ids_of(matured))
    events = plan.asked(scored(everything.with_ids(stream, pa.concat_arrays(ids)), plan.knowledge))
    times = integers(events.column("_time"))[0]
    found, known = label_at(label, everything.about(ids_of(events)), ids_of(events), times, at)
    values = pa.array(found.astype(np.int8), mask=~known)
    return pa.table({"_id": ids_of(events), "time": pa.array(times), "label": values})


def _hand_over_changes(plan: Plan, versions: pa.Table, arrived: pa.Table, touched: pa.Table, labels: pa.Table) -> None:
    """Which vectors go and which get another label, with every time at which the old ones may lie."""
    gone = versions.filter(pc.is_in(ids_of(versions), value_set=ids_of(arrived)))
    relabelled = labels.filter(pc.invert(pc.is_in(ids_of(labels), value_set=ids_of(touched))))
    changes = pa.concat_tables(
        [
            *(_changes(ids_of(events), ids_of(events, "_time")) for events in (touched, gone)),
            _changes(ids_of(relabelled), ids_of(relabelled, "time"), ids_of(relabelled, "label")),
        ]
    )
    if len(changes):
        hand_over(f"{plan.work(TOUCHED, 0)}.arrow", changes)


def _changes(ids: pa.Array, times: pa.Array, label: pa.Array | None = None) -> pa.Table:
    """Vectors that go, or whose label is another."""
    again = pa.array(np.full(len(ids), label is None))
    told = pa.nulls(len(ids), pa.int8()) if label is None else label
    return pa.table({"id": ids, "time": times, "label": told, "again": again})
