"""The models as Keras 3 graphs: one treatment of the inputs, dense layers of any number, one calibrated probability.

Importing this module imports TensorFlow; only workers do.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sluice.scoring import Calibration, Float32s, Float64s, Input

CLIP = 20.0
"""Standard deviations beyond which a value says no more."""
BOUND = 1e30
"""Stands for infinity, so that no product of the treatment is undefined."""


@keras.saving.register_keras_serializable(package="sluice")
class Preparation(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """Raw inputs [n, k] with NaN for null → features [n, width]: the whole input treatment, inside the graph.

    A number gives itself and its saturation x / (|x| + typical |x|), both standardised, and whether it is missing; a
    category gives one column per code, all zero when it is missing. A missing or constant number contributes 0. Only
    operations that IEEE 754 rounds exactly, so that no engine computes other features (a logarithm would differ).
    """

    def __init__(self, numbers: Sequence[int], categories: Sequence[Sequence[int]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.numbers = [int(place) for place in numbers]
        self.categories = [(int(place), int(size)) for place, size in categories]

    @classmethod
    def of(cls, inputs: Sequence[Input]) -> Preparation:
        """The treatment of these inputs, in their order."""
        numbers = [place for place, each in enumerate(inputs) if each.kind == "number"]
        return cls(numbers, [(place, each.size or 0) for place, each in enumerate(inputs) if each.kind == "category"])

    def build(self, _shape: Any) -> None:
        """The constants, 0 and 1 until they are set."""
        count = len(self.numbers)
        self.typical = self.add_weight(shape=(count,), initializer="ones", trainable=False, name="typical")
        self.center = self.add_weight(shape=(2 * count,), initializer="zeros", trainable=False, name="center")
        self.factor = self.add_weight(shape=(2 * count,), initializer="ones", trainable=False, name="factor")

    def call(self, x: Any) -> Any:
        """Features [n, width] of raw inputs [n, k]."""
        missing, values = self.values(x)
        present = tf.concat([1.0 - missing, 1.0 - missing], axis=1)
        standard = tf.clip_by_value((self.channels(values) - self.center) * self.factor, -CLIP, CLIP)
        codes = [self._one_hot(x[:, place], size) for place, size in self.categories]
        return tf.concat([standard * present, missing, *codes], axis=1)

    def values(self, x: Any) -> tuple[Any, Any]:
        """Which numbers are missing (1 or 0) and every number, 0 where missing, both [n, m]."""
        numbers = tf.gather(x, self.numbers, axis=1)
        absent = tf.math.is_nan(numbers)
        filled = tf.where(absent, tf.zeros_like(numbers), numbers)
        return tf.cast(absent, tf.float32), tf.clip_by_value(filled, -BOUND, BOUND)

    def channels(self, values: Any) -> Any:
        """Every number and its saturation [n, 2m]."""
        return tf.concat([values, values / (tf.abs(values) + self.typical)], axis=1)

    @property
    def width(self) -> int:
        """How many features come out."""
        return 3 * len(self.numbers) + sum(size for _, size in self.categories)

    def get_config(self) -> dict[str, Any]:
        """What a saved model needs to build this layer again."""
        return {**super().get_config(), "numbers": self.numbers, "categories": self.categories}

    @staticmethod
    def _one_hot(column: Any, size: int) -> Any:
        codes = tf.where(tf.math.is_nan(column), -tf.ones_like(column), column)
        return tf.one_hot(tf.cast(codes, tf.int32), size)  # -1 is no code: a row of zeros


@keras.saving.register_keras_serializable(package="sluice")
class Logit(keras.layers.Layer):  # type: ignore[misc]  # keras has no types
    """A dense layer with one output, added up in eight lanes: feature i in lane i mod 8, then the lanes.

    Engines multiply a matrix by a single column each in its own order, and a long sum of large terms then differs by
    more than the parity gate allows; with eight columns they agree.
    """

    lanes = 8

    def build(self, shape: Any) -> None:
        """One weight per feature and a bias."""
        width = int(shape[-1])
        self.kernel = self.add_weight(shape=(width, 1), name="kernel")
        self.bias = self.add_weight(shape=(1,), initializer="zeros", name="bias")
        self._lane = np.eye(self.lanes, dtype=np.float32)[np.arange(width) % self.lanes]

    def call(self, features: Any) -> Any:
        """Logit [n, 1] of features [n, width]."""
        lanes = tf.matmul(features, self.kernel * self._lane)
        return tf.reduce_sum(lanes, axis=1, keepdims=True) + self.bias


def dense(width: int, hidden: Sequence[int]) -> Any:
    """The trained part: features [n, width] → logit [n, 1]; no hidden layer is logistic regression."""
    layers = [keras.layers.Dense(units, activation="relu") for units in hidden]
    return keras.Sequential([keras.Input((width,)), *layers, Logit()])


def start(width: int, hidden: Sequence[int], sparse_from: int, prior: float, rng: np.random.Generator) -> Float64s:
    """The flat parameters before the first step: He-uniform kernels, zero biases, `prior` as the last bias (a logit).

    The first layer's rows from `sparse_from` on (missing indicators and codes) start at zero, so that a code which
    training never saw has no effect; so does the whole last layer's kernel, whose first answer is then the prior.
    """
    sizes = [width, *hidden]
    pieces = []
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        kernel = rng.uniform(-1.0, 1.0, (inputs, outputs)) * np.sqrt(6.0 / inputs)
        if place == 0:
            kernel[sparse_from:] = 0.0
        pieces += [kernel.ravel(), np.zeros(outputs)]
    return np.concatenate([*pieces, np.zeros(sizes[-1]), [prior]])


@functools.cache
def gradient(width: int, hidden: tuple[int, ...], shards: int) -> Callable[..., Any]:
    """A traced function that takes one step's gradient of each of a worker's logical shards.

    It takes flat parameters [p], features [shards, n, width], labels and row weights [shards, n], and this step's rows
    [shards, b]; it returns [shards, p + 1]: the gradient of the *summed* weighted cross-entropy, then the sum of the
    weights, so that sums over shards need no further weighing. Every shard has operations of its own, whose shapes do
    not depend on how many shards this worker has.
    """
    model = dense(width, hidden)
    shapes = [tuple(weight.shape) for weight in model.trainable_variables]
    sizes = [int(np.prod(shape)) for shape in shapes]

    def one(flat: Any, features: Any, labels: Any, weights: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(flat)
            pieces = [tf.reshape(piece, shape) for piece, shape in zip(tf.split(flat, sizes), shapes, strict=True)]
            logits, _ = model.stateless_call(pieces, [], features)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits[:, 0])
            loss = tf.reduce_sum(weights * losses)
        return tf.concat([tape.gradient(loss, flat), [tf.reduce_sum(weights)]], axis=0)

    @tf.function(input_signature=_step_signature(sum(sizes), width, shards))  # type: ignore[untyped-decorator]
    def step(flat: Any, features: Any, labels: Any, weights: Any, rows: Any) -> Any:
        batch = [tf.unstack(tf.gather(each, rows, batch_dims=1)) for each in (features, labels, weights)]
        return tf.stack([one(flat, *shard) for shard in zip(*batch, strict=True)])

    return step  # type: ignore[no-any-return]


def _step_signature(parameters: int, width: int, shards: int) -> list[Any]:
    per_row = tf.TensorSpec([shards, None], tf.float32)
    return [
        tf.TensorSpec([parameters], tf.float32),
        tf.TensorSpec([shards, None, width], tf.float32),
        per_row,
        per_row,
        tf.TensorSpec([shards, None], tf.int64),
    ]


def kernels(width: int, hidden: Sequence[int]) -> Float64s:
    """Which of the flat parameters belong to kernels (1) and which are biases (0)."""
    sizes = [width, *hidden, 1]
    return np.concatenate([np.repeat([1.0, 0.0], [a * b, b]) for a, b in pairwise(sizes)])


def assemble(
    inputs: Sequence[Input],
    hidden: Sequence[int],
    *,
    parameters: Float32s,
    constants: Sequence[Float32s],
    calibration: Calibration | None,
) -> Any:
    """The whole model with these weights: raw inputs [n, k] → calibrated probability [n, 1], or logit without one."""
    preparation = Preparation.of(inputs)
    trained = dense(preparation.width, hidden)
    raw = keras.Input((len(inputs),), name="inputs")
    answer = trained(preparation(raw))
    if calibration is not None:
        platt = keras.layers.Dense(1, activation="sigmoid", name="calibration")
        answer = platt(answer)
        platt.set_weights([np.array([[calibration.scale]]), np.array([calibration.shift])])
    preparation.set_weights(list(constants))
    trained.set_weights(_unflatten(parameters, [tuple(weight.shape) for weight in trained.weights]))
    return keras.Model(raw, answer)


def _unflatten(flat: Float32s, shapes: Sequence[tuple[int, ...]]) -> list[Float32s]:
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    pieces = np.split(flat, ends[:-1])
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
