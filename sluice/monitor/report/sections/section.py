"""What a section is made from, and what it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.declare.pipeline import ALL, Pipeline
from sluice.lake.tables import Lake
from sluice.monitor.report.markup import Markup, tag


@dataclass(frozen=True, slots=True)
class Run:
    """One run to tell about: where its tables are, and its figures; `at` is event-clock microseconds."""

    lake: Lake
    pipeline: Pipeline
    figures: Mapping[str, Any]
    at: int

    def ordered(self, segments: Iterable[str]) -> list[str]:
        """Segments in the order of the declaration, `*` last."""
        declared = self.pipeline.segments
        return sorted(set(segments), key=lambda name: (name == ALL, _place(name, declared), name))

    def by_segment(self, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Rows in that order of their segments, else as they were."""
        listed = list(rows)
        order = self.ordered(row["segment"] for row in listed)
        return sorted(listed, key=lambda row: order.index(row["segment"]))


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: what was found in one sentence, then what shows it."""

    anchor: str
    title: str
    lead: str
    body: tuple[Markup, ...] = ()

    def shown(self) -> Markup:
        """The section as HTML."""
        heading = tag("h2", self.title, id=f"{self.anchor}-title")
        lead = tag("p", self.lead, class_="lead")
        return tag("section", heading, lead, *self.body, id=self.anchor, aria_labelledby=f"{self.anchor}-title")


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)
