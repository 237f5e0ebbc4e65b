"""What the tasks of a backfill are told, and the files of history that they read."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.loading import load_pipeline
from sluice.declare.operate import AS_SERVED, EVENT_TIME, KnowledgeTime
from sluice.declare.pipeline import Pipeline, hash_of
from sluice.declare.views import Windows
from sluice.lake.storage import below
from sluice.lake.tables import Lake
from sluice.lake.tiles import tile_table
from sluice.version import code_version

VECTORS: Mapping[KnowledgeTime, str] = {EVENT_TIME: "vectors", AS_SERVED: "vectors_as_served"}
"""The table of the vectors that know what the name says; both have a row for each event that stands."""
BACKFILLS: Mapping[KnowledgeTime, str] = {EVENT_TIME: "backfills", AS_SERVED: "backfills_as_served"}
"""The table of what each backfill was of."""
_ROWS: Mapping[KnowledgeTime, str] = {EVENT_TIME: "rows", AS_SERVED: "rows_as_served"}


@dataclass(frozen=True)
class Plan:
    """What every task of a backfill needs to know; small, and sent to the workers."""

    pipeline: str
    """A registered name or the path of a .py file, which every worker can read."""
    lake: str
    base: int
    """The version of the table `batches` whose published batches are history."""
    at: int
    """Event clock in microseconds: labels are those known by then."""
    parts: int = 4
    """Into how many buckets entities, events and days are dealt."""
    most: int = 2_000_000
    """Rows of a view's bucket that one task computes; of more, it computes a span of time."""
    per_range: int = 20_000_000
    """Scored events whose vectors are computed before those of the following days are begun."""
    asof: tuple[tuple[str, int], ...] = ()
    """The version of each as-of table, so that every task and every further try looks up the same."""
    since: int | None = None
    """The event time before which no vector is computed: what its windows would see is not all there any more."""
    erasures: int = 0
    """How many entities were forgotten before it began."""
    knowledge: KnowledgeTime = EVENT_TIME
    """What the vectors are to know; only those that know everything come with tiles."""
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    """A name of its own, so that what is published is never a file that a run before, killed or not, still writes."""
    shared: str | None = None
    """The name of the work that every run of this plan goes on with; None for work of this run alone."""

    def declared(self) -> Pipeline:
        """The pipeline, loaded where it is needed."""
        return load_pipeline(self.pipeline)

    def tables(self) -> Lake:
        """The pipeline's tables."""
        return _lake(self.lake, self.declared().name)

    def as_served(self) -> Plan:
        """The same backfill for vectors as they would have been served, which is a run of its own."""
        return replace(self, knowledge=AS_SERVED, run=uuid.uuid4().hex)

    @property
    def name(self) -> str:
        """What decides the result; a backfill of the same name has nothing to add."""
        tables = f":{hash_of(dict(self.asof))}" if self.asof else ""
        since = "" if self.since is None else f":{self.since}"
        without = f":without-{self.erasures}" if self.erasures else ""
        return f"backfill:{self.at}:{self.base}:{self.meaning}{tables}{since}{without}"

    def resumable(self) -> Plan:
        """The same plan, whose runs go on with each other's work: nothing but the result decides its name."""
        told = {"plan": self.name, "knowledge": self.knowledge, "parts": self.parts, "most": self.most}
        return replace(self, shared=hash_of(told))

    def asked(self, events: pa.Table) -> pa.Table:
        """The scored events that get a vector."""
        return events if self.since is None else events.filter(pc.greater_equal(events.column("_time"), self.since))

    @property
    def meaning(self) -> str:
        """What is computed, whatever from: the declaration and the code."""
        pipeline = self.declared()
        pipeline.check_computes()
        what = {
            "features": pipeline.definition,
            "label": pipeline.label.describe(),
            "by": pipeline.segment_by,
            "leaves": {view.name: view.leaf for view in pipeline.windows},
        }
        return f"{hash_of(what)}:{code_version()}"

    @property
    def folder(self) -> str:
        """The folder of this run below each table that it writes."""
        return f"backfill-{self.run}"

    @property
    def written(self) -> list[str]:
        """The tables that a backfill writes, the vectors last."""
        views = self.declared().windows
        tiles = [tile_table(view) for view in views if self.knowledge == EVENT_TIME]
        return [*map(self.rows, views), *tiles, self.vectors]

    @property
    def vectors(self) -> str:
        """The table of vectors that it writes."""
        return VECTORS[self.knowledge]

    def rows(self, view: Windows) -> str:
        """The table of what the windows of a view count, to go on from."""
        return f"{_ROWS[self.knowledge]}/{view.name}"

    def work(self, *names: object) -> str:
        """A place for what tasks hand to each other."""
        folder = self.folder if self.shared is None else f"backfill-{self.shared}"
        return self.tables().uri("/".join(map(str, ("work", folder, *names))))


@functools.lru_cache(maxsize=8)
def _lake(uri: str, pipeline: str) -> Lake:
    """The lake, which has its tables open: tasks of one process read a log once, and what has come to it since."""
    return Lake(uri, pipeline)


@dataclass(frozen=True)
class Source:
    """One file of silver: its path below its table, and the batches of it that are history."""

    number: int
    stream: str
    table: str
    path: str
    batches: tuple[str, ...]


def published_batches(lake: Lake, base: int) -> list[dict[str, Any]]:
    """The batches that are history at a version of `batches`; none before its first."""
    return lake.read("batches", version=base).to_pylist() if base >= 0 else []


def parts_for(lake: Lake, base: int) -> int:
    """Into how many buckets to deal what is published: one for each million rows, and four at least."""
    rows = sum(int(row["accepted"]) for row in published_batches(lake, base))
    return max(4, -(-rows // 1_000_000))


def sources(plan: Plan) -> tuple[list[Source], int]:
    """The files of history, and how many rows were accepted into them; none for a stream without published batches."""
    lake, pipeline = plan.tables(), plan.declared()
    published = published_batches(lake, plan.base)
    found: list[Source] = []
    for stream in pipeline.streams:
        batches = tuple(row["batch"] for row in published if row["stream"] == stream.name)
        silver = lake.open(f"silver/{stream.name}") if batches else None
        if silver is not None:
            files = silver.to_pyarrow_dataset(filesystem=below(silver.table_uri)).get_fragments()
            mine = [(stream.name, silver.table_uri, file.path, batches) for file in files]
            found += [Source(len(found) + index, *one) for index, one in enumerate(mine)]
    return found, sum(row["accepted"] for row in published)


def standing_rows(plan: Plan) -> int:
    """How many rows of history lie in silver now: fewer than were accepted once some were retired, or forgotten."""
    lake, published = plan.tables(), published_batches(plan.tables(), plan.base)
    found = 0
    for stream in plan.declared().streams:
        batches = [row["batch"] for row in published if row["stream"] == stream.name]
        silver = lake.open(f"silver/{stream.name}") if batches else None
        if silver is not None:
            found += lake.dataset(silver).count_rows(filter=ds.field("_batch").isin(pa.array(batches, pa.string())))
    return found
