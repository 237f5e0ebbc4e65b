"""How a challenger takes over: a pure function from a segment's state and evidence to its next move.

    (nothing) ──shadow──▶ shadow ──canary──▶ canary 10 % ──canary──▶ canary 50 % ──promote──▶ champion
                            └──────────────rollback─────────────────────┘            rollback ─┘ (to the one before)

A move forward needs time on the event clock, traffic, quiet, and proof of quality; a rollback needs none of these. The
first champion of a segment is promoted at once: it takes traffic from nobody but the fallback.
"""

from __future__ import annotations

from collections.abc import Iterator

from serve.rollout_state import Evidence, Gain, Hold, Kind, Move, SegmentState
from sluice.declare.durations import HOUR, duration_text
from sluice.declare.operate import Rollout

LEAST_CORRELATION = 0.1
"""Below this rank correlation two models of one segment have nothing in common; one of them has learnt nothing."""


def next_move(state: SegmentState, evidence: Evidence, rollout: Rollout, now: int) -> Move | Hold:
    """The move that the evidence asks for at `now` (event clock, microseconds), or why there is none."""
    if state.challenger is not None:
        return _on_trial(state, evidence, rollout, now)
    failing = _errors(evidence, rollout)
    if state.champion is not None and failing:
        return _retreat(state, evidence, failing, now)
    if evidence.candidate is None:
        return Hold(state.segment, "nothing is waiting to be rolled out", now, evidence.describe())
    return _begin(state, evidence, now)


def _begin(state: SegmentState, evidence: Evidence, now: int) -> Move | Hold:
    """Let a new candidate in."""
    candidate, champion = evidence.candidate, state.champion
    seen = evidence.describe()
    if candidate is None or candidate == champion:
        return Hold(state.segment, f"{champion} is the champion already", now, seen)
    if candidate in state.refused or candidate in state.line:
        return Hold(state.segment, f"{candidate} has been rolled back or replaced before", now, seen)
    if evidence.incidents:
        return Hold(state.segment, f"{candidate} waits: {evidence.incidents}", now, seen)
    if champion is None:
        reason = f"{candidate} is the first model of the segment"
        return Move(state.segment, Kind.PROMOTE, None, candidate, 0.0, reason, now, seen)
    if candidate.definition != champion.definition:
        reason = f"{champion} reads vectors of definition {champion.definition}, which is no longer computed"
        return Move(state.segment, Kind.PROMOTE, champion, candidate, 0.0, reason, now, seen)
    reason = f"{candidate} scores what {champion} answers"
    return Move(state.segment, Kind.SHADOW, champion, candidate, 0.0, reason, now, seen)


def _on_trial(state: SegmentState, evidence: Evidence, rollout: Rollout, now: int) -> Move | Hold:
    against = [
        reason
        for reason in (
            _errors(evidence, rollout),
            _worse(evidence, rollout),
            _shifted(evidence, rollout),
            _unrelated(evidence, rollout),
            _superseded(state, evidence, rollout),
        )
        if reason
    ]
    if against:
        return _retreat(state, evidence, "; ".join(against), now)
    missing = list(_missing(state, evidence, rollout, now))
    if missing:
        return Hold(state.segment, f"{state.challenger}: {'; '.join(missing)}", now, evidence.describe())
    return _forward(state, evidence, rollout, now)


def _forward(state: SegmentState, evidence: Evidence, rollout: Rollout, now: int) -> Move:
    share = next((step for step in rollout.canary if step > state.share), None)
    kind = Kind.PROMOTE if share is None else Kind.CANARY
    reason = f"after {_hours(now - state.since)} as {state.step}: {_findings(evidence)}"
    return Move(state.segment, kind, state.champion, state.challenger, share or 0.0, reason, now, evidence.describe())


def _retreat(state: SegmentState, evidence: Evidence, reason: str, now: int) -> Move | Hold:
    leaving, restored = state.challenger or state.champion, state.champion if state.challenger else state.before
    if restored is None:
        return Hold(state.segment, f"{reason}; there is nothing to roll back to", now, evidence.describe())
    return Move(state.segment, Kind.ROLLBACK, leaving, restored, 0.0, reason, now, evidence.describe())


def _missing(state: SegmentState, evidence: Evidence, rollout: Rollout, now: int) -> Iterator[str]:
    """What a step still lacks before the next."""
    bake, stood = int(rollout.bake if state.share else rollout.shadow), now - state.since
    if stood < bake:
        yield f"{_hours(stood)} of {duration_text(bake)} as {state.step}"
    if evidence.requests < rollout.min_requests:
        yield f"{evidence.requests:,} of {rollout.min_requests:,} requests"
    if evidence.mismatched:
        yield f"{evidence.mismatched:,} of {evidence.audited:,} audited vectors differ from their events"
    if evidence.incidents:
        yield evidence.incidents
    proof = evidence.best
    if proof is None:
        yield "no labelled rows show its quality yet"
    elif proof.value < rollout.min_gain:
        yield f"{_gained(proof)}, {rollout.min_gain:+.3f} needed"


def _errors(evidence: Evidence, rollout: Rollout) -> str:
    """More failures than a step of the least size may have."""
    if evidence.errors <= rollout.max_error_rate * max(evidence.requests, rollout.min_requests):
        return ""
    rate = evidence.errors / max(evidence.requests, 1)
    allowed = f"{rollout.max_error_rate:.2%} allowed"
    return f"{evidence.errors:,} of {evidence.requests:,} requests failed ({rate:.2%}, {allowed})"


def _worse(evidence: Evidence, rollout: Rollout) -> str:
    """Clearly worse: the whole interval of the difference lies below what is allowed."""
    worse = [gain for gain in (evidence.live, evidence.offline) if gain is not None and gain.high < rollout.min_gain]
    return f"{_gained(worse[0])}, {rollout.min_gain:+.3f} allowed" if worse else ""


def _shifted(evidence: Evidence, rollout: Rollout) -> str:
    if evidence.requests < rollout.min_requests or evidence.shift is None:
        return ""
    if evidence.shift <= rollout.max_score_shift:
        return ""
    return f"its scores shift by {evidence.shift:.2f} ({rollout.max_score_shift:.2f} allowed)"


def _unrelated(evidence: Evidence, rollout: Rollout) -> str:
    """It ranks like a stranger, and nothing proves that it knows better."""
    if evidence.requests < rollout.min_requests or evidence.correlation is None:
        return ""
    proven = evidence.best is not None and evidence.best.low > 0
    if proven or evidence.correlation >= LEAST_CORRELATION:
        return ""
    return f"its ranking has nothing of the champion's (correlation {evidence.correlation:.2f})"


def _superseded(state: SegmentState, evidence: Evidence, rollout: Rollout) -> str:
    """A newer candidate waits while the one in the shadow cannot prove itself."""
    candidate, proof = evidence.candidate, evidence.best
    if candidate is None or candidate == state.challenger or candidate in (*state.line, *state.refused):
        return ""
    if candidate == state.champion or state.share or (proof is not None and proof.value >= rollout.min_gain):
        return ""
    return f"its quality is not proven, and {candidate} waits"


def _findings(evidence: Evidence) -> str:
    """What speaks for a move, in numbers."""
    found = [f"{evidence.errors:,} of {evidence.requests:,} requests failed"]
    if evidence.shift is not None:
        found.append(f"scores shift by {evidence.shift:.2f}")
    if evidence.best is not None:
        found.append(_gained(evidence.best))
    return ", ".join(found)


def _gained(gain: Gain) -> str:
    interval = f"{gain.low:+.3f} to {gain.high:+.3f}"
    return f"average precision {gain.value:+.3f} ({interval}, {gain.positives:,} positives in {gain.rows:,} rows)"


def _hours(microseconds: int) -> str:
    return f"{microseconds / HOUR:.1f} h"
