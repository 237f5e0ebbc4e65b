"""A pipeline that looks things up by request data, by an entity's key, by both together, and by nothing."""

from __future__ import annotations

from sluice import (
    AsOf,
    Category,
    Decimal,
    Flag,
    Integer,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Windows,
    count,
    cross,
    difference,
    mean,
    ratio,
)

sales = Stream(
    "sales",
    id="sale_id",
    time="sold_at",
    columns={"card": Key(), "seller": Key("text"), "amount": Decimal(), "country": Category(nullable=True)},
)
returned = Label("returned", of=sales, column="RETURNED", known_after="1d")
own = Windows("own", of="card", over=sales, include_request=True, features=[count("7d"), mean("amount", "7d")])
calendar = AsOf(
    "calendar",
    table="holidays",
    on="country",
    features={"is_holiday": Flag(), "days_to_next": Integer(max=400)},
    valid_for="1d",
)
limits = AsOf("limits", table="limits", on="card", features={"limit": Decimal(scale=3), "tier": Category("a", "b")})
terms = AsOf("terms", table="terms", on={"seller": "owner", "card": "card"}, features={"fee": Decimal()})
prices = AsOf("prices", table="prices", features={"level": Decimal(scale=3)}, known_after="1d")
moment = Request(
    "moment",
    difference("amount", prices["level"], name="real"),
    ratio(own["mean_amount_7d"], limits["limit"], name="used"),
    cross("country", limits["tier"], name="kind"),
)

pipeline = Pipeline("sales", views=[own, calendar, limits, terms, prices, moment], label=returned)
