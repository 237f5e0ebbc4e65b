from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.request import Weights
from sluice.scoring import Calibration, Graph, Input

pytestmark = pytest.mark.integration

INPUTS = (Input("amount", "number"), Input("channel", "category", 3))
WIDTH = 6  # amount, its saturation, whether it is missing, three codes


@pytest.fixture(scope="module")
def preparation() -> Any:
    from models.network import Preparation

    layer = Preparation.of(INPUTS)
    layer.build(None)
    layer.set_weights([np.array([100.0]), np.array([50.0, 0.25]), np.array([0.1, 2.0])])
    return layer


def model(hidden: tuple[int, ...] = (), calibration: Calibration | None = None) -> Any:
    from models.export import whole
    from models.network import kernels, start
    from models.request import Algorithm

    rng = np.random.default_rng(3)
    flat = start(WIDTH, hidden, 2, -2.0, rng)
    flat = flat + rng.normal(0, 0.3, len(flat)) * kernels(WIDTH, hidden)
    constants = (np.array([100.0]), np.array([50.0, 0.25]), np.array([0.1, 2.0]))
    weights = Weights(flat.astype(np.float32), tuple(each.astype(np.float32) for each in constants))
    return whole(INPUTS, Algorithm("any", hidden), weights, calibration)


def test_a_number_gives_itself_its_saturation_and_whether_it_is_missing(preparation: Any) -> None:
    # (60 - 50) / 10; 60 / 160 = 0.375, (0.375 - 0.25) * 2
    assert np.asarray(preparation(np.array([[60.0, 1.0]], np.float32))).tolist() == [[1.0, 0.25, 0.0, 0.0, 1.0, 0.0]]


def test_a_missing_value_gives_its_flag_and_nothing_else(preparation: Any) -> None:
    nothing = np.array([[np.nan, np.nan]], np.float32)
    assert np.asarray(preparation(nothing)).tolist() == [[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]]


def test_infinite_values_are_clipped_like_any_far_one(preparation: Any) -> None:
    far = np.array([[np.inf, 0.0], [-np.inf, 0.0]], np.float32)
    assert np.asarray(preparation(far))[:, :2].tolist() == [[20.0, 1.5], [-20.0, -2.5]]


def test_what_training_has_never_seen_has_no_weight_at_the_start() -> None:
    from models.network import start

    flat = start(WIDTH, (4,), 2, -2.0, np.random.default_rng(0))
    kernel = flat[: WIDTH * 4].reshape(WIDTH, 4)
    assert np.abs(kernel[:2]).min() > 0
    assert not kernel[2:].any()
    assert flat[-1] == -2.0


def test_the_kernels_are_told_from_the_biases() -> None:
    from models.network import kernels

    assert kernels(2, (3,)).tolist() == [1.0] * 6 + [0.0] * 3 + [1.0] * 3 + [0.0]


def test_the_gradient_is_that_of_the_weighted_log_loss_and_padding_adds_nothing() -> None:
    from models.network import gradient

    features = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], np.float32)
    labels, weights = np.array([1.0, 0.0, 1.0], np.float32), np.array([1.0, 4.0, 0.0], np.float32)
    flat = np.array([0.2, -0.1, 0.3], np.float32)
    found = gradient(2, (), 1)(flat, features[None], labels[None], weights[None], np.array([[0, 1, 2, 2]]))
    chances = 1 / (1 + np.exp(-(features @ flat[:2] + flat[2])))
    slope = weights * (chances - labels)
    expected = [*(slope @ features), slope.sum(), weights.sum()]
    assert np.asarray(found)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("hidden", [(), (8,), (16, 8)])
def test_litert_says_what_keras_says_including_missing_and_infinite_inputs(hidden: tuple[int, ...]) -> None:
    from models.export import answers, to_litert

    keras_model = model(hidden, Calibration(0.8, 0.1))
    rng = np.random.default_rng(0)
    tensor = np.stack([rng.normal(60, 200, 5_000), rng.integers(0, 3, 5_000)], axis=1).astype(np.float32)
    tensor[::7, 0], tensor[::11, 1], tensor[0, 0] = np.nan, np.nan, np.inf
    graph = Graph(to_litert(keras_model), 2)
    apart = np.abs(graph.run(tensor) - answers(keras_model, tensor))
    assert apart.max() <= 1e-6


def test_a_rows_score_does_not_depend_on_the_batch_it_comes_in() -> None:
    from models.export import to_litert

    litert = to_litert(model((16, 8), Calibration()))
    tensor = np.random.default_rng(0).normal(60, 100, (1_500, 2)).astype(np.float32)
    tensor[:, 1] = np.arange(1_500) % 3
    together = Graph(litert, 2).run(tensor)
    for buckets in ((1,), (8,), (32, 256)):
        assert Graph(litert, 2, buckets=buckets).run(tensor).tobytes() == together.tobytes()
    assert len(Graph(litert, 2).run(tensor[:0])) == 0


def test_calibration_is_the_last_step_of_the_graph() -> None:
    from models.export import answers

    tensor = np.array([[10.0, 0.0], [90.0, 2.0]], np.float32)
    logits, found = answers(model(), tensor), answers(model(calibration=Calibration(0.5, -0.25)), tensor)
    assert found == pytest.approx(1 / (1 + np.exp(-(0.5 * logits - 0.25))), abs=1e-6)


def test_a_keras_archive_gives_the_same_model_back(tmp_path: Any) -> None:
    import keras

    from models.export import answers, to_keras

    made = model((8,), Calibration(0.9, 0.2))
    path = tmp_path / "model.keras"
    path.write_bytes(to_keras(made))
    tensor = np.array([[10.0, 0.0], [np.nan, np.nan]], np.float32)
    assert answers(keras.models.load_model(path), tensor).tolist() == answers(made, tensor).tolist()
