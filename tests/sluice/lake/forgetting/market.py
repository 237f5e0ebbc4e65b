"""A market for the tests of erasure: orders of customers from sellers, what is told about them, and views of both."""

from sluice import (
    AsOf,
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
    distinct,
    mean,
    share,
)  # fmt: skip

orders = Stream(
    "orders",
    id="order_id",
    time="ordered_at",
    columns={
        "customer": Key("text"),
        "seller": Key(),
        "amount": Decimal(scale=2, min=0, max=1000),
        "channel": Category("web", "shop"),
    },
    late_after="1h",
)
returns = Stream(
    "returns",
    id="return_id",
    time="told_at",
    columns={"order_id": ForeignKey(orders, nullable=True), "returned": Flag()},
)
returned = Label("returned", of=orders, told_by=returns, absent=0, after="1d")
buying = Windows("buying", of="customer", over=orders, features=[count("1d", "7d"), mean("amount", "7d")])
selling = Windows("selling", of="seller", over=orders, features=[count("7d"), distinct("customer", "7d")])
risk = Windows("risk", of="seller", over=returned, delay="1d", features=[share("returned", "7d")])
told = Windows("told", of="seller", over=returns, features=[count("7d")])
loyalty = AsOf("loyalty", table="loyalty", on="customer", features={"level": Integer(min=0, max=9)})

gates = Gates(
    min_rows=0,
    max_quarantined=0.4,
    max_orphans=1,
    max_count_change=None,
    max_late=1,
    max_gone=1,
    max_missing_rise=1,
    shift=None,
    fresh=False,
)
pipeline = Pipeline("market", views=[buying, selling, risk, told, loyalty], label=returned, gates=gates)
