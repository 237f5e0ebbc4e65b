"""Brings every segment's rollout forward by rows read back from the lake: what flows and the command line both call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.dataset as ds

from serve import promotions, rollbacks
from serve.models import check_model
from serve.rollout import next_move
from serve.rollout_evidence import COLUMNS, gather
from serve.rollout_state import Gain, Hold, Kind, Move, SegmentState
from serve.routing import Model, Routing
from sluice.decisions import signed
from sluice.declare.pipeline import ALL, Pipeline
from sluice.errors import SluiceError, UserError
from sluice.lake.incidents import incidents
from sluice.lake.tables import Lake

BY_HAND = "by hand"
"""The reason of a step that a person took back; theirs is in the table `rollbacks`."""


@dataclass(frozen=True)
class Candidate:
    """A trained model that may be rolled out, and its gain over the champion on the latest labelled rows."""

    model: Model
    offline: Gain | None = None


@dataclass(frozen=True)
class Audit:
    """How many served vectors were recomputed from raw events, and how many of them differ."""

    audited: int = 0
    mismatched: int = 0


@dataclass(frozen=True)
class Advanced:
    """What was decided for every segment, and the routing that follows from all moves so far."""

    moves: tuple[Move, ...]
    holds: tuple[Hold, ...]
    routing: Routing


def advance(
    lake: Lake,
    pipeline: Pipeline,
    *,
    now: int,
    candidates: Mapping[str, Candidate] | None = None,
    labels: pa.Table | None = None,
    audit: Audit = Audit(),
) -> Advanced:
    """Decide one step for every segment, write the moves, and give the routing to deploy.

    The rows are the state: a process that dies between a row and its deployment is made good by the next call, which
    gives the same routing. `labels` is as `rollout_evidence.gather` takes it.
    """
    waiting, open_incidents = candidates or {}, "; ".join(map(str, incidents(lake)))
    states = promotions.state(lake)
    outcomes = []
    for segment in dict.fromkeys((*pipeline.segments, ALL)):
        state = states.get(segment, SegmentState(segment))
        outcome = _decide(lake, pipeline, state, waiting.get(segment), labels, audit, open_incidents, now)
        if isinstance(outcome, Move):
            promotions.append(lake, outcome)
        outcomes.append(outcome)
    return Advanced(
        tuple(each for each in outcomes if isinstance(each, Move)),
        tuple(each for each in outcomes if isinstance(each, Hold)),
        routing(lake),
    )


def roll_back(lake: Lake, segment: str, *, by: str, because: str, now: int) -> Move:
    """Take back a segment's newest step by hand: its challenger, else its champion for the one before it.

    A segment whose only model is taken back is answered by the fallback. UserError when there is nothing to take back,
    and without a person and a reason, which `rollbacks` keeps: the move names the row.
    """
    signed("a rollback by hand", by=by, because=because)
    states = promotions.state(lake)
    state = states.get(segment, SegmentState(segment))
    leaving = state.challenger or state.champion
    restored = state.champion if state.challenger else state.before
    if leaving is None:
        raise UserError("nothing has been rolled out", where=f"segment {segment}", allowed=sorted(states) or "none yet")
    if restored is None and segment == ALL:
        raise UserError(
            f"{leaving} is the only model of all traffic", where=f"segment {segment}", next_step="promote another first"
        )
    told = {"rollback": rollbacks.record(lake, segment, by=by, because=because, at=now)}
    move = Move(segment, Kind.ROLLBACK, leaving, restored, 0.0, BY_HAND, now, told)
    promotions.append(lake, move)
    return move


def routing(lake: Lake) -> Routing:
    """The routing that the moves so far ask for."""
    return promotions.routing_of(promotions.state(lake))


def _decide(
    lake: Lake,
    pipeline: Pipeline,
    state: SegmentState,
    candidate: Candidate | None,
    labels: pa.Table | None,
    audit: Audit,
    open_incidents: str,
    now: int,
) -> Move | Hold:
    if candidate is not None:
        try:
            check_model(pipeline, candidate.model)
        except SluiceError as error:
            return Hold(state.segment, f"{candidate.model} cannot serve: {error}", now)
    evidence = gather(
        state,
        _predictions(lake, state),
        candidate=candidate.model if candidate else None,
        offline=candidate.offline if candidate else None,
        labels=labels,
        audited=audit.audited,
        mismatched=audit.mismatched,
        incidents=open_incidents,
    )
    return next_move(state, evidence, pipeline.rollout, now)


def _predictions(lake: Lake, state: SegmentState) -> pa.Table:
    """The rows of the segment's models since the present rollout, or the champion, began."""
    if state.champion is None or lake.open("predictions") is None:
        return pa.table({name: pa.array([], kind) for name, kind in _EMPTY.items()})
    since = (ds.field("answered") >= (state.began or state.since)) & (ds.field("model") == state.champion.name)
    return lake.read("predictions", columns=list(COLUMNS), where=since)


_EMPTY = {
    "request_id": pa.string(),
    "event_id": pa.string(),
    "event_time": pa.int64(),
    "answered": pa.int64(),
    "model": pa.string(),
    "version": pa.string(),
    "score": pa.float64(),
    "position": pa.int64(),
}
