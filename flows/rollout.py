"""Roll out: one step for every segment where the rows allow it, then the models swapped in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.ingest import wait_for_archive
from flows.place import Place, moment, place
from models.registry import Resolved
from models.request import SHUFFLED, Variant
from serve import promotions
from serve.advance import Advanced, Audit, Candidate, advance, roll_back, routing
from serve.control import deploy
from serve.rollout_evidence import measure_gain
from serve.rollout_state import Gain, Kind, Move, SegmentState
from serve.routing import Model
from sluice.declare.checks import one_of
from sluice.declare.durations import DAY
from sluice.declare.pipeline import ALL
from sluice.engine.encode import encode, integers
from sluice.engine.labels import label_at
from sluice.lake.lineage.datasets import Run, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.monitor.served import told_events
from sluice.scoring import ModelSpec, Scorer, to_tensor

CANDIDATE, CONTROL = Variant().name, SHUFFLED.name
"""The aliases that training gives to the newest of each variant."""
LIVE = 60 * DAY
"""How far back the labels of live requests are looked up."""


@flow(name="rollout")
def rollout(pipeline: str, at: int | None = None, variant: str = CANDIDATE) -> list[str]:
    """Move every segment's rollout by at most one step, and serve by the routing that follows.

    `variant` is the alias of the models that wait to be let in: `shuffled` are the controls, which have to be caught;
    they come only beside a champion that they cannot replace at once, and while nothing else is on trial. Returns every
    move in words, and every challenger that stays where it is, `<segment>: hold — <reason>`; the other holds are the
    run's artifact.
    """
    here, now = place(pipeline), moment(at)
    wait_for_archive(pipeline)
    with told_run(here.pipeline.name, "rollout", lambda: about(here), at=now):
        steps = decide_moves(pipeline, now, variant)
        swap(pipeline)
    mark_aliases(here)
    return steps


def about(here: Place) -> Run:
    """What a rollout has read and written."""
    return Run(tables_of(here.lake, ["predictions", "audits", "vectors"]), tables_of(here.lake, ["promotions"]))


@flow(name="take back")
def take_back(pipeline: str, segment: str, by: str, because: str, at: int | None = None) -> str:
    """Take a segment's newest step back by hand, and serve by the routing that follows; the move in words."""
    here, now = place(pipeline), moment(at)
    one_of(segment, (*here.pipeline.segments, ALL), where="take back", kind="segment")
    with told_run(here.pipeline.name, "take back", lambda: by_hand(here), at=now):
        move = roll_back(here.lake, segment, by=by, because=because, now=now)
        swap(pipeline)
    mark_aliases(here)
    return in_words(replace(move, reason=because))


def by_hand(here: Place) -> Run:
    """What a step that is taken back has written."""
    return Run(writes=tables_of(here.lake, ["promotions", "rollbacks"]))


def in_words(move: Move) -> str:
    """A move in a line: which model comes, or which one is taken back for which."""
    back = f"{move.leaving}, {move.to or 'the fallback'} answers"
    what = back if move.kind is Kind.ROLLBACK else str(move.to)
    return f"{move.segment}: {move.kind.value} {what} — {move.reason}"


@task(name="decide moves")
def decide_moves(pipeline: str, at: int, variant: str) -> list[str]:
    """Decide by rows read back, and write the moves."""
    here = place(pipeline)
    audits = here.lake.rows("audits")
    audit = Audit(len(audits), sum(not row["equal"] for row in audits))
    waiting = candidates(here, at, variant)
    advanced = advance(
        here.lake, here.pipeline, now=at, candidates=waiting, labels=labels_so_far(here, at), audit=audit
    )
    show(advanced)
    on_trial = {segment for segment, state in promotions.state(here.lake).items() if state.challenger is not None}
    return [in_words(move) for move in advanced.moves] + [
        f"{hold.segment}: hold — {hold.reason}" for hold in advanced.holds if hold.segment in on_trial
    ]


@task(name="swap models")
def swap(pipeline: str) -> str:
    """Serve by the routing that the promotion log asks for; its version."""
    wanted = routing(place(pipeline).lake)
    if wanted.routes:
        deploy(pipeline, wanted)
    return wanted.version


def candidates(here: Place, at: int, variant: str) -> dict[str, Candidate]:
    """The model that waits in each segment, with its gain over the champion where there is one."""
    one_of(variant, (CANDIDATE, CONTROL), where="rollout", kind="variant")
    registry, states = here.registry, promotions.state(here.lake)
    found = {}
    for segment in dict.fromkeys((*here.pipeline.segments, ALL)):
        waiting, state = registry.resolve(segment, variant), states.get(segment)
        if waiting is None:
            continue
        model, champion = as_model(waiting), state.champion if state else None
        if variant == CONTROL and not _may_be_tried(state, model):
            continue
        known = champion is None or champion == model
        found[segment] = Candidate(model, None if known else gain(here, segment, champion, model, at))
    return found


def _may_be_tried(state: SegmentState | None, control: Model) -> bool:
    """Whether a control can only be tried; without a champion that reads the same vectors it would take over."""
    if state is None or state.champion is None or state.challenger is not None:
        return False
    return state.champion.definition == control.definition


def as_model(resolved: Resolved) -> Model:
    """A registered version as routing names it."""
    spec = ModelSpec.load(resolved.folder)
    return Model(resolved.name, str(resolved.version), str(resolved.folder), spec.definition_hash)


def gain(here: Place, segment: str, champion: Model | None, candidate: Model, at: int) -> Gain | None:
    """The candidate's gain on the newest vectors, which neither model was fitted on, by the labels told so far.

    A fraud that nobody has reported yet counts as genuine for both, which makes the gain smaller and not larger.
    """
    fresh = at - here.pipeline.label.settled_after
    span = (ds.field("event_time") >= fresh) & (ds.field("event_time") < at)
    vectors = here.lake.read("vectors", where=span if segment == ALL else span & (ds.field("segment") == segment))
    if champion is None or len(vectors) == 0:
        return None
    labels = told_so_far(
        here, vectors.column("event_id").combine_chunks(), integers(vectors.column("event_time"))[0], at
    )
    scores = [_scores(model, vectors) for model in (champion, candidate)]
    days = integers(vectors.column("event_time"))[0] // DAY
    return measure_gain(labels, scores[0], scores[1], days)


def labels_so_far(here: Place, at: int) -> pa.Table:
    """The label of every live event as far as it is told: `event_id` as text, and 0 or 1."""
    events = here.pipeline.events
    recent = ds.field("_time") >= at - LIVE
    rows = encode(here.lake.read(f"silver/{events.name}", where=recent), events)
    ids = rows.column("_id").combine_chunks()
    labels = told_so_far(here, ids, integers(rows.column("_time"))[0], at)
    return pa.table({"event_id": pc.cast(ids, pa.string()), "label": labels})


def told_so_far(here: Place, ids: pa.Array, times: np.ndarray, at: int) -> np.ndarray:
    """1 where a label of 1 has been told by now, else 0."""
    label = (
        replace(here.pipeline.label, absent=0, after="0s")
        if here.pipeline.label.column is None
        else here.pipeline.label
    )
    values, known = label_at(label, {label.told_by.name: told_events(here.lake, here.pipeline)}, ids, times, at)
    return np.where(known, values, 0)


def mark_aliases(here: Place) -> None:
    """Let the registry say what the promotion log says: champion and challenger of every segment."""
    registry = here.registry
    for segment, state in promotions.state(here.lake).items():
        for alias, model in (("champion", state.champion), ("challenger", state.challenger)):
            if model is not None or registry.resolve(segment, alias) is not None:
                registry.set_alias(segment, alias, int(model.version) if model else None)


def show(advanced: Advanced) -> None:
    """Put every move and hold on the run's page."""
    moves = [
        {
            "segment": each.segment,
            "move": each.kind.value,
            "from": str(each.leaving),
            "to": str(each.to),
            "why": each.reason,
        }
        for each in advanced.moves
    ]
    holds = [
        {"segment": each.segment, "move": "hold", "from": "", "to": "", "why": each.reason} for each in advanced.holds
    ]
    create_table_artifact(table=[*moves, *holds], key="rollout", description="Moves, and what was held and why")


def _scores(model: Model, vectors: pa.Table) -> np.ndarray:
    spec = ModelSpec.load(model.path)
    return Scorer.load(model.path).score(to_tensor(vectors, spec.inputs))
