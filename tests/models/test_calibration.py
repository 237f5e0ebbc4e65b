from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from models.calibration import platt, probabilities
from sluice.scoring import Calibration
from tests.properties import examples

pytestmark = pytest.mark.unit


def sample(scale: float, shift: float, seed: int, rows: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-3, 3, rows)
    labels = (rng.random(rows) < 1 / (1 + np.exp(-(scale * logits + shift)))).astype(np.int8)
    return logits, labels


@settings(max_examples=examples(20))
@given(st.floats(0.3, 2.0), st.floats(-1.0, 1.0), st.integers(0, 1_000))
def test_platt_finds_what_a_general_optimiser_finds(scale: float, shift: float, seed: int) -> None:
    logits, labels = sample(scale, shift, seed)
    frauds = labels.sum()
    targets = np.where(labels == 1, (frauds + 1) / (frauds + 2), 1 / (len(labels) - frauds + 2))

    def loss(point: np.ndarray) -> float:
        lines = point[0] * logits + point[1]
        return float(np.mean(np.logaddexp(0, lines) - targets * lines))

    found = platt(logits, labels)
    best = minimize(loss, [1.0, 0.0], method="BFGS", options={"gtol": 1e-8})
    assert loss(np.array([found.scale, found.shift])) <= best.fun + 1e-9


def test_calibrated_probabilities_add_up_to_the_frauds() -> None:
    logits, labels = sample(0.5, -1.0, seed=3)
    assert probabilities(logits, platt(logits, labels)).sum() == pytest.approx(labels.sum(), rel=0.02)


def test_a_ranking_is_never_turned_round() -> None:
    logits, labels = sample(-1.0, 0.0, seed=4)
    found = platt(logits, labels)
    assert found.scale > 0
    assert probabilities(logits, found).sum() == pytest.approx(labels.sum(), rel=0.02)


def test_extreme_logits_do_not_overflow() -> None:
    assert probabilities(np.array([-1e6, 0.0, 1e6]), Calibration()).tolist() == [0.0, 0.5, 1.0]
