"""The pipeline of payments with tables to look things up in: by country, by shop and channel, and for everybody."""

from __future__ import annotations

from typing import Any

from sluice import AsOf, Category, Decimal, Flag, Gates, Integer, Pipeline, Request, cross, difference, ratio, season
from sluice.clock import rfc3339
from sluice.declare.durations import DAY, HOUR
from tests.sluice.stream.feeds import START
from tests.sluice.stream.payments import claims, fraud, reports, risk, spend, traffic

calendar = AsOf(
    "calendar",
    table="holidays",
    on="country",
    features={"is_holiday": Flag(), "days_to_next": Integer(max=400, nullable=True)},
    valid_for="1d",
)
prices = AsOf("prices", table="price_index", features={"level": Decimal(scale=3)}, known_after="1h")
terms = AsOf(
    "terms",
    table="terms",
    on={"shop": "owner", "channel": "sold_by"},
    features={"fee": Decimal(), "plan": Category("free", "paid", nullable=True)},
)
moment = Request(
    "moment",
    difference("amount", prices["level"], name="real"),
    ratio(spend["mean_amount_6h"], terms["fee"], name="per_fee"),
    cross(terms["plan"], "country", name="kind"),
    season(),
)

pipeline = Pipeline(
    "priced",
    views=[spend, traffic, risk, reports, claims, calendar, prices, terms, moment],
    label=fraud,
    segment_by="channel",
    gates=Gates.off(),
)


def day(country: str, number: int, is_holiday: int, days_to_next: int | None = 3) -> dict[str, Any]:
    """A day of a country's calendar, so many after the feed's first."""
    valid_from = rfc3339(START + number * DAY)
    return {"country": country, "valid_from": valid_from, "is_holiday": is_holiday, "days_to_next": days_to_next}


def term(owner: str, sold_by: str, hours: int, fee: float, plan: str | None) -> dict[str, Any]:
    return {"owner": owner, "sold_by": sold_by, "valid_from": rfc3339(START + hours * HOUR), "fee": fee, "plan": plan}


ROWS: dict[str, list[dict[str, Any]]] = {
    "holidays": [
        day(country, number, (number + turn) % 2, number or None)
        for country, turn in (("DE", 1), ("FR", 0))
        for number in range(9)
    ],
    "price_index": [{"valid_from": rfc3339(START + number * HOUR), "level": 100 + number / 8} for number in range(99)],
    "terms": [
        term(owner, channel, hours, hours + 0.25, plan)
        for owner in "abé"
        for channel in ("pos", "web")
        for hours, plan in ((1, "free"), (5, "paid"), (9, None))
    ],
}
