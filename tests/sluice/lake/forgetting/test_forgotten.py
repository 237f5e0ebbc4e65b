"""What names a forgotten entity, typed or raw."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from tests.sluice.lake.forgetting.lakes import PIPELINE, ZEBRA

pytestmark = pytest.mark.unit

NAMES = pseudonyms_of("a secret")
WHAT = Forgotten(NAMES, {("customer", NAMES.of("customer", ZEBRA)): 1})
ROW = {"order_id": 1, "ordered_at": "2026-01-01 09:00:00", "seller": 70, "amount": 1, "channel": "web"}


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"client": ZEBRA}, True),
        ({"buyer": {"name": ZEBRA, "since": 2020}}, True),
        ({"client": "c1"}, False),
        ({"customer": "c1", "note": ZEBRA}, False),
        ({"customer": None, "note": ZEBRA}, False),
        ({"channel": ZEBRA}, False),
    ],
)
def test_a_row_without_the_declared_column_names_it_in_one_that_is_not_declared(
    more: dict[str, Any], named: bool
) -> None:
    assert WHAT.in_strange(PIPELINE.events, orjson.dumps({**ROW, **more})) is named
    assert not WHAT.in_strange(PIPELINE.events, orjson.dumps([ZEBRA]))
