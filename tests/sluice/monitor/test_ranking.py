from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from sluice.monitor.ranking import ranking

pytestmark = pytest.mark.unit

rows = st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.integers(0, 3)), min_size=1, max_size=60)


def test_a_perfect_ranking_a_reversed_one_and_none_at_all() -> None:
    positive = np.array([1.0, 1.0, 0.0, 0.0])
    for scores, auc in (([4, 3, 2, 1], 1.0), ([1, 2, 3, 4], 0.0), ([1, 1, 1, 1], 0.5)):
        assert ranking(np.array(scores, dtype=np.float64)).auc(positive, 1 - positive) == auc


def test_average_precision_by_hand() -> None:
    # Hits at ranks 1 and 3: (1/1 + 2/3) / 2.
    positive = np.array([1.0, 0.0, 1.0, 0.0])
    found = ranking(np.array([0.9, 0.8, 0.7, 0.1])).average_precision(positive, 1 - positive)
    assert found == pytest.approx(5 / 6)


@given(rows)
def test_both_measures_are_scikit_learns_with_ties_and_weights(drawn: list[tuple[int, bool, int]]) -> None:
    scores, labels, weights = (np.array(column, dtype=np.float64) for column in zip(*drawn, strict=True))
    hits, misses = weights * labels, weights * (1 - labels)
    ranked = ranking(scores)
    if hits.sum() and misses.sum():
        expected = roc_auc_score(labels, scores, sample_weight=weights)
        assert ranked.auc(hits, misses) == pytest.approx(expected, abs=1e-12)
        expected = average_precision_score(labels, scores, sample_weight=weights)
        assert ranked.average_precision(hits, misses) == pytest.approx(expected, abs=1e-12)
    else:
        assert ranked.auc(hits, misses) is None


def test_without_positives_there_is_nothing_to_measure() -> None:
    nothing = ranking(np.array([]))
    assert nothing.auc(np.array([]), np.array([])) is None
    assert nothing.average_precision(np.array([]), np.array([])) is None
