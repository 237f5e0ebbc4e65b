from __future__ import annotations

from typing import Any

import pytest

from sluice.monitor.report.outcome import outcome

pytestmark = pytest.mark.unit


def figures(**changes: Any) -> dict[str, Any]:
    event = {
        "stream": "payments",
        "produced": 1_012,
        "silver": 1_000,
        "duplicates": 2,
        "conflicts": 1,
        "superseded": 1,
        "held": 5,
        "waiting": 0,
        "retired": 0,
        "erased": 0,
        "late": 9,
        "expired": 0,
        "quarantined": {"json": 2, "range": 1},
    }
    sound = {
        "events": [event],
        "audit": {"checked": 500, "mismatched": 0},
        "serving": {"requests": 200, "failed": 0, "p50_ms": 1.0, "p99_ms": 2.0},
        "drift": [{"alarm": True}, {"alarm": False}],
        "promotions": [
            {"move": "promote", "from": None},
            {"move": "promote", "from": "m/1"},
            {"move": "rollback", "from": "m/3"},
        ],
    }
    return {**sound, **changes}


def test_a_sound_run_says_what_held_and_what_changed() -> None:
    found = outcome(figures())
    assert found.sound
    assert found.sentence == (
        "1,012 of 1,012 events are accounted for, 200 of 200 requests were answered and 500 of 500 audited vectors "
        "are right to the bit; drift raised 1 alarm, 1 challenger took over and 1 was rolled back."
    )


def test_a_run_that_served_nothing_does_not_boast_of_it() -> None:
    nothing = {"requests": 0, "failed": 0, "p50_ms": None, "p99_ms": None}
    found = outcome(figures(serving=nothing, audit={"checked": 0, "mismatched": 0}, drift=[], promotions=[]))
    assert found.sentence == (
        "1,012 of 1,012 events are accounted for; "
        "drift raised 0 alarms, 0 challengers took over and 0 were rolled back."
    )


@pytest.mark.parametrize(
    ("produced", "told"),
    [
        (1_013, "1 event of payments produced and not accounted for"),
        (1_010, "2 events of payments accounted for and never produced"),
    ],
)
def test_a_sum_that_does_not_close_is_what_a_reader_is_told(produced: int, told: str) -> None:
    changed = figures()
    changed["events"][0]["produced"] = produced
    found = outcome(changed)
    assert not found.sound
    assert found.sentence == f"Something is wrong: {told}."


def test_everything_that_is_wrong_is_told() -> None:
    serving = {"requests": 200, "failed": 3, "p50_ms": 1.0, "p99_ms": 2.0}
    found = outcome(figures(serving=serving, audit={"checked": 500, "mismatched": 1}))
    assert found.sentence == (
        "Something is wrong: 1 of 500 audited vectors differ from their raw events and 3 of 200 requests failed."
    )
