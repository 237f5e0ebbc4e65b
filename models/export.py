"""From weights to files: a LiteRT graph for serving and a Keras archive for the registry."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from models.network import assemble
from models.request import Algorithm, Weights
from sluice.scoring import Calibration, Float32s, Input


def whole(inputs: Sequence[Input], algorithm: Algorithm, weights: Weights, calibration: Calibration | None) -> Any:
    """The Keras model from raw inputs to probability, or to the logit when there is no calibration yet."""
    return assemble(
        inputs,
        algorithm.hidden,
        parameters=weights.parameters,
        constants=weights.constants,
        calibration=calibration,
    )


def to_litert(model: Any) -> bytes:
    """The model as a LiteRT graph of float32 built-in operations, batch size open.

    The weights enter as constants: converting Keras 3 variables would leave them out of the file.
    """
    trainable = [weight.numpy() for weight in model.trainable_variables]
    fixed = [weight.numpy() for weight in model.non_trainable_variables]
    width = model.input_shape[1]

    @tf.function(input_signature=[tf.TensorSpec([None, width], tf.float32, name="inputs")])  # type: ignore[untyped-decorator]
    def answer(inputs: Any) -> Any:
        weights, constants = [tf.constant(each) for each in trainable], [tf.constant(each) for each in fixed]
        return model.stateless_call(weights, constants, inputs)[0]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()], tf.Module())
    return bytes(converter.convert())


def to_keras(model: Any) -> bytes:
    """The model as a `.keras` archive; loading it needs `models.network` imported."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def answers(model: Any, tensor: Float32s, *, batch: int = 8_192) -> Float32s:
    """What the model says of each row [n], computed in batches that do not depend on how many rows there are."""
    pieces = [model(tensor[at : at + batch])[:, 0] for at in range(0, len(tensor), batch)]
    return np.concatenate([np.asarray(piece) for piece in pieces]) if pieces else np.zeros(0, dtype=np.float32)


def weights_hash(weights: Weights) -> str:
    """SHA-256 over the bytes of everything that was learnt, the calibration aside."""
    digest = hashlib.sha256()
    for each in (weights.parameters, *weights.constants):
        digest.update(np.ascontiguousarray(each, dtype="<f4").tobytes())
    return digest.hexdigest()
