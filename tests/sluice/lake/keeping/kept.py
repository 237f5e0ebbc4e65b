"""The shop of the lake's tests, which keeps its orders for sixty days and what is told about them for ninety."""

from dataclasses import replace

from sluice import Flag, ForeignKey, Gates, Keeping, Label, Pipeline, Stream, Training, Windows, count
from tests.sluice.lake import shop

orders = replace(shop.orders, retention="60d")
returns = Stream(
    "returns",
    id="return_id",
    time="told_at",
    columns={"order_id": ForeignKey(orders, nullable=True), "returned": Flag()},
    retention="90d",
)
returned = Label("returned", of=orders, told_by=returns, absent=0, after="14d")
buying = Windows("buying", of="customer", over=orders, features=[count("1d", "7d")])

pipeline = Pipeline(
    "shop",
    views=[buying],
    label=returned,
    gates=Gates.off(),
    training=Training(history="30d", validation="5d", test="5d"),
    keeping=Keeping(predictions="50d", watching="20d", models="100d"),
)
