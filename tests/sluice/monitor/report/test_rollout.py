from __future__ import annotations

import pytest

from sluice.monitor.report.rollout import Span, spans
from tests.sluice.monitor.report.lakes import move

pytestmark = pytest.mark.unit

FIRST = move(0, "pos", "promote", None, "m/1", 10)


def test_a_first_champion_stands_until_now() -> None:
    assert spans([FIRST], 99) == [Span("pos", "m/1", "champion", None, 10, 99)]


def test_a_challenger_is_shadow_then_canary_then_champion() -> None:
    rows = [
        FIRST,
        move(1, "pos", "shadow", "m/1", "m/2", 20),
        move(2, "pos", "canary", "m/1", "m/2", 30, share=0.1),
        move(3, "pos", "canary", "m/1", "m/2", 40, share=0.5),
        move(4, "pos", "promote", "m/1", "m/2", 50),
    ]
    assert spans(rows, 99) == [
        Span("pos", "m/2", "shadow", None, 20, 30, "canary"),
        Span("pos", "m/2", "canary", 0.1, 30, 40, "canary"),
        Span("pos", "m/2", "canary", 0.5, 40, 50, "promote"),
        Span("pos", "m/1", "champion", None, 10, 50, "promote"),
        Span("pos", "m/2", "champion", None, 50, 99),
    ]


@pytest.mark.parametrize("restored", ["m/1", None])
def test_a_challenger_that_is_rolled_back_leaves_the_champion_in_place(restored: str | None) -> None:
    rows = [
        FIRST,
        move(1, "pos", "shadow", "m/1", "m/2", 20),
        move(2, "pos", "rollback", "m/2", restored, 30),
    ]
    assert spans(rows, 99) == [
        Span("pos", "m/2", "shadow", None, 20, 30, "rollback"),
        Span("pos", "m/1", "champion", None, 10, 99),
    ]


def test_a_champion_that_is_rolled_back_gives_way_to_the_one_before() -> None:
    rows = [FIRST, move(1, "pos", "promote", "m/1", "m/2", 20), move(2, "pos", "rollback", "m/2", "m/1", 30)]
    assert spans(rows, 99) == [
        Span("pos", "m/1", "champion", None, 10, 20, "promote"),
        Span("pos", "m/2", "champion", None, 20, 30, "rollback"),
        Span("pos", "m/1", "champion", None, 30, 99),
    ]


def test_a_champion_that_is_taken_away_leaves_nobody() -> None:
    assert spans([FIRST, move(1, "pos", "rollback", "m/1", None, 30)], 99) == [
        Span("pos", "m/1", "champion", None, 10, 30, "rollback")
    ]


def test_a_challenger_that_replaces_another_ends_it() -> None:
    rows = [FIRST, move(1, "pos", "shadow", "m/1", "m/2", 20), move(2, "pos", "shadow", "m/1", "m/3", 30)]
    assert spans(rows, 99)[:2] == [
        Span("pos", "m/2", "shadow", None, 20, 30, "shadow"),
        Span("pos", "m/1", "champion", None, 10, 99),
    ]


def test_segments_do_not_mix_and_rows_go_by_their_sequence() -> None:
    rows = [move(2, "pos", "promote", "m/1", "m/2", 20), move(1, "atm", "promote", None, "a/1", 12), FIRST]
    assert spans(rows, 99) == [
        Span("atm", "a/1", "champion", None, 12, 99),
        Span("pos", "m/1", "champion", None, 10, 20, "promote"),
        Span("pos", "m/2", "champion", None, 20, 99),
    ]
