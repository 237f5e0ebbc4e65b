"""Which rows a replay takes, and what it calls their columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.cli.replaying import Again
from sluice.lake.refused import Wanted
from sluice.lake.repairs import Repair
from tests.sluice.lake.shop import pipeline
from tests.spark_jobs.deliveries import AT, FILE, Shop, order, orders, returned

pytestmark = pytest.mark.integration


def called(row: dict[str, Any], column: str, name: str) -> dict[str, Any]:
    return {**{key: value for key, value in row.items() if key != column}, name: row[column]}


def test_a_stream_is_renamed_as_its_own_rows_of_the_batch_were(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    bought = [*orders(1, 9), order(10, channel="phone")]
    back = [*(returned(number, returned="true") for number in range(1, 9)), returned(9, returned="maybe")]
    stopped = shop.deliver(
        "both",
        orders=[called(row, "amount", "total") for row in bought],
        returns=[called(row, "order_id", "order_no") for row in back],
        renamed={"orders": {"amount": "total"}, "returns": {"order_id": "order_no"}},
    )
    assert stopped is None
    again = Again(str(FILE), pipeline, shop.lake, AT)

    found = again.waiting(["orders"], Wanted(), Repair({"channel": "web"}), None)
    told = again.waiting(["returns"], Wanted(), Repair({"returned": True}), None)

    assert [json.loads(row.payload)["amount"] for row in found["orders"]] == [10.25]
    assert [json.loads(row.payload)["order_id"] for row in told["returns"]] == [9]
