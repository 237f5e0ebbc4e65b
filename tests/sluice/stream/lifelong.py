"""The payments' streams under views with lifetime windows: what tiles forget of them is kept as a state."""

from __future__ import annotations

from sluice import (
    Gates,
    Pipeline,
    Request,
    Windows,
    col,
    count,
    decayed_sum,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    percentile,
    share,
    since_first,
    since_last,
    std,
    top,
    value,
)
from tests.sluice.stream.payments import disputes, fraud, payments

spend = Windows(
    "spend",
    of="card",
    over=payments,
    include_request=True,
    leaf=3,
    features=[
        count("1h", "lifetime"),
        count("lifetime", where=col("channel") == "web", name="web"),
        mean("amount", "lifetime"),
        std("amount", "lifetime"),
        min_("amount", "lifetime"),
        max_("amount", "1h", "lifetime"),
        first("channel", "lifetime"),
        last("amount", "lifetime"),
        since_first("lifetime"),
        since_last("lifetime"),
        percentile("amount", 0.5, "lifetime", exact=4),
        distinct("shop", "lifetime", exact=2),
        top("country", "lifetime", cardinality=3),
        decayed_sum("amount", half_life="2h"),
    ],
)
risk = Windows(
    "risk",
    of="shop",
    over=fraud,
    delay="10h",
    leaf=3,
    features=[count("2h", "lifetime"), share("is_fraud", "2h", "lifetime", fill=0)],
)
reports = Windows("reports", of="shop", over=disputes, features=[count("3h", "lifetime"), since_last("lifetime")])
moment = Request("moment", value("amount"))

pipeline = Pipeline(
    "lifelong", views=[spend, risk, reports, moment], label=fraud, segment_by="channel", gates=Gates.off()
)
