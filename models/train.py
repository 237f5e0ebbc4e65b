"""From a training request to registered models: split, shard, fit in one worker group, measure, register."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.examples import write_shards
from models.group import alone, on_ray
from models.metrics import Evaluated, Metrics
from models.record import record
from models.registry import Registry, registered_name
from models.request import (
    ALL,
    Exported,
    Fitted,
    Job,
    Outcome,
    Plan,
    Skipped,
    TrainedModel,
    TrainingRequest,
    TrainingResult,
)
from models.split import DAY, Int8s, Part
from sluice.errors import DataError
from sluice.scoring import Bools, Float64s, Int64s, ModelSpec, Threshold

PARITY = 1e-6
"""The greatest difference of a probability between LiteRT and Keras with which a model is accepted."""
LEAST_FRAUDS = {Part.TRAIN: 20, Part.VALIDATION: 5, Part.TEST: 2}
"""With fewer frauds in a part a segment gets no model of its own."""
YARDSTICK = "yardstick"


def train(request: TrainingRequest, *, registered: Callable[[TrainedModel], object] = lambda _: None) -> TrainingResult:
    """Train, measure and register every variant of every segment that has data enough; no alias moves.

    All of them in one worker group, since starting one costs more than a model; each is told by `registered` as soon as
    it is. DataError when a column is missing or no segment can be trained; what was left out, and why, is part of the
    answer.
    """
    watch = _Watch()
    data = _Data.of(request)
    plan_jobs, skipped = _jobs(request, data)
    watch.lap("split")
    if not plan_jobs:
        return TrainingResult((), tuple(skipped), watch.laps)
    with tempfile.TemporaryDirectory(prefix="sluice-training-") as scratch:
        folder = Path(scratch)
        shards = write_shards(data.table, data.parts, request.inputs, folder / "shards")
        watch.lap("shards")
        plan = Plan(request.inputs, plan_jobs, shards, request.seed, request.refit)
        outcome = _run(request, plan, folder)
        watch.lap("fit")
    models, refused = _registered(request, data, outcome, registered)
    watch.lap("register")
    return TrainingResult(models, (*skipped, *refused), watch.laps)


def _run(request: TrainingRequest, plan: Plan, folder: Path) -> Outcome:
    if request.ray_address is None:
        return alone(plan, folder)
    return on_ray(
        plan, folder, address=request.ray_address, workers=request.workers, cpus_per_worker=request.cpus_per_worker
    )


@dataclass(slots=True)
class _Watch:
    """Seconds of each stage."""

    laps: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def lap(self, stage: str) -> None:
        now = time.monotonic()
        self.laps[stage] = round(now - self._last, 3)
        self._last = now


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """The sorted table and the columns of it that measuring needs."""

    table: pa.Table
    times: Int64s
    labels: Int8s
    cards: Int64s
    segments: np.ndarray
    parts: Int8s

    @classmethod
    def of(cls, request: TrainingRequest) -> _Data:
        """Read, check and sort by time and id, so that the order in which rows came changes nothing."""
        table = request.table if isinstance(request.table, pa.Table) else pq.read_table(list(request.table))
        needed = {"event_id", "event_time", "segment", "label", request.card, *(each.name for each in request.inputs)}
        if missing := needed - set(table.column_names):
            raise DataError(f"columns {sorted(missing)} are missing", where="training set", allowed=table.column_names)
        table = table.sort_by([("event_time", "ascending"), ("event_id", "ascending")])
        times, labels = np.asarray(table["event_time"]), np.asarray(table["label"]).astype(np.int8)
        cards = _card_codes(table[request.card])
        parts = request.split.parts(times, cards, labels)
        if not request.refit:
            parts[parts == Part.REST] = Part.OUTSIDE
        segments = np.asarray(table["segment"]).astype(np.str_)
        return cls(table, times, labels, cards, segments, parts)

    def within(self, segment: str) -> Bools:
        """The rows of a segment; all of them for the fallback."""
        return np.ones(len(self.labels), dtype=bool) if segment == ALL else self.segments == segment

    def evaluated(self, rows: Int64s) -> Evaluated:
        """What happened on these rows."""
        return Evaluated(self.labels[rows], self.cards[rows], self.times[rows])


def _card_codes(column: pa.ChunkedArray) -> Int64s:
    """Cards as numbers; a row without one is a card of its own."""
    codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1)
    known = np.asarray(codes).astype(np.int64)
    return np.where(known < 0, -1 - np.arange(len(known)), known)


def _jobs(request: TrainingRequest, data: _Data) -> tuple[tuple[Job, ...], list[Skipped]]:
    """Every model to fit, those of one candidate side by side, and the segments with too little to learn from."""
    jobs: list[Job] = []
    skipped: list[Skipped] = []
    for segment in request.segments:
        lack = _lack(request, data, segment)
        for variant in request.variants:
            if (segment, variant.name) in request.done:
                continue
            if lack:
                skipped.append(Skipped(segment, variant.name, lack))
            else:
                jobs += [Job(segment, variant, algorithm) for algorithm in request.algorithms]
    if not jobs and not request.done:
        raise DataError(
            "no segment has data enough to train on: " + "; ".join(f"{each.segment} {each.reason}" for each in skipped),
            where=f"training of {request.pipeline}",
            next_step="train on more days",
        )
    return tuple(jobs), skipped


def _lack(request: TrainingRequest, data: _Data, segment: str) -> str | None:
    """Why this segment cannot have its own model; None when it can."""
    frauds = data.parts[data.within(segment) & (data.labels == 1)]
    for part, least in LEAST_FRAUDS.items():
        found = int((frauds == part).sum())
        if found < least and (part != Part.VALIDATION or request.split.validation is not None):
            return f"has {found} frauds in the {part.name.lower()} part, {least} are needed"
    return None


def _registered(
    request: TrainingRequest, data: _Data, outcome: Outcome, tell: Callable[[TrainedModel], object]
) -> tuple[tuple[TrainedModel, ...], list[Skipped]]:
    models, refused = [], []
    for exported in outcome.exported:
        if exported.parity > PARITY:
            reason = f"LiteRT differs from Keras by {exported.parity:.2g}, {PARITY:g} is allowed"
            refused.append(Skipped(exported.job.segment, exported.job.variant.name, reason))
        else:
            rivals = [each for each in outcome.fitted if each.job.candidate == exported.job.candidate]
            models.append(_register(request, data, exported, rivals))
            tell(models[-1])
    return tuple(models), refused


def _register(request: TrainingRequest, data: _Data, exported: Exported, rivals: Sequence[Fitted]) -> TrainedModel:
    winner = next(each for each in rivals if each.job == exported.job)
    metrics = dict(_measured(request, data, rivals))
    spec = _spec(request, exported, _thresholds(request, data, winner))
    example = data.table.take(pa.array(winner.rows[:3]))
    kept = record(request, exported, rivals, metrics, example, _held_out(data, winner))
    registry = Registry(request.tracking_uri, request.pipeline, request.store)
    resolved, run_id = registry.register(spec, exported.litert, exported.keras, kept)
    return TrainedModel(
        name=spec.name,
        segment=spec.segment,
        variant=exported.job.variant.name,
        version=resolved.version,
        run_id=run_id,
        folder=resolved.folder,
        spec=spec.numbered(resolved.version),
        metrics=metrics,
        parity=exported.parity,
    )


def _held_out(data: _Data, winner: Fitted) -> pa.Table:
    """The test rows as the winner scored them: what its live quality is compared with."""
    tested = data.parts[winner.rows] == Part.TEST
    rows = winner.rows[tested]
    return pa.table(
        {
            "score": winner.probabilities[tested],
            "card": data.cards[rows],
            "day": data.times[rows] // DAY,
            "label": data.labels[rows],
        }
    )


def _measured(request: TrainingRequest, data: _Data, rivals: Sequence[Fitted]) -> Iterator[tuple[str, Metrics]]:
    """Every algorithm on the test part, and the yardstick's ranking on the same rows."""
    for fitted in rivals:
        tested = data.parts[fitted.rows] == Part.TEST
        yield fitted.job.algorithm.name, data.evaluated(fitted.rows[tested]).measure(fitted.probabilities[tested])
    if request.yardstick is not None:
        rows = rivals[0].rows[data.parts[rivals[0].rows] == Part.TEST]
        values = data.table[request.yardstick].take(pa.array(rows)).fill_null(0)
        ranking = np.asarray(values, dtype=np.float64)
        yield YARDSTICK, data.evaluated(rows).measure(ranking, probabilities=False)


def _thresholds(request: TrainingRequest, data: _Data, winner: Fitted) -> tuple[Threshold, ...]:
    """Where the most suspicious shares begin, in the validation part or, as no label is read, else in the test part."""
    part = Part.TEST if request.split.validation is None else Part.VALIDATION
    scores: Float64s = winner.probabilities[data.parts[winner.rows] == part]
    thresholds = [Threshold("approve", 0.0)]
    for each in sorted(request.decisions, key=lambda decision: -decision.share):
        floor = float(np.quantile(scores, 1.0 - each.share, method="higher"))
        least = float(np.nextafter(thresholds[-1].at_least, 1.0))  # equal scores must not make equal thresholds
        thresholds.append(Threshold(each.label, max(floor, least)))
    return tuple(thresholds)


def _spec(request: TrainingRequest, exported: Exported, thresholds: tuple[Threshold, ...]) -> ModelSpec:
    return ModelSpec(
        name=registered_name(request.pipeline, exported.job.segment),
        segment=exported.job.segment,
        algorithm=exported.job.algorithm.name,
        inputs=request.inputs,
        thresholds=thresholds,
        calibration=exported.calibration,
        definition_hash=request.definition_hash,
        data_version=request.data_version,
        knowledge=request.knowledge,
        code_version=request.code_version,
        weights_hash=exported.weights_hash,
    )
