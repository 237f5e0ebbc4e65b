"""The champions as the promotion log tells them, with what is needed to compare them with today."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from flows.place import Place
from models.registry import HELD_OUT_FILE
from serve import promotions
from serve.rollout_state import SegmentState
from sluice.declare.pipeline import ALL
from sluice.monitor.evidence import ModelHistory
from sluice.monitor.performance import Scored, scored
from sluice.scoring import ModelSpec, Scorer, to_tensor


@dataclass(frozen=True)
class Champion:
    """The model that answers for a segment: `model` is `fraud-pos/3`, times are event-clock microseconds."""

    segment: str
    model: str
    promoted_at: int
    since: int
    """When it was first put forward, which is when it was trained."""
    previous: str | None
    folder: Path

    @cached_property
    def scorer(self) -> Scorer:
        """The model, loaded."""
        return Scorer.load(self.folder)

    def scores(self, vectors: pa.Table) -> np.ndarray:
        """Its probabilities of backfilled vectors."""
        return self.scorer.score(to_tensor(vectors, ModelSpec.load(self.folder).inputs))

    def held_out(self) -> Scored:
        """Its scores of the test rows, made before it was fitted on them too."""
        rows = pq.read_table(self.folder / HELD_OUT_FILE)
        columns = [rows.column(name).to_numpy() for name in ("score", "card", "day", "label")]
        return scored(columns[0], columns[1].astype(str), columns[2], columns[3])


def champions(here: Place) -> list[Champion]:
    """The champion of every segment that has one, the fallback last."""
    first: dict[str, int] = {}
    for row in promotions.moves(here.lake):
        first.setdefault(str(row["to"]), int(row["at"]))
    states = promotions.state(here.lake)
    ordered = sorted(states, key=lambda segment: (segment == ALL, segment))
    return [found for segment in ordered if (found := _champion(states[segment], first)) is not None]


def history_of(here: Place, champion: Champion, at: int) -> ModelHistory:
    """What the policy asks of a champion's past."""
    mine = here.lake.rows("decisions", where=ds.field("segment") == champion.segment)
    return ModelHistory(
        trained_at=champion.since,
        promoted_at=champion.promoted_at,
        previous=champion.previous,
        retrains=tuple(row["at"] for row in mine if row["action"] == "retrain"),
        new_labels=_matured(here, champion, at),
    )


def _matured(here: Place, champion: Champion, at: int) -> int:
    """How many events of the segment got a mature label since the champion was trained."""
    delay, events = here.pipeline.label.settled_after, here.pipeline.events
    span = (ds.field("_time") >= champion.since - delay) & (ds.field("_time") < at - delay)
    if champion.segment != ALL and here.pipeline.segment_by is not None:
        span &= ds.field(here.pipeline.segment_by) == champion.segment
    return int(here.lake.read(f"silver/{events.name}", columns=["_id"], where=span).num_rows)


def _champion(state: SegmentState, first: dict[str, int]) -> Champion | None:
    model, promoted_at = state.champion, state.promoted_at
    if model is None or promoted_at is None:
        return None
    before = str(state.before) if state.before else None
    return Champion(state.segment, str(model), promoted_at, first[str(model)], before, model.path)
