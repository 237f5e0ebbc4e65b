"""Which model did what in a segment, and from when to when: the promotion log as spans of a time line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True, slots=True)
class Span:
    """One model in one part: champion, shadow or canary; event-clock microseconds, `share` of the traffic."""

    segment: str
    model: str
    stage: str
    share: float | None
    start: int
    end: int
    ended: str | None = None
    """The move that ended it; None for what still stands."""

    @property
    def lane(self) -> str:
        """Champions in one lane, what is being rolled out in another."""
        return CHAMPION if self.stage == CHAMPION else CHALLENGER


def spans(promotions: Iterable[Mapping[str, Any]], until: int) -> list[Span]:
    """The spans that rows of the table `promotions` tell of, by segment; those that stand end at `until`."""
    ordered = sorted(promotions, key=lambda row: (row["segment"], row["sequence"]))
    return [
        span for _, rows in groupby(ordered, key=lambda row: row["segment"]) for span in _of_segment(list(rows), until)
    ]


def _of_segment(rows: list[Mapping[str, Any]], until: int) -> Iterator[Span]:
    standing: dict[str, Span] = {}
    for row in rows:
        opened = _opened(row, until)
        lanes = {CHALLENGER} if opened is not None and opened.lane == CHALLENGER else {CHALLENGER, CHAMPION}
        for lane in sorted(lanes & set(standing)):
            if not _goes_on(standing[lane], row):
                yield replace(standing.pop(lane), end=row["at"], ended=row["move"])
        if opened is not None and opened.lane not in standing:
            standing[opened.lane] = opened
    yield from standing.values()


def _opened(row: Mapping[str, Any], until: int) -> Span | None:
    """What a move puts in place; nothing when it names no model."""
    if not row["to"]:
        return None
    rolling = row["move"] in {"shadow", "canary"}
    stage = row["move"] if rolling else CHAMPION
    return Span(row["segment"], row["to"], stage, row["share"] if stage == "canary" else None, row["at"], until)


def _goes_on(span: Span, row: Mapping[str, Any]) -> bool:
    """Whether a champion outlives a move: one that names it as what serves, or that takes away something else."""
    if span.stage != CHAMPION:
        return False
    return bool(span.model == row["to"] if row["to"] else span.model != row["from"])
