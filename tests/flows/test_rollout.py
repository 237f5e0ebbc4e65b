"""Who may be let into a rollout, and how a move is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flows.rollout import CANDIDATE, CONTROL, _may_be_tried, in_words
from serve.rollout_state import Kind, Move, SegmentState
from serve.routing import Model

pytestmark = pytest.mark.integration

CHAMPION = Model("fraud-pos", "2", "/models/2", "d1")
TRIED = Model("fraud-pos", "3", "/models/3", "d1")
STATE = SegmentState("pos", champion=CHAMPION)


def test_training_and_rollout_mean_the_same_variants() -> None:
    assert (CANDIDATE, CONTROL) == ("candidate", "shuffled")


def test_a_control_is_tried_only_where_it_cannot_take_over_at_once() -> None:
    assert _may_be_tried(STATE, TRIED)
    assert not _may_be_tried(None, TRIED)
    assert not _may_be_tried(SegmentState("pos"), TRIED)
    assert not _may_be_tried(STATE, replace(TRIED, definition="d2"))
    assert not _may_be_tried(replace(STATE, challenger=Model("fraud-pos", "4", "/models/4", "d1")), TRIED)


@pytest.mark.parametrize(
    ("move", "told"),
    [
        (Move("pos", Kind.PROMOTE, CHAMPION, TRIED, 0.0, "proven", 1), "pos: promote fraud-pos/3 — proven"),
        (
            Move("pos", Kind.ROLLBACK, TRIED, CHAMPION, 0.0, "worse", 1),
            "pos: rollback fraud-pos/3, fraud-pos/2 answers — worse",
        ),
        (
            Move("pos", Kind.ROLLBACK, CHAMPION, None, 0.0, "a complaint", 1),
            "pos: rollback fraud-pos/2, the fallback answers — a complaint",
        ),
    ],
)
def test_a_move_names_the_model_that_comes_and_a_rollback_the_one_that_leaves(move: Move, told: str) -> None:
    assert in_words(move) == told
