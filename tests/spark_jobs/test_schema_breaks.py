"""A producer changes what it sends, or its clock: what is lost of it, who is told, and what comes after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluice.clock import rfc3339
from tests.sluice.lake.shop import pipeline
from tests.spark_jobs.deliveries import AT, HOUR, MINUTE, Shop
from tests.spark_jobs.deliveries import order as numbered

pytestmark = pytest.mark.integration


def order(number: int, **changes: Any) -> dict[str, Any]:
    """An order that costs five, whatever its number."""
    return numbered(number, **{"amount": 5.0, **changes})


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with five batches of a day."""
    shop = Shop(tmp_path)
    for number in range(5):
        day = [order(100 * number + n, ordered_at=f"2026-01-01 10:{n:02}:00") for n in range(10)]
        assert shop.deliver(f"b{number}", orders=day) is None
    return shop


def without(name: str) -> list[dict[str, Any]]:
    return [{column: value for column, value in row.items() if column != name} for row in told()]


def told(**changes: Any) -> list[dict[str, Any]]:
    return [order(1_000 + number, ordered_at="2026-01-01 10:30:00", **changes) for number in range(10)]


def found(shop: Shop, batch: str, verdict: str) -> dict[str, str]:
    rows = [row for row in shop.lake.rows("verdicts") if row["batch"] == batch and row["verdict"] == verdict]
    return {row["rule"]: row["message"] for row in rows}


def sound(shop: Shop) -> bool:
    """Whether the next batch is history, and nothing of the lake is broken."""
    stopped = shop.deliver("next", orders=[order(5_000 + n, ordered_at="2026-01-01 10:31:00") for n in range(10)])
    return stopped is None and not shop.ailments()


def test_a_column_that_nobody_declared_is_told_by_name_and_loses_nothing(shop: Shop) -> None:
    assert shop.deliver("gains", orders=told(coupon="X")) is None
    assert "coupon" in found(shop, "gains", "warn")["columns"]
    assert shop.accounts().silver == 60
    assert sound(shop)


def test_a_nullable_column_that_is_gone_stops_the_batch_with_its_name(shop: Shop) -> None:
    assert shop.deliver("loses", orders=without("items")) is not None
    assert "items" in found(shop, "loses", "stop")["missing"]
    assert "items" in found(shop, "loses", "warn")["columns"]
    assert shop.accounts().held == 10
    assert sound(shop)


def test_a_column_that_must_be_there_and_is_gone_stops_the_batch(shop: Shop) -> None:
    stopped = shop.deliver("loses", orders=without("amount"))
    assert "missing 10" in str(stopped)
    assert shop.accounts().held == 10
    assert sound(shop)


def test_numbers_that_come_as_texts_are_the_same_numbers(shop: Shop) -> None:
    assert shop.deliver("texts", orders=told(amount="12.50", items="3")) is None
    assert {row[:2] for row in shop.silver("items", "_batch")} >= {(3, "texts")}
    assert sound(shop)


def test_a_column_of_another_type_stops_the_batch_and_one_mended_by_its_producer_comes_after(shop: Shop) -> None:
    stopped = shop.deliver("retypes", orders=told(amount="12,50 EUR"))
    assert "type 10" in str(stopped)
    assert shop.deliver("mended", orders=told(amount=12.5)) is None
    assert (shop.accounts().held, shop.accounts().silver) == (10, 60)
    assert sound(shop)


def test_a_producer_whose_clock_is_an_hour_ahead_is_refused_and_moves_no_watermark(shop: Shop) -> None:
    ahead = [order(2_000 + n, ordered_at=rfc3339(AT + HOUR), _known=AT) for n in range(2)]
    on_time = [order(3_000 + n, ordered_at=rfc3339(AT - MINUTE), _known=AT) for n in range(10)]
    shop.archive("orders", [*ahead, *on_time])
    assert shop.deliver("skewed", from_bronze=True) is None
    accounts = shop.accounts(horizon=HOUR)
    assert (accounts.quarantined, accounts.expired) == ({"future": 2}, 0)
    assert max(shop.lake.watermarks("orders").values()) == AT - MINUTE
    assert sound(shop)


def test_a_clock_that_is_ahead_by_less_than_allowed_moves_the_watermark_by_no_more(shop: Shop) -> None:
    skew = pipeline.stream("orders").micros("max_skew")
    shop.archive("orders", [order(2_000, ordered_at=rfc3339(AT + skew), _known=AT)])
    shop.archive("orders", [order(3_000 + n, ordered_at=rfc3339(AT - MINUTE), _known=AT) for n in range(10)])
    assert shop.deliver("skewed", from_bronze=True) is None
    assert max(shop.lake.watermarks("orders").values()) == AT + skew
    assert shop.accounts(horizon=skew + MINUTE).expired == 0
    assert sound(shop)
