from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import Gates, Rollout, Shift, Training
from sluice.declare.durations import DAY
from tests.sluice.declare.examples import refusal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Gates(max_quarantined=5), "Gates.max_quarantined: 5 is no share\n  allowed: 0 to 1"),
        (lambda: Gates(max_orphans=-0.1), "Gates.max_orphans: -0.1 is no share\n  allowed: 0 to 1"),
        (lambda: Gates(min_rows=-1), "Gates.min_rows: -1 is too small\n  allowed: 0 or more"),
        (lambda: Gates(max_late=2), "Gates.max_late: 2 is no share\n  allowed: 0 to 1"),
        (
            lambda: Gates(max_count_change=1.0),
            "Gates.max_count_change: 1.0 is no factor\n  allowed: more than 1, or None",
        ),
        (
            lambda: Shift(warn=0.5, stop=0.4),
            "Shift: warn=0.5, stop=0.4\n  allowed: 0 < warn, and stop from warn on, or None",
        ),
        (lambda: Shift(floor=1.5), "Shift.floor: 1.5 is no share\n  allowed: 0 to 1"),
        (
            lambda: Training(history="28d"),
            "Training.history: nothing is left to train on\n  allowed: more than validation + test",
        ),
        (lambda: Training(epochs=0), "Training.epochs: 0 is too small\n  allowed: 1 or more"),
        (lambda: Training(batch=0), "Training.batch: 0 is too small\n  allowed: 1 or more"),
        (
            lambda: Training(knowledge="as_serve"),  # type: ignore[arg-type]
            (
                "Training.knowledge: unknown knowledge 'as_serve'\n  allowed: as_served, event_time\n"
                "  next: did you mean 'as_served'?"
            ),
        ),
        (
            lambda: Rollout(canary=(0.5, 0.1)),
            "Rollout.canary: canary steps [0.5, 0.1]\n  allowed: growing shares between 0 and 1",
        ),
        (lambda: Rollout(canary=()), "Rollout.canary: canary steps []\n  allowed: growing shares between 0 and 1"),
        (
            lambda: Rollout(canary=(1.0,)),
            "Rollout.canary: canary steps [1.0]\n  allowed: growing shares between 0 and 1",
        ),
        (lambda: Rollout(min_requests=0), "Rollout.min_requests: 0 is too small\n  allowed: 1 or more"),
        (lambda: Rollout(max_error_rate=2), "Rollout.max_error_rate: 2 is no share\n  allowed: 0 to 1"),
        (lambda: Rollout(max_score_shift=-1), "Rollout.max_score_shift: -1 is no share\n  allowed: 0 to 1"),
        (
            lambda: Rollout(bake="soon"),
            (
                "Rollout.bake: 'soon' is not a duration\n"
                "  allowed: a whole number and a unit: us, ms, s, min, h, d\n  next: write it like '30d' or '5min'"
            ),
        ),
    ],
)
def test_a_way_to_run_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


def test_durations_are_microseconds() -> None:
    assert (Training().history, Training().test) == (120 * DAY, 14 * DAY)
    assert (Rollout(shadow="2d").shadow, Rollout().bake) == (2 * DAY, DAY)


def test_gates_that_are_off_stop_nothing_and_a_grace_is_a_duration() -> None:
    off = Gates.off()
    assert (off.min_rows, off.max_quarantined, off.max_orphans, off.max_late, off.fresh) == (0, 1, 1, 1, False)
    assert (off.max_count_change, off.shift) == (None, None)
    assert Gates(grace="2d").grace == 2 * DAY
