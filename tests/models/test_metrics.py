from __future__ import annotations

import numpy as np
import pytest

from models.metrics import Evaluated, card_precision
from models.split import DAY

pytestmark = pytest.mark.unit


def precision(rows: list[tuple[int, int, int, float]], top: int) -> float:
    """Rows of (day, card, label, score)."""
    day, card, label, score = (np.array(column) for column in zip(*rows, strict=True))
    return card_precision(label.astype(np.int8), card, day * DAY, score.astype(np.float64), top=top)


def test_a_card_counts_with_its_most_suspicious_payment() -> None:
    # card 1's fraud scores low, but its other payment puts it on top: it is found
    rows = [(0, 1, 1, 0.1), (0, 1, 0, 0.9), (0, 2, 0, 0.5), (0, 3, 0, 0.4)]
    assert precision(rows, top=1) == 1.0


def test_precision_is_the_share_of_the_whole_list_also_when_fewer_cards_are_seen() -> None:
    assert precision([(0, 1, 1, 0.9), (0, 2, 0, 0.5)], top=4) == 0.25


def test_a_caught_card_leaves_the_pool_of_later_days() -> None:
    # on day 1 card 1 would be on top again; instead card 2 is looked at, and it is genuine
    rows = [(0, 1, 1, 0.9), (0, 2, 0, 0.1), (1, 1, 1, 0.9), (1, 2, 0, 0.2)]
    assert precision(rows, top=1) == 0.5


def test_a_card_that_was_looked_at_in_vain_stays_in_the_pool() -> None:
    rows = [(0, 1, 0, 0.9), (0, 2, 0, 0.1), (1, 1, 1, 0.9), (1, 2, 0, 0.2)]
    assert precision(rows, top=1) == 0.5


def test_the_measures_of_a_small_ranking_are_those_computed_by_hand() -> None:
    labels = np.array([1, 0, 1, 0], dtype=np.int8)
    rows = Evaluated(labels, np.arange(4), np.zeros(4, dtype=np.int64))
    found = rows.measure(np.array([0.9, 0.8, 0.7, 0.1]))
    assert found.auc == 0.75  # three of four pairs in order
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.7, 0.9]).mean())
    assert found.card_precision_at_100 == 0.02
    assert (found.rows, found.frauds) == (4, 2)


def test_a_ranking_without_probabilities_has_no_log_loss() -> None:
    rows = Evaluated(np.array([1, 0], dtype=np.int8), np.arange(2), np.zeros(2, dtype=np.int64))
    found = rows.measure(np.array([220.0, 10.0]), probabilities=False)
    assert found.log_loss is None
    assert "log_loss" not in found.as_dict()
