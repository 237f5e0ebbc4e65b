"""A lake of one file, for tests that need no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sluice.lake.forgetting.lakes import FIRST, Market, order, remember_by, returned, zebra


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    """Three orders of the customer with what is told of one, and two of others."""
    remember_by("a secret", monkeypatch)
    shop = Market(tmp_path / "small")
    rows = [*(zebra(number) for number in range(3)), order(1), order(2, "c2")]
    assert shop.deliver("a", orders=rows, returns=[returned(FIRST, 501), returned(1, 502)]) is None
    return shop
