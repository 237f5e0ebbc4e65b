"""How good a ranking of payments is, by the definitions that the fraud literature reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.split import DAY, Int8s
from sluice.scoring import Float64s, Int64s


@dataclass(frozen=True, slots=True)
class Metrics:
    """A model's quality on rows that it has not seen; `log_loss` is None for a ranking without probabilities."""

    rows: int
    frauds: int
    auc: float
    average_precision: float
    card_precision_at_100: float
    log_loss: float | None

    def as_dict(self) -> dict[str, float]:
        """The measures that there are, by name."""
        return {name: float(value) for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The rows that a model is measured on: what happened, to which card, when (microseconds)."""

    labels: Int8s
    cards: NDArray[Any]
    times: Int64s

    def measure(self, scores: Float64s, *, probabilities: bool = True) -> Metrics:
        """The metrics of these scores, higher meaning more suspicious; both labels must occur."""
        from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

        return Metrics(
            rows=len(self.labels),
            frauds=int(self.labels.sum()),
            auc=float(roc_auc_score(self.labels, scores)),
            average_precision=float(average_precision_score(self.labels, scores)),
            card_precision_at_100=card_precision(self.labels, self.cards, self.times, scores),
            log_loss=float(log_loss(self.labels, scores, labels=[0, 1])) if probabilities else None,
        )


def card_precision(labels: Int8s, cards: NDArray[Any], times: Int64s, scores: Float64s, *, top: int = 100) -> float:
    """The mean over days of the share of truly compromised cards among the `top` most suspicious of the day.

    A card's suspicion is its greatest score of the day; a card once caught leaves the pool of the days after (Fraud
    Detection Handbook, chapter 4). Days are UTC; equal suspicions go by the card's key.
    """
    days = times // DAY
    caught: set[Any] = set()
    shares = []
    for day in np.unique(days):
        ranked = _ranked(*(each[days == day] for each in (labels, cards, scores)))
        first = [(card, fraud) for card, fraud in ranked if card not in caught][:top]
        found = {card for card, fraud in first if fraud}
        caught |= found
        shares.append(len(found) / top)
    return float(np.mean(shares))


def _ranked(labels: Int8s, cards: NDArray[Any], scores: Float64s) -> list[tuple[Any, bool]]:
    """Cards of one day with whether they are compromised, the most suspicious first."""
    keys, places = np.unique(cards, return_inverse=True)
    suspicion = np.full(len(keys), -np.inf)
    np.maximum.at(suspicion, places, scores)
    compromised = np.zeros(len(keys), dtype=bool)
    np.logical_or.at(compromised, places, labels == 1)
    order = np.argsort(-suspicion, kind="stable")
    return list(zip(keys[order].tolist(), compromised[order].tolist(), strict=True))
