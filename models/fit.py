"""Fitting one model on logical shards: every sum runs over the shards in their order, whoever holds them.

The bits of the result depend on the data, the seed and the number of logical shards, and not on the number of
workers: a worker computes each of its shards' gradients by itself, all workers add all of them up in the same order
as float64, and each takes the same step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from models.examples import Rows
from models.exchange import Exchange, ordered_sum
from models.network import BOUND, Preparation, gradient, kernels, start
from models.request import Job, Weights
from sluice.scoring import Float32s, Float64s, Input, Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The rows of one logical shard that a job learns from; `index` is the shard's number among all."""

    index: int
    tensor: Float32s
    labels: Float32s
    weights: Float32s


def fit(
    job: Job, shards: Sequence[Rows], first: int, inputs: Sequence[Input], exchange: Exchange, seed: int
) -> Weights:
    """The weights that this job learns from these rows, the same bits on every worker; `first` numbers the shards."""
    counts = ordered_sum(exchange, np.array([[len(rows), rows.labels.sum()] for rows in shards], dtype=np.float64))
    samples = [_sample(job, index, rows, counts, seed) for index, rows in enumerate(shards, start=first)]
    preparation = Preparation.of(inputs)
    preparation.build(None)
    _settle(preparation, samples, exchange)
    parameters = _descend(job, samples, preparation, counts, exchange, seed)
    return Weights(parameters, tuple(preparation.get_weights()))


def _sample(job: Job, index: int, rows: Rows, counts: Float64s, seed: int) -> Sample:
    """All frauds, and genuine rows up to the algorithm's limit, weighing as much as the rows that they stand for."""
    rng = np.random.default_rng([*job.entropy(seed), index])
    labels = rng.permutation(rows.labels) if job.variant.shuffle_labels else rows.labels
    total, frauds = counts
    rate = min(1.0, max(job.algorithm.max_rows - frauds, 1.0) / max(total - frauds, 1.0))
    kept = (labels == 1) | (rng.random(len(labels)) < rate)
    weights = np.where(labels[kept] == 1, 1.0, 1.0 / rate).astype(np.float32)
    return Sample(index, rows.tensor[kept], labels[kept].astype(np.float32), weights)


def _settle(preparation: Preparation, samples: Sequence[Sample], exchange: Exchange) -> None:
    """Set the treatment's constants from these rows: mean size of each number, mean and deviation of each channel."""
    given = [_given(preparation, sample.tensor) for sample in samples]
    sizes, counts = _sums(exchange, [(np.abs(values), mask) for values, mask in given])
    preparation.typical.assign(np.where(sizes > 0, sizes / counts, 1.0))
    channels = [(np.asarray(preparation.channels(values), np.float64), np.tile(mask, 2)) for values, mask in given]
    sums, counts = _sums(exchange, channels)
    mean = sums / counts
    squares, _ = _sums(exchange, [((values - mean) ** 2, mask) for values, mask in channels])
    deviation = np.sqrt(squares / counts)
    varies = deviation > 1e-6 * np.maximum(1e-6, np.abs(mean))
    preparation.center.assign(mean)
    preparation.factor.assign(np.where(varies, 1.0 / np.where(varies, deviation, 1.0), 0.0))


def _given(preparation: Preparation, tensor: Float32s) -> tuple[Float32s, Float64s]:
    """Every number, 0 where missing, and 1 where it is neither missing nor infinite."""
    missing, values = (np.asarray(each) for each in preparation.values(tensor))
    return values, ((missing == 0) & (np.abs(values) < BOUND)).astype(np.float64)


def _sums(exchange: Exchange, shards: Sequence[tuple[Any, Float64s]]) -> tuple[Float64s, Float64s]:
    """Per column the sum of the values given, and how many there are (at least 1), over all logical shards."""
    local = [
        np.concatenate([(values.astype(np.float64) * mask).sum(axis=0), mask.sum(axis=0)]) for values, mask in shards
    ]
    sums, counts = np.split(ordered_sum(exchange, np.stack(local)), 2)
    return sums, np.maximum(counts, 1.0)


def _descend(
    job: Job, samples: Sequence[Sample], preparation: Preparation, counts: Float64s, exchange: Exchange, seed: int
) -> Float32s:
    """Adam with decoupled decay and a linearly falling rate, over mini-batches that take part of every shard."""
    algorithm, width = job.algorithm, preparation.width
    stack = _Stack.of(samples, preparation, exchange)
    function = gradient(width, algorithm.hidden, len(samples))
    rng = np.random.default_rng(job.entropy(seed))
    flat = start(width, algorithm.hidden, 2 * len(preparation.numbers), _log_odds(counts), rng)
    steps = max(algorithm.steps, math.ceil(min(counts[0], algorithm.max_rows) / algorithm.batch))
    adam = _Adam(
        flat, algorithm.learning_rate, algorithm.decay * kernels(width, algorithm.hidden), algorithm.epochs * steps
    )
    for epoch in range(algorithm.epochs):
        for rows in stack.batches(job.entropy(seed), steps, epoch):
            slopes = function(adam.flat.astype(np.float32), stack.features, stack.labels, stack.weights, rows)
            total = ordered_sum(exchange, slopes.numpy())
            adam.step(total[:-1] / total[-1])
    return adam.flat.astype(np.float32)


def _log_odds(counts: Float64s) -> float:
    total, frauds = counts
    return math.log((frauds + 1.0) / (total - frauds + 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """A worker's shards as tensors of one length: that of the longest of all workers' shards, and one row more.

    Rows past a shard's end weigh nothing and have features of zero; the last is there for every shard to point at.
    """

    features: Any
    labels: Any
    weights: Any
    samples: Sequence[Sample]
    longest: int

    @classmethod
    def of(cls, samples: Sequence[Sample], preparation: Preparation, exchange: Exchange) -> _Stack:
        """The samples, treated and stacked; the exchange tells how long the longest is."""
        lengths = np.array([len(sample.labels) for sample in samples], dtype=np.int64)
        longest = max(int(np.frombuffer(each, np.int64).max()) for each in exchange.gather(lengths.tobytes()))
        return cls(
            features=_stacked([np.asarray(preparation(sample.tensor)) for sample in samples], longest + 1),
            labels=_stacked([sample.labels for sample in samples], longest + 1),
            weights=_stacked([sample.weights for sample in samples], longest + 1),
            samples=samples,
            longest=longest,
        )

    def batches(self, entropy: Sequence[int], steps: int, epoch: int) -> Iterator[Int64s]:
        """One epoch in `steps` batches [shards, b]: every local shard's rows once, in the shard's own order."""
        size = math.ceil(self.longest / steps)
        orders = np.full((len(self.samples), steps, size), self.longest, dtype=np.int64)
        for order, sample in zip(orders, self.samples, strict=True):
            shuffled = np.random.default_rng([*entropy, sample.index, epoch + 1]).permutation(len(sample.labels))
            for step, rows in enumerate(np.array_split(shuffled, steps)):
                order[step, : len(rows)] = rows
        yield from orders.transpose(1, 0, 2)


def _stacked(shards: Sequence[Float32s], length: int) -> Any:
    """[shards, length, …] with zeros past each shard's end, held by TensorFlow so that no step copies it."""
    stack = np.zeros((len(shards), length, *shards[0].shape[1:]), dtype=np.float32)
    for place, shard in enumerate(shards):
        stack[place, : len(shard)] = shard
    return tf.constant(stack)


class _Adam:
    """Adam (Kingma and Ba 2015) with decoupled weight decay, in float64, as plain arithmetic that any CPU repeats."""

    def __init__(self, flat: Float64s, rate: float, decay: Float64s, steps: int) -> None:
        self.flat = flat
        self._rate, self._decay, self._steps = rate, decay, steps
        self._mean, self._square = np.zeros_like(flat), np.zeros_like(flat)
        self._done = 0

    def step(self, slope: Float64s) -> None:
        """Move one step against the slope."""
        rate = self._rate * (1.0 - self._done / self._steps)
        self._done += 1
        self._mean = 0.9 * self._mean + 0.1 * slope
        self._square = 0.999 * self._square + 0.001 * slope * slope
        mean = self._mean / (1.0 - 0.9**self._done)
        square = self._square / (1.0 - 0.999**self._done)
        self.flat = self.flat - rate * (mean / (np.sqrt(square) + 1e-8) + self._decay * self.flat)
