"""A delivery before anyone may see it: each row under the contract and against history, in files that no log names.

    check      slices of bronze → refused rows, and the accepted ones as files for silver; their identities by id
    settle     identities by id → the rows that are copies or contradictions
    mark       files for silver that hold such rows, or late ones → without the copies; conflicts and late beside them

Each step is a task that runs on any worker, reads and writes with Arrow, and may be tried again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import row_hashes
from sluice.engine.versions import PUT
from sluice.lake.baselines.shapes import Shape, by_day, shapes_of, table_of
from sluice.lake.baselines.shifts import shifts
from sluice.lake.bronze import Place, Slice, gaps, read_slice, slices, waiting
from sluice.lake.contract import check, conflicts_schema, contract_version
from sluice.lake.delivery import Delivery
from sluice.lake.files import read_file, remove, write_parquet
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.landing import told_in
from sluice.lake.parents import Keys, overdue
from sluice.lake.publish import Batch, turn_of
from sluice.lake.restating import history_of, restated
from sluice.lake.schemas import Registry, Schemas, kept_for
from sluice.lake.seam import Seam, seam_of
from sluice.lake.tables import Lake
from sluice.lake.tally import Tally, evidence, greatest, tally
from sluice.lake.tally import late as late_rows
from sluice.lake.versions import ARRIVAL, IDENTITY, settle
from sluice.lake.watermarks import with_erased
from sluice.lake.within import around
from sluice.lake.workers import Workers

_MARKS = pa.schema(
    {
        "_slice": pa.int64(),
        "_row": pa.int64(),
        "first": pa.bool_(),
        "duplicate": pa.bool_(),
        "conflict": pa.bool_(),
        "kept": pa.int64(),
        "dropped": pa.int64(),
    }
)


@dataclass(frozen=True)
class Judged:
    """What the gates need to know of a batch, what readers will be told of it, and its files: table → folder."""

    evidence: BatchEvidence
    batch: Batch
    staged: Mapping[str, str]

    def folders(self, lake: Lake) -> list[str]:
        """Where its files are."""
        return [lake.uri(f"{table}/{folder}") for table, folder in self.staged.items()]


@dataclass(frozen=True)
class Plan:
    """What every task needs to know; small, and sent to the workers."""

    delivery: Delivery
    stream: str
    parts: int
    watermarks: Mapping[str, int] | None
    """Of each topic partition before this batch; None for files."""
    run: str
    due: int
    """Events up to this moment had their time to find a parent."""
    seam: Seam | None
    """What is asked of a topic that goes on where files end."""
    folder: str = field(default_factory=lambda: f"staged-{uuid.uuid4().hex}")

    @property
    def lake(self) -> Lake:
        """The pipeline's tables."""
        return self.delivery.tables()

    def file(self, table: str, index: int, state: str = "checked") -> str:
        """The file of a slice below a table."""
        return self.lake.uri(f"{table}/{self.stream}/{self.folder}/{index:05}-{state}.parquet")

    def work(self, *names: object) -> str:
        """A place for what tasks hand to each other."""
        return self.lake.uri("/".join(map(str, ("work", self.folder, *names))))


@contextmanager
def judged(workers: Workers, stream: Stream, delivery: Delivery, registry: Registry | None = None) -> Iterator[Judged]:
    """Judge what a delivery brings of a stream; what tasks handed to each other is gone when the block ends.

    The schemas that its messages name are looked up before, here and nowhere else.
    """
    lake, pipeline = delivery.tables(), delivery.declared()
    places = waiting(lake, stream.name, delivery)
    groups = slices(places, delivery)
    if delivery.from_bronze and stream.format != "json":
        _learn(Schemas(lake, registry), lake, stream, [part for group in groups for part in group])
    rows = sum(part.rows for group in groups for part in group)
    watermarks = lake.watermarks(stream.name) if delivery.from_bronze else None
    history = history_of(delivery, stream.name, turn_of(lake, stream.name))
    due = delivery.at - int(pipeline.gates.grace)
    seam = seam_of(lake, stream) if delivery.from_bronze else None
    plan = Plan(delivery, stream.name, rows // delivery.rows_per_task + 1, watermarks, delivery.run, due, seam)
    try:
        checked = [one for group in workers.each(partial(check_slices, plan), groups, rows=rows) for one in group]
        marks = pa.concat_tables(workers.each(partial(settle_part, plan), range(plan.parts), rows=rows))
        again = _marked(checked, marks)
        late = sum(workers.each(partial(mark_slice, plan), again, rows=rows))
        for index, mine in again:
            if mine is not None:
                remove(plan.file("silver", index))
        days = _days(plan)
        found = evidence(
            delivery.contract(stream.name),
            checked,
            delay=_ahead(pipeline, stream, delivery),
            overdue=_overdue(lake, stream, delivery, due),
            gaps=_gaps(lake, stream, places) if delivery.from_bronze else (),
            restated=restated(lake, stream.name, [place.source for place in places], history),
            seam=None if plan.seam is None else plan.seam.met(one.steps for one in checked),
            shifts=shifts(lake, stream.name, days, int(pipeline.gates.shift.over)) if pipeline.gates.shift else (),
        )
        yield _judged(plan, checked, found, marks, late)
    finally:
        remove(plan.work())


def _learn(schemas: Schemas, lake: Lake, stream: Stream, parts: Sequence[Slice]) -> None:
    """Have every schema in the lake that messages of some slices name."""
    table, columns = f"events/{stream.name}", ["payload", "source"]
    for part in parts:
        for rows in lake.scan(table, columns=columns, where=part.where, within=part.within):
            schemas.of_events(stream, pa.table(rows))


def _gaps(lake: Lake, stream: Stream, places: Sequence[Place]) -> list[str]:
    """Positions that a topic does not have; what is gone of a hybrid one's beginning is asked of its seam."""
    return gaps(places, lake.reached(stream.name), whole=stream.hybrid is None)


def _days(plan: Plan) -> dict[tuple[int, str], Shape]:
    """The shape of every column on every day of the batch, which is written beside its other files."""
    parts = handed_over(plan.work("shapes"))
    if parts is None:
        return {}
    days = by_day(parts)
    merged = table_of(((day, name, one) for (day, name), one in sorted(days.items())), plan.delivery.batch)
    _write(plan.file("baselines", 0), merged)
    return days


def _overdue(lake: Lake, stream: Stream, delivery: Delivery, due: int) -> Keys:
    """Keys of published events whose time was over since the last batch; none where they are given no time."""
    grace = delivery.at - due
    if not grace:
        return Keys()
    before = max((batch["at"] for batch in lake.published(stream.name)), default=None)
    return Keys() if before is None else overdue(stream, lake, before - grace, due)


def _ahead(pipeline: Pipeline, stream: Stream, delivery: Delivery) -> int:
    """By how much the newest rows are ahead of their file: a label inside a row is dated when it will be known.

    A topic has it no sooner than that.
    """
    inside = told_in(pipeline, stream) is not None and not delivery.from_bronze
    return int(pipeline.label.known_after) if inside else 0


def check_slices(plan: Plan, slices: Sequence[Slice]) -> list[Tally]:
    """Check slices one after the other: a partition's watermark goes on from one to the next."""
    contract, lake, watermarks = plan.delivery.contract(plan.stream), plan.lake, plan.watermarks
    schemas = kept_for(lake, contract)
    tallies = []
    for part in slices:
        bronze = read_slice(lake, plan.stream, part)
        checked = check(contract, bronze, batch=plan.delivery.batch, run=plan.run, schemas=schemas)
        if watermarks is not None:
            marked, watermarks = with_erased(checked.accepted, watermarks, bronze)
            checked = replace(checked, accepted=marked)
        _write(plan.file("quarantine", part.index), checked.rejected)
        _write(plan.file("silver", part.index), checked.accepted)
        _deal(plan, part.index, checked.accepted)
        if plan.delivery.replay is None:
            entered = checked.accepted.filter(pc.equal(checked.accepted.column("_op"), PUT))
            hand_over(plan.work("shapes", f"{part.index:05}.arrow"), table_of(shapes_of(contract, entered), ""))
        tallies.append(tally(contract, lake, part.index, bronze, checked, due=plan.due, seam=plan.seam))
    return tallies


def settle_part(plan: Plan, part: int) -> pa.Table:
    """Settle some ids against each other and against history: the rows that are more than simply new."""
    arrived = handed_over(plan.work("identities", part))
    if arrived is None:
        return _MARKS.empty_table()
    settled = settle(arrived, _held(plan.lake, plan.stream, arrived))
    told = ~settled.first | settled.duplicate | settled.conflict
    columns = {name: pa.array(getattr(settled, name)) for name in _MARKS.names[2:]}
    return pa.table({name: arrived.column(name) for name in ("_slice", "_row")} | columns, _MARKS).filter(
        pa.array(told)
    )


def mark_slice(plan: Plan, marked: tuple[int, pa.Table | None]) -> int:
    """Write what is late of a slice and what conflicts, and, where it holds copies, its file for silver anew.

    How many rows are late. The first file stays until every task is done: one that is tried again reads it again.
    """
    index, marks = marked
    accepted = read_file(plan.file("silver", index))
    mine = _MARKS.empty_table() if marks is None else marks
    rows = mine.column("_row").to_numpy()
    first, duplicate = np.ones(len(accepted), bool), np.zeros(len(accepted), bool)
    first[rows], duplicate[rows] = (mine.column(name).to_numpy(zero_copy_only=False) for name in ("first", "duplicate"))
    contract = plan.delivery.contract(plan.stream)
    too_late = late_rows(contract, accepted) & np.logical_not(duplicate)
    _write(plan.file("late", index), accepted.filter(pa.array(too_late)))
    _write(plan.file("conflicts", index), _conflicts(contract, accepted, mine.filter(mine.column("conflict"))))
    if marks is not None:
        _write(plan.file("silver", index, "settled"), accepted.filter(pa.array(first)))
    return int(too_late.sum())


def _judged(plan: Plan, checked: Sequence[Tally], found: BatchEvidence, marks: pa.Table, late: int) -> Judged:
    accepted = sum(one.accepted for one in checked)
    counts = {name: int(pc.sum(marks.column(name)).as_py() or 0) for name in ("first", "duplicate", "conflict")}
    rows = {
        "quarantine": found.rows - accepted,
        "conflicts": counts["conflict"],
        "late": late,
        "baselines": accepted,
        "silver": accepted - (len(marks) - counts["first"]),
    }
    after = greatest(one.watermarks for one in checked)
    batch = Batch(
        name=plan.delivery.batch,
        stream=plan.stream,
        at=plan.delivery.at,
        rows=found.rows,
        accepted=accepted,
        duplicates=counts["duplicate"],
        conflicts=counts["conflict"],
        late=late,
        quarantined=found.quarantined,
        sources=greatest(one.reached for one in checked),
        run=plan.run,
        contract=contract_version(plan.delivery.contract(plan.stream)),
        renamed=plan.delivery.renamed.get(plan.stream, {}),
        watermarks={} if plan.watermarks is None else greatest([plan.watermarks, after]),
    )
    return Judged(found, batch, {f"{name}/{plan.stream}": plan.folder for name, count in rows.items() if count})


def _marked(checked: Sequence[Tally], marks: pa.Table) -> list[tuple[int, pa.Table | None]]:
    """The slices that need another look, each with its marks; None where there is nothing but late rows."""
    slices = pc.unique(marks.column("_slice")).to_pylist()
    found: dict[int, pa.Table | None] = dict.fromkeys(one.index for one in checked if one.late)
    return list({**found, **{index: marks.filter(pc.equal(marks.column("_slice"), index)) for index in slices}}.items())


def _held(lake: Lake, stream: str, arrived: pa.Table) -> pa.Table:
    """What published history holds of the same events."""
    columns = [*IDENTITY, *ARRIVAL]
    if lake.open(f"silver/{stream}") is None:
        return arrived.select(columns).slice(0, 0)
    ids = pc.unique(arrived.column("_id").combine_chunks())
    among = ds.field("_id").isin(ids)
    return lake.read(f"silver/{stream}", columns=columns, where=among, within=around("_id", ids))


def _conflicts(contract: Stream, accepted: pa.Table, marks: pa.Table) -> pa.Table:
    """The arriving version beside the hash that stands after it, and the one that was dropped."""
    rows = accepted.take(marks.column("_row"))
    hashes = {"_kept": marks.column("kept"), "_dropped": marks.column("dropped")}
    schema = conflicts_schema(contract)
    return pa.table({name: hashes[name] if name in hashes else rows.column(name) for name in schema.names}, schema)


def _deal(plan: Plan, index: int, accepted: pa.Table) -> None:
    """Deal the identities of accepted rows by id, so that one task sees all copies of an event."""
    own = {"_slice": pa.array(np.full(len(accepted), index)), "_row": pa.array(np.arange(len(accepted)))}
    identities = pa.table({**{name: accepted.column(name) for name in (*IDENTITY, *ARRIVAL)}, **own})
    part = row_hashes([identities.column("_id").combine_chunks()]).view(np.uint64) % np.uint64(plan.parts)
    for number in range(plan.parts):
        mine = identities.filter(pa.array(part == number))
        if len(mine):
            hand_over(plan.work("identities", number, f"{index:05}.arrow"), mine)


def _write(uri: str, rows: pa.Table) -> None:
    if len(rows):
        write_parquet(uri, [rows], rows.schema)
