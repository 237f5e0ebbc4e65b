"""Where every delivered row went: the sums that must close, computed from the tables alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.decisions import Verdict
from sluice.engine.encode import integers
from sluice.engine.versions import different, id_codes
from sluice.lake.bronze import archived_since
from sluice.lake.contract import PRESENT
from sluice.lake.forgetting.erasures import duplicates as erased_duplicates
from sluice.lake.keeping.retired import totals
from sluice.lake.tables import Lake


@dataclass(frozen=True)
class Accounts:
    """The rows of one stream by what became of them; `late` and `expired` lie within `silver`."""

    produced_bronze: int
    """Those that are in bronze, and those that retention has dropped."""
    silver: int
    """Events of which history holds a version; a deleted one counts."""
    duplicates: int
    conflicts: int
    superseded: int
    """Lower revisions."""
    held: int
    """Rows of batches that were stopped and not yet repaired."""
    waiting: int
    """Rows that nobody has judged yet: archived since the last batch, or landed by a job that died."""
    late: int
    expired: int
    quarantined: Mapping[str, int]
    retired: int = 0
    """Rows that retention has dropped, wherever they were."""

    erased: int = 0
    """Rows of which an erasure has left the place alone."""
    expired_by_view: Mapping[str, int] = field(default_factory=dict)
    """Of each view that was asked about, the rows that came too late for it; a row may be too late for several."""

    @property
    def missing(self) -> int:
        """How many rows are in bronze and nowhere else; negative for rows that are somewhere twice. 0 is right."""
        explained = self.silver + self.duplicates + self.conflicts + self.superseded + self.held + self.waiting
        return self.produced_bronze - explained - sum(self.quarantined.values()) - self.retired - self.erased


def accounts(
    lake: Lake, stream: str, *, horizon: int | None = None, horizons: Mapping[str, int] = MappingProxyType({})
) -> Accounts:
    """The accounts of a stream; those older than their watermark by more than `horizon` microseconds are expired.

    `horizons` are those of the views that count the stream's events.
    """
    batches = lake.published(stream)
    shown, stopped = {batch["batch"] for batch in batches}, _stopped(lake, stream)
    physical, conflicts, superseded, again = _versions(lake, stream)
    dropped, bronze = totals(lake, stream), f"events/{stream}"
    return Accounts(
        produced_bronze=lake.count(bronze) + dropped.rows,
        # a copy that history took in place of a later one is told by its batch as a duplicate
        silver=physical - conflicts - superseded - again,
        duplicates=sum(batch["duplicates"] for batch in batches) - dropped.duplicates - erased_duplicates(lake, stream),
        conflicts=conflicts,
        superseded=superseded,
        held=lake.count(bronze, where=of_batches(stopped - shown) & PRESENT),
        waiting=lake.count(bronze, where=PRESENT, within=archived_since(lake.reached(stream)))
        + lake.count(bronze, where=~of_batches({"", *stopped, *shown}) & PRESENT),
        late=lake.count(f"late/{stream}"),
        expired=0 if horizon is None else _expired(lake, stream, horizon),
        quarantined=_quarantined(lake, stream),
        retired=dropped.rows,
        erased=lake.count(bronze, where=~PRESENT),
        expired_by_view={view: _expired(lake, stream, micros) for view, micros in horizons.items()},
    )


def _versions(lake: Lake, stream: str) -> tuple[int, int, int, int]:
    """Rows of silver; conflicts, superseded revisions, and copies of one version from several positions among them."""
    if lake.open(f"silver/{stream}") is None:
        return 0, 0, 0, 0
    columns = ["_id", "_revision", "_hash", "_op", "_source", "_partition", "_position"]
    rows = lake.read(f"silver/{stream}", columns=columns)
    identity = [
        id_codes(rows.column("_id")),
        *(integers(rows.column(name))[0] for name in ("_revision", "_hash", "_op")),
    ]
    place = [
        id_codes(rows.column("_source")),
        *(integers(rows.column(name))[0] for name in ("_partition", "_position")),
    ]
    ids, revisions, versions, copies = (
        different(*columns) for columns in (identity[:1], identity[:2], identity, [*identity, *place])
    )
    return len(rows), versions - revisions, revisions - ids, copies - versions


def of_batches(names: Collection[str]) -> ds.Expression:
    """The raw events of some batches of files; those of topics have a batch without name."""
    return ds.field("batch").isin(pa.array(sorted(names), pa.string()))


def _stopped(lake: Lake, stream: str) -> set[str]:
    stop = (ds.field("stream") == stream) & (ds.field("verdict") == Verdict.STOP.value)
    return {row["batch"] for row in lake.rows("verdicts", where=stop)}


def _quarantined(lake: Lake, stream: str) -> dict[str, int]:
    if lake.open(f"quarantine/{stream}") is None:
        return {}
    counted = pc.value_counts(lake.read(f"quarantine/{stream}", columns=["rule"]).column("rule"))
    return {row["values"]: row["counts"] for row in sorted(counted.to_pylist(), key=lambda row: row["values"])}


def _expired(lake: Lake, stream: str, horizon: int) -> int:
    old = ds.field("_time") < ds.field("_watermark") - pa.scalar(horizon, pa.int64())
    return lake.count(f"silver/{stream}", where=old)
