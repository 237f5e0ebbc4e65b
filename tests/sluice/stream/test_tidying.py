"""When a store is looked through for what nothing can reach: seldom, and only if there may be enough of it."""

from __future__ import annotations

import pytest

from sluice.engine.history import keep
from sluice.engine.store import Position
from sluice.stream.tidying import Tidying
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit

STEP = keep(pipeline) // 32


def after(tidying: Tidying, *watermarks: int | None) -> int | None:
    """What is due after as many batches as lie between two clean-ups."""
    found = [tidying.due(Position(1, watermark) for watermark in watermarks) for _ in range(500)]
    assert found[:-1] == [None] * 499
    return found[-1]


def test_a_store_is_tidied_again_when_the_least_watermark_has_come_on_by_a_share_of_the_horizon() -> None:
    tidying = Tidying(pipeline)

    assert after(tidying, None, 0) == 0
    assert after(tidying, STEP - 1, STEP) is None
    assert after(tidying, STEP, STEP) == STEP
    assert after(tidying, STEP, 5 * STEP) is None
    assert after(tidying, 9 * STEP, 2 * STEP) == 2 * STEP


def test_without_a_watermark_nothing_is_due() -> None:
    assert after(Tidying(pipeline), None, None) is None
