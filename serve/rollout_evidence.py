"""Evidence of a rollout from the rows that serving left behind: tables in, one frozen value out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from serve.rollout_state import Evidence, Gain, SegmentState
from serve.routing import Model
from sluice.declare.durations import DAY
from sluice.monitor.ranking import ranking

COLUMNS = ("request_id", "event_id", "event_time", "answered", "model", "version", "score", "position")
"""The columns of `predictions` that are needed."""
SAME = 0.01
"""Scores this near count as equal when shifts are measured."""
_REPLAYS = 200
_LEAST_DAYS = 5
_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


def gather(
    state: SegmentState,
    predictions: pa.Table,
    *,
    candidate: Model | None = None,
    offline: Gain | None = None,
    labels: pa.Table | None = None,
    audited: int = 0,
    mismatched: int = 0,
    incidents: str = "",
) -> Evidence:
    """What is known of the model on trial from rows of `predictions` (shadows included).

    `labels` has `event_id` (text) and `label` (0 or 1) of events whose label is mature. `offline` is of the candidate;
    a challenger's own is part of its state.
    """
    base = Evidence(candidate=candidate, offline=offline, audited=audited, mismatched=mismatched, incidents=incidents)
    if state.champion is None:
        return base
    mine = scores_of(predictions, state.challenger or state.champion, since=state.since)
    tried = replace(base, requests=len(mine), errors=int(mine["score"].isna().sum()))
    if state.challenger is None:
        return tried
    pairs = paired(predictions, state.champion, state.challenger, since=state.since)
    champion, challenger = (pairs[side].to_numpy(np.float64) for side in ("champion", "challenger"))
    return replace(
        tried,
        offline=state.offline,
        shift=score_shift(champion, challenger),
        correlation=rank_correlation(champion, challenger),
        live=live_gain(paired(predictions, state.champion, state.challenger, since=state.began), labels),
    )


def scores_of(predictions: pa.Table, model: Model, *, since: int) -> pd.DataFrame:
    """A model's scores after a moment of the event clock, in the order of the log; NaN where it failed."""
    frame: pd.DataFrame = predictions.select(COLUMNS).to_pandas()
    mine = (frame["model"] == model.name) & (frame["version"] == model.version) & (frame["answered"] > since)
    return frame[mine].sort_values("position", kind="stable")


def paired(predictions: pa.Table, champion: Model, challenger: Model, *, since: int) -> pd.DataFrame:
    """Both models' scores of the same events of the same requests, where both gave one."""
    key = ["request_id", "event_id", "nth"]
    sides = []
    for name, model in (("champion", champion), ("challenger", challenger)):
        scores = scores_of(predictions, model, since=since)
        nth = scores.groupby(key[:2]).cumcount()  # events of one request may have no id, or the same one
        sides.append(scores.assign(nth=nth)[[*key, "event_time", "score"]].rename(columns={"score": name}))
    return sides[0].merge(sides[1].drop(columns="event_time"), on=key).dropna(subset=["champion", "challenger"])


def score_shift(first: _Floats, second: _Floats) -> float | None:
    """Kolmogorov-Smirnov distance of two samples, forgiving differences of up to `SAME`; None without rows.

    The greatest amount by which one distribution function exceeds the other moved by `SAME`. Two calibrated models of
    a rare event differ everywhere below a hundredth and by nothing that matters: their plain distance is near 1.
    """
    if not len(first) or not len(second):
        return None
    return max(_excess(first, second), _excess(second, first))


def rank_correlation(first: _Floats, second: _Floats) -> float | None:
    """Spearman's rank correlation; None for fewer than three rows or a constant score."""
    if len(first) < 3 or not np.ptp(first) or not np.ptp(second):
        return None
    ranks = [pd.Series(scores).rank().to_numpy(np.float64) for scores in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def live_gain(pairs: pd.DataFrame, labels: pa.Table | None) -> Gain | None:
    """The gain on the paired events whose label is known."""
    if labels is None or not len(pairs):
        return None
    known = pairs.merge(labels.select(["event_id", "label"]).to_pandas(), on="event_id")
    days = known["event_time"].to_numpy(np.int64) // DAY
    champion, challenger = (known[side].to_numpy(np.float64) for side in ("champion", "challenger"))
    return measure_gain(known["label"].to_numpy(np.int64), champion, challenger, days)


def measure_gain(
    labels: _Ints, champion: _Floats, challenger: _Floats, days: _Ints, *, replays: int = _REPLAYS, seed: int = 0
) -> Gain | None:
    """Average precision of the challenger less the champion's on the same rows; None without rows of both labels.

    The 95 % interval is over resampled whole days, as rows of one day are not independent; with fewer than five days
    it is -1 to 1: it cannot be told.
    """
    positive = np.asarray(labels, np.float64)
    if not 0 < positive.sum() < len(positive):
        return None
    ranked = [ranking(np.asarray(scores, np.float64)) for scores in (champion, challenger)]

    def difference(weight: _Floats) -> float | None:
        values = [each.average_precision(weight * positive, weight * (1 - positive)) for each in ranked]
        return None if values[0] is None or values[1] is None else values[1] - values[0]

    value = difference(np.ones(len(positive)))
    if value is None:
        return None
    found, which = np.unique(days, return_inverse=True)
    if len(found) < _LEAST_DAYS:
        return Gain(value, -1.0, 1.0, len(positive), int(positive.sum()))
    drawn = np.random.default_rng(seed).multinomial(len(found), np.full(len(found), 1 / len(found)), replays)
    replayed = [each for weights in drawn if (each := difference(weights[which].astype(np.float64))) is not None]
    low, high = (float(np.quantile([value, *replayed], share)) for share in (0.025, 0.975))
    return Gain(value, min(low, value), max(high, value), len(positive), int(positive.sum()))


def _excess(low: _Floats, high: _Floats) -> float:
    """The most by which the share of `low` at or below a score exceeds that of `high` at or below it plus `SAME`."""
    ordered, other = np.sort(low), np.sort(high)
    mine = np.arange(1, len(ordered) + 1) / len(ordered)
    theirs = np.searchsorted(other, ordered + SAME, side="right") / len(other)
    return float(max(0.0, np.max(mine - theirs)))
