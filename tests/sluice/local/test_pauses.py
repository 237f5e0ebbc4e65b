from __future__ import annotations

from itertools import islice

import pytest

from sluice.local.pauses import pauses

pytestmark = pytest.mark.unit


def test_looks_are_close_together_at_first_and_never_further_apart_than_the_longest() -> None:
    assert list(islice(pauses(0.25), 6)) == [0.02, 0.04, 0.08, 0.16, 0.25, 0.25]
