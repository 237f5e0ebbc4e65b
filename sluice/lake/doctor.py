"""What must hold of a lake whatever died and whenever, each checked from the tables alone.

An invariant that does not hold is told with what to run. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds

from sluice.clock import rfc3339
from sluice.declare.pipeline import Pipeline
from sluice.lake.accounts import accounts, of_batches
from sluice.lake.bronze import Place, gaps
from sluice.lake.contract import PRESENT, TOPIC
from sluice.lake.forgetting.erasures import FOLDER, receipts
from sluice.lake.forgetting.erasures import unfinished as erasing
from sluice.lake.keeping.present import folders
from sluice.lake.keeping.retired import Gone, gone
from sluice.lake.keeping.retired import unfinished as retiring
from sluice.lake.landing import told_in
from sluice.lake.replays import REPLAY
from sluice.lake.replays import unfinished as replaying
from sluice.lake.seam import still_lost
from sluice.lake.tables import Lake
from sluice.wording import command, counted

_PLACE = ["source", "partition"]
_EXTENT = [("position", "min"), ("position", "max"), ("position", "count")]


@dataclass(frozen=True)
class Ailment:
    """One thing that does not hold: of what, how it shows, and what mends it."""

    about: str
    found: str
    next_step: str


Invariant = Callable[[Lake, Pipeline], Iterator[Ailment]]


def sums_close(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """Every row in bronze is in exactly one place: history, a copy of what it has, quarantine, held or waiting."""
    for stream in pipeline.streams:
        if retiring(lake, stream.name) or erasing(lake):
            continue  # some of its tables have lost what others have not lost yet, which is told below
        missing = accounts(lake, stream.name).missing
        if missing:
            stray = f"{counted(missing, 'row')} in bronze and nowhere else"
            found = stray if missing > 0 else f"{counted(-missing, 'row')} too many"
            yield Ailment(stream.name, found, "keep the lake as it is, and report it: no step of Sluice leaves this")


def positions_are_whole(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """Every position of a topic's partition and every row of a file is in bronze once, without a gap."""
    for stream in pipeline.streams:
        for place, row in _extents(lake, stream.name).items():
            # a row whose label is not known yet tells none, so that there are rows in between that no label came of
            whole = place.startswith(TOPIC) or not told_in(pipeline, stream)
            if row["rows"] > row["distinct"]:
                yield Ailment(
                    stream.name,
                    f"{counted(row['rows'] - row['distinct'], 'position')} of {place} more than once",
                    "keep the lake as it is, and report it: no step of Sluice leaves this",
                )
            for told in gaps([_place(place, row)], {}) if whole else ():
                yield Ailment(
                    stream.name,
                    told,
                    "look at the topic: records that its broker dropped are lost, markers of transactions are none",
                )


def seams_are_closed(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """Where the files of a hybrid stream end its topic goes on, and no event is missing in between."""
    for stream in pipeline.streams:
        lost = [] if stream.hybrid is None else still_lost(lake, stream.name, stream.hybrid)
        for told in lost:
            yield Ailment(stream.name, told, "deliver what is missing as a file, or declare another cut")


def batches_are_finished(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """Every batch that was announced is shown, and every file that was landed is judged."""
    names = {stream.name for stream in pipeline.streams}
    shown = {(batch["stream"], batch["batch"]) for batch in lake.published()}
    announced = {(row["stream"], row["batch"]) for row in lake.rows("publications")}
    for stream, batch in sorted(announced - shown):
        if stream in names:
            yield Ailment(stream, f"batch {batch!r} was announced and is not shown", _again(pipeline, batch))
    stopped = {(row["stream"], row["batch"]) for row in lake.rows("verdicts") if row["verdict"] == "stop"}
    for stream in sorted(names):
        known = {"", *(batch for name, batch in {*shown, *announced, *stopped} if name == stream)}
        for batch, rows in sorted(_landed(lake, stream, ~of_batches(known) & PRESENT).items()):
            found = f"{counted(rows, 'row')} of batch {batch!r} landed, and not judged"
            yield Ailment(stream, found, _again(pipeline, batch))


def replays_are_finished(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """Every refused row that a replay took up is back."""
    for one in replaying(lake):
        found = f"replay {one.name} of {counted(len(one.rows), 'row')} is claimed, and not done"
        yield Ailment(one.stream, found, command("quarantine", "resume", pipeline.reference))


def retention_is_finished(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """What retention was announced to drop of a stream is out of all of its tables."""
    for stream in pipeline.streams:
        for row in retiring(lake, stream.name):
            found = f"{counted(row['rows'], 'row')} from before {rfc3339(row['before'])} to go, and not all gone"
            yield Ailment(stream.name, found, command("keep", "apply", pipeline.reference))


def erasures_are_finished(lake: Lake, pipeline: Pipeline) -> Iterator[Ailment]:
    """What an erasure was announced to take away is gone from everywhere, and so is what it had written down of it."""
    next_step = command("forget", "finish", pipeline.reference)
    for one in erasing(lake):
        yield Ailment(f"erasure {one.erasure}", f"of a {one.of} it was announced, and is not done", next_step)
    announced = {one.erasure for one in receipts(lake)}
    for name in folders(lake.uri(FOLDER)):
        if name not in {one.erasure for one in erasing(lake)}:
            told = "is done, and has left" if name in announced else "was never announced, and has left"
            yield Ailment(f"erasure {name}", f"it {told} whom it was of", next_step)


INVARIANTS: Mapping[str, Invariant] = {
    "sums close": sums_close,
    "positions are whole": positions_are_whole,
    "seams are closed": seams_are_closed,
    "batches are finished": batches_are_finished,
    "replays are finished": replays_are_finished,
    "retention is finished": retention_is_finished,
    "erasures are finished": erasures_are_finished,
}


def _again(pipeline: Pipeline, batch: str) -> str:
    if batch.startswith("archived-"):
        return command("ingest", pipeline.reference, "--archived")
    if batch.startswith(REPLAY):
        return command("quarantine", "resume", pipeline.reference)
    return command("ingest", pipeline.reference, "--batch", batch)


def _landed(lake: Lake, stream: str, where: ds.Expression) -> dict[str, int]:
    """Rows in bronze by batch."""
    counts: dict[str, int] = {}
    for chunk in lake.scan(f"events/{stream}", columns=["batch"], where=where):
        for row in pa.table(chunk).group_by("batch").aggregate([("batch", "count")]).to_pylist():
            counts[row["batch"]] = counts.get(row["batch"], 0) + row["batch_count"]
    return counts


def _place(name: str, row: Mapping[str, int]) -> Place:
    source, _, partition = name.rpartition("/")
    return Place(source, int(partition), row["first"], row["last"], row["distinct"])


def _extents(lake: Lake, stream: str) -> dict[str, dict[str, int]]:
    """By source and partition: first and last position, rows, and distinct positions, with those that were dropped."""
    found: dict[str, dict[str, int]] = {}
    dropped = {f"{source}/{partition}": one for (source, partition), one in gone(lake, stream).items()}
    columns = [*_PLACE, "position"]
    chunks = [pa.table(chunk) for chunk in lake.scan(f"events/{stream}", columns=columns)]
    if not chunks:
        return found
    whole = pa.concat_tables(chunks).group_by(_PLACE)
    for row in whole.aggregate([*_EXTENT, ("position", "count_distinct")]).to_pylist():
        name = f"{row['source']}/{row['partition']}"
        more = dropped.get(name, Gone(row["position_min"], row["position_max"], 0))
        found[name] = {
            "first": min(row["position_min"], more.first),
            "last": max(row["position_max"], more.last),
            "rows": row["position_count"] + more.rows,
            "distinct": row["position_count_distinct"] + more.rows,
        }
    return dict(sorted(found.items()))
