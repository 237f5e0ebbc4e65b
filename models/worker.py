"""What every worker of a training does, the same on all of them: fit, calibrate, choose, refit, export, compare.

It runs under Ray Train, and under anything else that can give it a rank and an exchange.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.calibration import platt, probabilities
from models.examples import Rows, read_shard
from models.exchange import Exchange
from models.export import answers, to_keras, to_litert, weights_hash, whole
from models.fit import fit
from models.request import ALL, Exported, Fitted, Job, Outcome, Plan, Weights
from models.split import Int8s, Part
from sluice.scoring import Calibration, Float64s, Graph

Number = TypeVar("Number", bound=np.generic)

HELD_OUT = (Part.VALIDATION, Part.TEST)
EVERYTHING = (Part.TRAIN, Part.VALIDATION, Part.TEST, Part.REST)


def work(exchange: Exchange, plan: Plan) -> Outcome:
    """Everything that the plan asks for; the outcome is the same on every worker and for every number of workers."""
    mine = np.array_split(np.arange(len(plan.shards)), exchange.world)[exchange.rank].tolist()
    desk = _Desk(plan, exchange, [read_shard(plan.shards[shard], plan.inputs) for shard in mine], mine[0])
    fits = [desk.fit(job) for job in plan.jobs]
    winners = [_best(list(group)) for _, group in groupby(fits, key=lambda each: each.job.candidate)]
    return Outcome(tuple(fits), desk.export([desk.refit(winner) for winner in winners]))


def _best(rivals: Sequence[Fitted]) -> Fitted:
    """The fit of the best ranking on the validation part; of equals the first, which is the simplest."""
    return max(rivals, key=lambda each: each.validation_average_precision or 0.0)


class _Desk:
    """One worker's shards, and what it does with them together with the others."""

    def __init__(self, plan: Plan, exchange: Exchange, shards: Sequence[Rows], first: int) -> None:
        self._plan, self._exchange, self._shards, self._first = plan, exchange, shards, first

    def fit(self, job: Job) -> Fitted:
        """The job's model from the training part, calibrated on the validation part if there is one."""
        weights = self._learn(job, [Part.TRAIN])
        held_out = self._rows(job, HELD_OUT)
        model = self._whole(job, weights, None)
        logits = self._gather(answers(model, rows.tensor) for rows in held_out).astype(np.float64)
        labels = self._gather(rows.labels for rows in held_out)
        validation = self._gather(rows.parts for rows in held_out) == Part.VALIDATION
        believed = self._believed(job, labels[validation])
        calibration = platt(logits[validation], believed) if validation.any() else Calibration()
        found = probabilities(logits, calibration)
        return Fitted(
            job=job,
            weights=weights,
            calibration=calibration,
            rows=self._gather(each.places for each in held_out),
            probabilities=found,
            validation_average_precision=_average_precision(believed, found[validation]),
        )

    def refit(self, fitted: Fitted) -> tuple[Job, Weights, Calibration]:
        """The winner's weights, learnt again from every row if the plan says so; its calibration stays."""
        weights = self._learn(fitted.job, EVERYTHING) if self._plan.refit else fitted.weights
        return fitted.job, weights, fitted.calibration

    def export(self, winners: Sequence[tuple[Job, Weights, Calibration]]) -> tuple[Exported, ...]:
        """Every winner as files, each converted by one worker and compared by all of them on their own test rows."""
        return tuple(self._exported(place, *winner) for place, winner in enumerate(winners))

    def _exported(self, place: int, job: Job, weights: Weights, calibration: Calibration) -> Exported:
        model = self._whole(job, weights, calibration)
        mine = place % self._exchange.world == self._exchange.rank
        litert, archive = (self._told_by_one(convert(model) if mine else b"") for convert in (to_litert, to_keras))
        graph = Graph(litert, len(self._plan.inputs))
        tests = [rows.tensor for rows in self._rows(job, [Part.TEST])]
        apart = self._gather(np.abs(graph.run(tensor) - answers(model, tensor)) for tensor in tests)
        return Exported(job, litert, archive, weights_hash(weights), calibration, float(apart.max(initial=0.0)))

    def _learn(self, job: Job, parts: Sequence[Part]) -> Weights:
        return fit(job, self._rows(job, parts), self._first, self._plan.inputs, self._exchange, self._plan.seed)

    def _rows(self, job: Job, parts: Sequence[Part]) -> list[Rows]:
        return [shard.of(parts, None if job.segment == ALL else job.segment) for shard in self._shards]

    def _whole(self, job: Job, weights: Weights, calibration: Calibration | None) -> Any:
        return whole(self._plan.inputs, job.algorithm, weights, calibration)

    def _gather(self, mine: Iterable[NDArray[Number]]) -> NDArray[Number]:
        """The workers' arrays, one per shard, end to end in the order of the shards."""
        joined = np.concatenate(list(mine))
        return np.frombuffer(b"".join(self._exchange.gather(joined.tobytes())), dtype=joined.dtype)

    def _told_by_one(self, payload: bytes) -> bytes:
        """What the one worker says that says anything."""
        return b"".join(self._exchange.gather(payload))

    def _believed(self, job: Job, labels: Int8s) -> Int8s:
        """The labels that this job's variant takes for true."""
        rng = np.random.default_rng(job.entropy(self._plan.seed))
        return rng.permutation(labels) if job.variant.shuffle_labels else labels


def _average_precision(labels: Int8s, scores: Float64s) -> float | None:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(labels, scores)) if len(labels) else None
