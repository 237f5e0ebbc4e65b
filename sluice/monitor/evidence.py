"""What is known of a segment, gathered from rows read back from the lake, for the policy to decide on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sluice.declare.evidence import Drifted, Evidence, Quality
from sluice.declare.retraining import HybridRetraining
from sluice.monitor.drift.checks import DriftRow
from sluice.monitor.performance import Scored, outlook, quality


@dataclass(frozen=True, slots=True)
class ModelHistory:
    """What the promotion log and the decisions say of a segment's champion; times in microseconds."""

    trained_at: int | None
    promoted_at: int | None = None
    previous: str | None = None
    """The version a rollback would restore."""
    retrains: tuple[int, ...] = ()
    new_labels: int = 0


@dataclass(frozen=True, slots=True)
class Audited:
    """How many served vectors were recomputed from raw events, and how many of them differ."""

    checked: int = 0
    mismatched: int = 0


def gather(
    segment: str,
    policy: HybridRetraining,
    model: ModelHistory,
    *,
    drift: Sequence[DriftRow] = (),
    held_out: Scored | None = None,
    mature: Scored | None = None,
    newest: Scored | None = None,
    audited: Audited = Audited(),
) -> Evidence:
    """The evidence of one segment.

    `drift` holds all its rows against the present reference; `held_out` the champion's own test rows, `mature` what it
    served and is labelled, `newest` what it served and is not.
    """
    metric = policy.performance.metric if policy.performance else "average_precision"
    rows = [row for row in drift if row.segment == segment]
    return Evidence(
        segment=segment,
        trained_at=model.trained_at,
        promoted_at=model.promoted_at,
        previous=model.previous,
        retrains=model.retrains,
        new_labels=model.new_labels,
        watched=len(_last_check(rows)),
        drift=drifted(rows, policy),
        metric=metric,
        baseline=_quality(held_out, metric),
        measured=_quality(mature, metric),
        expected=_outlook(held_out, metric),
        outlook=_outlook(newest, metric),
        audited=audited.checked,
        mismatched=audited.mismatched,
    )


def drifted(rows: Sequence[DriftRow], policy: HybridRetraining) -> tuple[Drifted, ...]:
    """The columns whose alarm stands at the last check of one segment and one reference, worst first."""
    checks = policy.drift.persistence[1] if policy.drift else 1
    alarms = sorted((row for row in _last_check(rows) if row.alarm), key=lambda row: row.threshold - row.distance)
    return tuple(_drifted(row, rows, checks) for row in alarms)


def _drifted(row: DriftRow, rows: Sequence[DriftRow], checks: int) -> Drifted:
    same = [item for item in rows if (item.kind, item.column, item.reference) == (row.kind, row.column, row.reference)]
    recent = sorted(same, key=lambda item: item.day)[-checks:]
    return Drifted(
        column=row.column,
        kind=row.kind,
        detector=row.detector,
        distance=row.distance,
        threshold=row.threshold,
        exceeded=sum(item.exceeded for item in recent),
        checks=len(recent),
    )


def _last_check(rows: Sequence[DriftRow]) -> list[DriftRow]:
    last = max((row.day for row in rows), default=None)
    return [row for row in rows if row.day == last]


def _quality(rows: Scored | None, metric: str) -> Quality | None:
    return None if rows is None or not len(rows) else quality(rows, metric)


def _outlook(rows: Scored | None, metric: str) -> Quality | None:
    return None if rows is None or not len(rows) else outlook(rows, metric)
