from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.monitor.cards import card_precision_by_day, fresh_cards


def by_day(rows: list[tuple[int, str, float, int]], k: int) -> dict[int, float]:
    days, cards, scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    return card_precision_by_day(scores.astype(np.float64), labels.astype(np.int64), cards, days.astype(np.int64), k)


@pytest.mark.unit
def test_a_cards_score_is_the_greatest_of_its_day() -> None:
    rows = [(1, "a", 0.1, 1), (1, "a", 0.9, 0), (1, "b", 0.5, 0), (1, "c", 0.4, 1)]
    assert by_day(rows, k=1) == {1: 1.0}
    assert by_day(rows, k=2) == {1: 0.5}


@pytest.mark.unit
def test_a_card_found_compromised_leaves_the_following_days() -> None:
    rows = [(1, "a", 0.9, 1), (2, "a", 0.9, 1), (2, "b", 0.1, 1)]
    assert by_day(rows, k=1) == {1: 1.0, 2: 1.0}
    missed = [(1, "a", 0.9, 0), (2, "a", 0.9, 1), (2, "b", 0.1, 1)]
    assert by_day(missed, k=1) == {1: 0.0, 2: 1.0}


@pytest.mark.unit
def test_fewer_cards_than_k_still_divide_by_k() -> None:
    assert by_day([(1, "a", 0.9, 1), (1, "b", 0.1, 0)], k=100) == {1: 0.01}


@pytest.mark.unit
@given(st.permutations([(1, card, 0.5, int(card < "d")) for card in "abcdefgh"]))
def test_equal_scores_rank_by_card_whatever_the_order_of_rows(rows: list[tuple[int, str, float, int]]) -> None:
    assert by_day(rows, k=4) == {1: 0.75}


@pytest.mark.unit
def test_no_rows_no_days() -> None:
    nothing = np.array([], dtype=np.int64)
    assert card_precision_by_day(np.array([]), nothing, nothing, nothing) == {}


@pytest.mark.unit
def test_a_card_is_known_from_the_day_after_the_delay_on() -> None:
    cards, days = np.array(["a"] * 5 + ["b"]), np.array([1, 3, 8, 9, 20, 20])
    fresh = fresh_cards(cards, np.array([1, 1, 0, 0, 1, 0]), days, delay=7)
    assert fresh.tolist() == [True, True, True, False, False, True]


@pytest.mark.integration
@pytest.mark.skipif("SLUICE_HANDBOOK_DIR" not in os.environ, reason="SLUICE_HANDBOOK_DIR names the Handbook's data")
def test_the_handbooks_test_week_has_its_published_counts_and_ceiling() -> None:
    path = Path(os.environ["SLUICE_HANDBOOK_DIR"]) / "transactions.parquet"
    since = (dt.date(2018, 7, 25) - dt.date(2018, 4, 1)).days
    table = pq.read_table(
        path,
        columns=["CUSTOMER_ID", "TX_TIME_DAYS", "TX_FRAUD"],
        filters=[("TX_TIME_DAYS", ">=", since), ("TX_TIME_DAYS", "<", since + 21)],
    )
    cards, days, frauds = (table.column(name).to_numpy().astype(np.int64) for name in table.column_names)
    test = fresh_cards(cards, frauds, days, delay=7) & (days >= since + 14)
    assert (int(test.sum()), int(frauds[test].sum())) == (58_264, 385)
    perfect = card_precision_by_day(frauds[test].astype(np.float64), frauds[test], cards[test], days[test])
    assert np.mean(list(perfect.values())) == pytest.approx(0.397, abs=0.0005)
