"""A small pipeline for the lake's tests: orders, what becomes of them, and every kind of column."""

from sluice import (
    Category,
    Decimal,
    Flag,
    ForeignKey,
    Gates,
    Integer,
    Key,
    Label,
    Pipeline,
    Stream,
    Windows,
    count,
)

orders = Stream(
    "orders",
    id="order_id",
    time="ordered_at",
    columns={
        "customer": Key("text"),
        "amount": Decimal(scale=2, min=0, max=1000),
        "channel": Category("web", "shop"),
        "country": Category(nullable=True),
        "items": Integer(min=1, max=50, nullable=True),
        "gift": Flag(nullable=True),
    },
    late_after="1h",
    freshness="1d",
)
returns = Stream(
    "returns",
    id="return_id",
    time="told_at",
    columns={"order_id": ForeignKey(orders, nullable=True), "returned": Flag()},
    freshness="2d",
)
returned = Label("returned", of=orders, told_by=returns, absent=0, after="14d")
buying = Windows("buying", of="customer", over=orders, features=[count("1d", "7d")])

pipeline = Pipeline(
    "shop",
    views=[buying],
    label=returned,
    gates=Gates(min_rows=2, max_quarantined=0.25, max_orphans=0.1),
)
