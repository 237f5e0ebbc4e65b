"""Putting refused rows back: through the lake or through their topic, and what came of it, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sluice.cli.landed import lines
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.errors import UserError
from sluice.lake.contract import TOPIC
from sluice.lake.refused import HELD, Wanted, refused
from sluice.lake.repairs import Edits, Repair, controlled, mended
from sluice.lake.replays import Mended, Replay, claim, finish, unfinished
from sluice.lake.schemas import kept
from sluice.lake.tables import Lake
from sluice.local.spark import run_job
from sluice.settings import settings
from sluice.wording import command, counted, listed


@dataclass(frozen=True)
class Again:
    """Replays of one pipeline at one moment of the event clock."""

    reference: str
    pipeline: Pipeline
    lake: Lake
    at: int

    def finish_others(self) -> Iterator[str]:
        """Go on with replays that were claimed and are not done."""
        for one in unfinished(self.lake):
            rows = counted(len(one.rows), "row")
            yield f"replay {one.name} of {rows} of {one.stream}, begun by {one.by}, is gone on with"
            yield from self._bring_back(one)

    def waiting(
        self, streams: Sequence[str], wanted: Wanted, repair: Repair, edits: Edits | None
    ) -> dict[str, list[Mended]]:
        """The rows that wait, mended, by stream; UserError for edited ones that do not."""
        found: dict[str, list[Mended]] = {}
        held: set[str] = set()
        for name in streams:
            stream = self.pipeline.stream(name)
            rows = list(controlled(self.lake, name, refused(self.lake, name, wanted)))
            held |= {row.batch for row, _ in rows if row.state == HELD}
            renamed = {row["batch"]: json.loads(row["renamed"] or "{}") for row in self.lake.published(name)}
            if picked := mended(stream, rows, repair, edits, renamed, reference=self.reference):
                found[name] = picked
        self._refuse_absent(edits, found)
        _refuse_unknown(repair, [self.pipeline.stream(name) for name in found])
        if held and not found:
            look = command("gates", "show", self.reference, "--batch", min(held))
            raise UserError(
                f"batch {min(held)!r} is stopped, and none of it is history yet",
                where="replay",
                next_step=f"mend it as a whole; {look} says how",
            )
        return found

    def _refuse_absent(self, edits: Edits | None, found: Mapping[str, Sequence[Mended]]) -> None:
        there = {(stream, row.place) for stream, rows in found.items() for row in rows}
        absent = sorted(set(edits or {}) - there)
        if absent:
            stream, place = absent[0]
            look = command("quarantine", "show", self.reference, "--stream", stream, "--place", str(place))
            raise UserError(
                f"{counted(len(absent), 'edited row')} not waiting for a replay: {place} of {stream}",
                where="replay",
                next_step=f"leave them out; what became of one: {look}",
            )

    def bring(self, stream: str, rows: Sequence[Mended], *, by: str, because: str) -> Iterator[str]:
        """Put mended rows of a stream back, those of files and those of topics."""
        topics = [row for row in rows if row.place.source.startswith(TOPIC)]
        files = [row for row in rows if not row.place.source.startswith(TOPIC)]
        for mine in filter(None, (files, topics)):
            ends = self._ends(stream) if mine is topics else None
            told = claim(self.lake, stream, mine, by=by, because=because, at=self.at, ends=ends)
            yield from self._bring_back(told)

    def _ends(self, stream: str) -> dict[int, int]:
        from sluice.stream.replaying import ends_of
        from sluice.stream.topics import stream_topic

        return ends_of(settings().kafka, stream_topic(self.pipeline.name, stream))

    def _bring_back(self, replay: Replay) -> Iterator[str]:
        if replay.ends is None:
            here = settings()
            arguments = ["--pipeline", self.reference, "--lake", here.places.lake_uri, "--replay", replay.name]
            run_job(here, "ingest", [*arguments, "--at", str(self.at)])
            yield from lines(self.pipeline, self.lake, replay.batch)
        else:
            yield from self._send(replay)

    def _send(self, replay: Replay) -> Iterator[str]:
        from sluice.stream.producer import Producer
        from sluice.stream.replaying import send_again

        bootstrap = settings().kafka
        with Producer(bootstrap) as producer:
            sent = send_again(bootstrap, producer, self.pipeline, replay, self.at, kept(self.lake))
            finish(self.lake, replay, sent)
        yield (
            f"{replay.stream}: {counted(len(replay.rows), 'row')} back in their topic; history has them after the next "
            f"{command('ingest', self.reference, '--archived')}"
        )


def _refuse_unknown(repair: Repair, streams: Sequence[Stream]) -> None:
    """UserError for a column that a stream with such rows does not have; of several streams one has to be named."""
    for stream in streams:
        try:
            repair.check(stream)
        except UserError as unknown:
            if len(streams) == 1:
                raise
            names = [one.name for one in streams]
            raise UserError(
                f"{unknown.what}; rows of {listed(names)} wait",
                where=stream.name,
                allowed=unknown.allowed,
                next_step=f"say of which: {' or '.join(f'--stream {name}' for name in names)}",
            ) from None
