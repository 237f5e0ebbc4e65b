"""Card precision: of the hundred cards a team can check each day, the share that is truly compromised.

The definition is the Fraud Detection Handbook's (chapter 4.4, "Card Precision top-k"): a card's score is the greatest
of its transactions that day, a card found compromised leaves the following days, and the daily shares are averaged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sluice.monitor.ranking import Numbers

_Cards = NDArray[np.generic]
_Integers = NDArray[np.int64]


def card_precision_by_day(
    scores: Numbers, labels: _Integers, cards: _Cards, days: _Integers, k: int = 100
) -> dict[int, float]:
    """Day number to the share of compromised cards among that day's top `k`; fewer cards than `k` still divide by `k`.

    Cards with equal scores rank by their key, so that the answer does not depend on the order of rows.
    """
    codes = np.unique(cards, return_inverse=True)[1]
    caught = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.bool_)
    found: dict[int, float] = {}
    for day in np.unique(days):
        rows = np.flatnonzero((days == day) & ~caught[codes])
        today, ranked = _ranked_cards(codes[rows], scores[rows])
        compromised = np.unique(codes[rows][labels[rows] == 1])
        hits = np.intersect1d(today[ranked[:k]], compromised)
        caught[hits] = True
        found[int(day)] = len(hits) / k
    return found


def fresh_cards(cards: _Cards, labels: _Integers, days: _Integers, delay: int) -> NDArray[np.bool_]:
    """Which rows are of cards not known as compromised by then: without a fraud more than `delay` days before.

    Give all rows from the first day of training on; the Handbook's protocol leaves the others out of its test days.
    """
    codes = np.unique(cards, return_inverse=True)[1]
    first = np.full(int(codes.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, codes[labels == 1], days[labels == 1])
    return np.asarray(first[codes] >= days - delay)


def _ranked_cards(codes: _Integers, scores: Numbers) -> tuple[_Integers, _Integers]:
    """The day's cards, and their positions by falling greatest score."""
    today, where = np.unique(codes, return_inverse=True)
    best = np.full(len(today), -np.inf)
    np.maximum.at(best, where, scores)
    return today, np.lexsort((today, -best))
