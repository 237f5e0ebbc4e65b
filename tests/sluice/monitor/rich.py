"""The pipeline of payments with every windowed function, filters, whole slots, a lifetime, and lookups."""

from __future__ import annotations

from sluice import (
    Gates,
    Pipeline,
    Request,
    Windows,
    col,
    count,
    decayed_count,
    decayed_mean,
    decayed_sum,
    difference,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    percentile,
    ratio,
    since_first,
    since_last,
    std,
    sum_,
    top,
    top_share,
    value,
    zscore,
)
from tests.sluice.stream.payments import claims, fraud, payments, reports, risk
from tests.sluice.stream.priced import calendar, prices, terms

dear = (col("amount") >= 2_500) & (col("channel") == "web")
habits = Windows(
    "habits",
    of="card",
    over=payments,
    include_request=True,
    features=[
        count("1h", "6h", "lifetime"),
        mean("amount", "6h", "lifetime"),
        std("amount", "6h"),
        min_("amount", "6h"),
        max_("amount", "6h", "lifetime"),
        percentile("amount", 0.9, "6h", exact=8),
        distinct("shop", "6h", "lifetime", exact=3),
        top("country", "6h"),
        top_share("country", "6h"),
        decayed_sum("amount", half_life="20min"),
        first("amount", "6h"),
        last("channel"),
        since_last("6h"),
        since_first("lifetime"),
        count("6h", where=dear, name="dear"),
        sum_("amount", "6h", where=dear, name="dear_sum"),
        max_("amount", "6h", where=dear, name="dearest"),
    ],
)
rush = Windows(
    "rush",
    of="shop",
    over=payments,
    edge="slot",
    slot="5min",
    features=[
        count("30min"),
        sum_("amount", "1h"),
        max_("amount", "1h"),
        distinct("card", "1h", exact=4),
        decayed_count(half_life="10min"),
        decayed_mean("amount", half_life="30min"),
        since_last(where=col("country") == "DE", name="since_german"),
    ],
)
moment = Request(
    "moment",
    value("channel"),
    ratio("amount", habits["p90_amount_6h"], name="to_p90"),
    zscore("amount", mean=habits["mean_amount_6h"], std=habits["std_amount_6h"]),
    difference("amount", prices["level"], name="real"),
)

pipeline = Pipeline(
    "rich",
    views=[habits, rush, risk, reports, claims, calendar, prices, terms, moment],
    label=fraud,
    segment_by="channel",
    gates=Gates.off(),
)
