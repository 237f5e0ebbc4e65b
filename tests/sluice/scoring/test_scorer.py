from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sluice.errors import DataError
from sluice.scoring import MODEL_FILE, Calibration, Input, ModelSpec, Scorer, Threshold

pytestmark = pytest.mark.integration

SPEC = ModelSpec(
    name="fraud-pos",
    segment="pos",
    algorithm="sum",
    inputs=(Input("amount", "number"), Input("channel", "category", 3)),
    thresholds=(Threshold("approve", 0.0), Threshold("review", 0.5)),
    calibration=Calibration(),
    definition_hash="d",
    data_version="v",
    code_version="c",
    weights_hash="w",
)


@pytest.fixture(scope="module")
def graph() -> bytes:
    """A LiteRT graph that any converter could have made: sigmoid(amount + channel - 2)."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def answer(inputs: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(tf.reduce_sum(inputs, axis=1, keepdims=True) - 2.0)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([answer.get_concrete_function()], tf.Module())
    return bytes(converter.convert())


@pytest.fixture
def folder(tmp_path: Path, graph: bytes) -> Path:
    SPEC.save(tmp_path)
    (tmp_path / MODEL_FILE).write_bytes(graph)
    return tmp_path


def test_named_columns_are_scored_and_decided(folder: Path) -> None:
    scorer = Scorer.load(folder)
    scores = scorer.score_vectors(pd.DataFrame({"channel": [2, 0, 1], "amount": [0.0, 1.0, 2.0]}))
    assert scores.dtype == np.float64
    assert scores == pytest.approx([0.5, 1 / (1 + np.e), 1 / (1 + np.exp(-1))], abs=1e-6)
    assert scorer.decide(scores) == ["review", "approve", "review"]


@pytest.mark.parametrize("rows", [0, 1, 2, 8, 9, 31, 33, 257, 1_024, 2_500])
def test_any_number_of_rows_is_cut_and_padded_without_a_trace(folder: Path, rows: int) -> None:
    tensor = np.stack([np.linspace(-3, 3, rows), np.zeros(rows)], axis=1).astype(np.float32)
    assert Scorer.load(folder).score(tensor) == pytest.approx(1 / (1 + np.exp(2 - tensor[:, 0])), abs=1e-6)


def test_a_folder_without_a_graph_is_refused(tmp_path: Path) -> None:
    SPEC.save(tmp_path)
    with pytest.raises(DataError, match=MODEL_FILE):
        Scorer.load(tmp_path)


def test_a_spec_that_does_not_fit_its_graph_is_refused(folder: Path) -> None:
    replace(SPEC, inputs=SPEC.inputs[:1]).save(folder)
    with pytest.raises(DataError, match="the graph takes 2 inputs"):
        Scorer.load(folder)
