"""Bronze: files into it, every row as it came and once; and what of it a delivery has yet to judge, in slices."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.errors import UserError
from sluice.lake.contract import BRONZE, TOPIC
from sluice.lake.delivered import record, refuse_held
from sluice.lake.delivery import Delivery
from sluice.lake.files import remove, write_parquet
from sluice.lake.forgetting.erasures import refuse_later
from sluice.lake.landing import Part, land, parts, told_in
from sluice.lake.publish import commit_folder, recover
from sluice.lake.restating import history_of, land_gone, land_restated, source_of
from sluice.lake.tables import Lake
from sluice.lake.within import Within, between, beyond
from sluice.lake.workers import Workers

_ROWS_PER_BYTE = 1 / 20
_EXTENT = [("position", "min"), ("position", "max"), ("position", "count")]


@dataclass(frozen=True)
class Slice:
    """Bronze rows that one task judges: `after` < position ≤ `last` of one partition of its sources."""

    index: int
    sources: tuple[str, ...]
    partition: int
    after: int
    last: int
    rows: int
    batch: str | None
    """Only the rows of this batch; None for topics."""

    @property
    def where(self) -> ds.Expression:
        """The sources, as a filter of bronze."""
        return ds.field("source").isin(list(self.sources))

    @property
    def within(self) -> Within:
        """The bounds of the rows in bronze."""
        ends = {"source": (min(self.sources), max(self.sources)), "partition": (self.partition,) * 2}
        ends |= {} if self.batch is None else {"batch": (self.batch,) * 2}
        return between(**ends, position=(self.after + 1, self.last))


@dataclass(frozen=True)
class Place:
    """What there is of a partition of a source: its first and last position, and how many rows."""

    source: str
    partition: int
    first: int
    last: int
    rows: int


def land_files(workers: Workers, delivery: Delivery) -> set[str]:
    """Append the delivery's files to bronze, one commit for each stream; the streams for which a file was new.

    A file that is there already adds nothing, whatever it is called and in whichever batch it came; UserError when that
    batch is one that readers do not see.
    """
    lake, pipeline = delivery.tables(), delivery.declared()
    given = _parts(pipeline, delivery)
    work = _new_parts(pipeline, lake, given)
    new = {part for mine in work.values() for part in mine}
    refuse_held(lake, delivery, [part for part in given if part not in new])
    closed = sorted(name for name in work if lake.shows(name, delivery.batch))
    if closed:
        raise UserError(
            f"batch {delivery.batch!r} is closed, and {', '.join(closed)} would get new files",
            where="--batch",
            next_step="deliver them under another batch name",
        )
    for name, mine in work.items():
        _land_stream(workers, delivery, name, mine)
    record(lake, delivery, given)
    return set(work)


def _land_stream(workers: Workers, delivery: Delivery, stream: str, work: Sequence[Part]) -> None:
    lake, folder = delivery.tables(), f"landed-{uuid.uuid4().hex}"
    rows, markers = int(sum(part.bytes for part in work) * _ROWS_PER_BYTE), sorted({part.source for part in work})
    if delivery.restates is None:
        workers.each(partial(_land, delivery, stream, folder), list(enumerate(work)), rows=rows)
    else:
        # what was announced is history, before anything is decided against it
        markers.append(history_of(delivery, stream, recover(lake, stream)))
        try:
            workers.each(partial(land_restated, delivery, stream, folder), list(enumerate(work)), rows=rows)
            workers.each(partial(land_gone, delivery, stream, folder), markers[:1], rows=rows)
        finally:
            remove(lake.uri(f"work/{folder}"))
    refuse_later(lake, delivery.forgotten.erasures, [lake.uri(f"events/{stream}/{folder}")])
    commit_folder(lake, f"events/{stream}", folder, markers=markers)


def waiting(lake: Lake, stream: str, delivery: Delivery) -> list[Place]:
    """What of bronze a delivery has to judge: what landed with it, or what was archived since the last batch."""
    if not delivery.from_bronze:
        return _places(lake, stream, between(batch=(delivery.batch, delivery.batch)))
    return _places(lake, stream, archived_since(lake.reached(stream)))


def slices(places: Sequence[Place], delivery: Delivery) -> list[list[Slice]]:
    """The slices of places, in groups whose slices must be judged one after the other: a partition's, by position."""
    if not delivery.from_bronze:
        return [[part] for part in _packed(places, delivery)]
    groups: list[list[Slice]] = []
    for place in places:
        groups.append(_cut(place, delivery, sum(map(len, groups))))
    return groups


def gaps(places: Sequence[Place], reached: Mapping[str, int], *, whole: bool = False) -> list[str]:
    """Positions that are missing in places of topics, or between them and what is reached, in words.

    With `whole` a partition of which nothing is reached begins at its first position.
    """
    found = []
    for place in places:
        name = f"{place.source}/{place.partition}"
        after = reached.get(name, -1 if whole else None)
        if after is not None and place.first > after + 1:
            found.append(f"positions {after + 1:,} to {place.first - 1:,} of {name} are not there")
        inside = place.last - place.first + 1 - place.rows
        if inside:
            found.append(f"{inside:,} positions of {name} between {place.first:,} and {place.last:,} are not there")
    return found


def read_slice(lake: Lake, stream: str, part: Slice) -> pa.Table:
    """The raw events of a slice, in order of source and position."""
    rows = lake.read(f"events/{stream}", where=part.where, within=part.within)
    return rows.sort_by([("source", "ascending"), ("position", "ascending")])


def _parts(pipeline: Pipeline, delivery: Delivery) -> list[Part]:
    """The parts of the files, each once."""
    found = [
        part for name, path in delivery.files for part in parts(pipeline, pipeline.stream(name), path, delivery.renamed)
    ]
    if delivery.restates is not None:
        found = [replace(part, source=source_of(delivery, part.source)) for part in found]
    return list({(part.stream, part.source, part.first): part for part in found}.values())


def _new_parts(pipeline: Pipeline, lake: Lake, given: Sequence[Part]) -> dict[str, list[Part]]:
    """By stream, the parts that bronze does not have yet."""
    work = {}
    for stream in pipeline.streams:
        owner, table = told_in(pipeline, stream) or stream, lake.open(f"events/{stream.name}")
        mine = [part for part in given if part.stream == owner.name]
        work[stream.name] = [part for part in mine if table is None or table.transaction_version(part.source) is None]
    return {name: mine for name, mine in work.items() if mine}


def _land(delivery: Delivery, stream: str, folder: str, numbered: tuple[int, Part]) -> None:
    """Write the raw events of one part under the part's own number: a task that is tried again replaces its file."""
    number, part = numbered
    pipeline = delivery.declared()
    landed = land(pipeline, pipeline.stream(stream), part, batch=delivery.batch, renamed=delivery.renamed)
    known = (delivery.forgotten.erased(delivery.contract(stream), rows) for rows in landed)
    write_parquet(delivery.tables().uri(f"events/{stream}/{folder}/part-{number:05}.parquet"), known, BRONZE)


def archived_since(reached: Mapping[str, int]) -> Within:
    """The rows of topics after what is reached of each partition."""
    places = {name.rpartition("/")[::2]: last for name, last in reached.items()}
    return beyond({(source, int(partition)): last for (source, partition), last in places.items()}, TOPIC)


def _places(lake: Lake, stream: str, within: Within) -> list[Place]:
    """Every partition of every source that has such rows."""
    columns = ["source", "partition", "position"]
    parts = [
        pa.table(chunk).group_by(["source", "partition"]).aggregate(_EXTENT)
        for chunk in lake.scan(f"events/{stream}", columns=columns, within=within)
    ]
    if not parts:
        return []
    merged = [("position_min", "min"), ("position_max", "max"), ("position_count", "sum")]
    whole = pa.concat_tables(parts).group_by(["source", "partition"]).aggregate(merged)
    found = [
        Place(
            row["source"],
            row["partition"],
            row["position_min_min"],
            row["position_max_max"],
            row["position_count_sum"],
        )
        for row in whole.to_pylist()
    ]
    return sorted(found, key=lambda place: (place.source, place.partition))


def _packed(places: Sequence[Place], delivery: Delivery) -> list[Slice]:
    """Files in slices of about the same size: the small ones together, the big ones cut."""
    slices: list[Slice] = []
    for together in _together(places, delivery.rows_per_task):
        if len(together) == 1:
            slices += _cut(together[0], delivery, len(slices))
        else:
            sources, last = tuple(place.source for place in together), max(place.last for place in together)
            rows = sum(place.rows for place in together)
            slices.append(Slice(len(slices), sources, together[0].partition, -1, last, rows, delivery.batch))
    return slices


def _together(places: Sequence[Place], most: int) -> Iterator[list[Place]]:
    waiting: list[Place] = []
    for place in places:
        full = sum(other.rows for other in waiting) + place.rows > most
        if waiting and (full or place.partition != waiting[0].partition):
            yield waiting
            waiting = []
        waiting.append(place)
    if waiting:
        yield waiting


def _cut(place: Place, delivery: Delivery, index: int) -> list[Slice]:
    size, batch = delivery.rows_per_task, None if delivery.from_bronze else delivery.batch
    starts = range(place.first - 1, place.last, size)
    return [
        Slice(
            index + number,
            (place.source,),
            place.partition,
            start,
            min(start + size, place.last),
            min(size, place.last - start),
            batch,
        )
        for number, start in enumerate(starts)
    ]
