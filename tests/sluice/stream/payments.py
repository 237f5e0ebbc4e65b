"""A small pipeline with hours for windows, so that a feed of a few days expires, is corrected and gets labels."""

from __future__ import annotations

from sluice import (
    Category,
    Decimal,
    Flag,
    ForeignKey,
    Gates,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Windows,
    count,
    cross,
    hour,
    mean,
    ratio,
    share,
    since_last,
    sum_,
    value,
)

payments = Stream(
    "payments",
    id="payment_id",
    time="paid_at",
    columns={
        "card": Key(),
        "shop": Key("text"),
        "bank": Key("text", nullable=True),
        "amount": Decimal(scale=2, min=0, max=10_000),
        "channel": Category("pos", "web"),
        "country": Category(nullable=True),
    },
    accept_late="2h",
)
disputes = Stream(
    "disputes",
    id="dispute_id",
    time="disputed_at",
    columns={"payment_id": ForeignKey(payments), "is_fraud": Flag(), "bank": Key("text", nullable=True)},
    accept_late="4h",
)
fraud = Label("is_fraud", of=payments, told_by=disputes, absent=0, after="10h")
spend = Windows(
    "spend",
    of="card",
    over=payments,
    include_request=True,
    features=[count("1h", "6h"), mean("amount", "6h"), sum_("amount", "1h"), since_last()],
)
traffic = Windows("traffic", of="shop", over=payments, features=[count("1h", "4h"), mean("amount", "4h")])
risk = Windows(
    "risk", of="shop", over=fraud, delay="10h", features=[count("2h", "8h"), share("is_fraud", "2h", "8h", fill=0)]
)
reports = Windows("reports", of="shop", over=disputes, features=[count("3h", "12h"), since_last()])
# a key of the dispute's own, whatever payment it is about
claims = Windows("claims", of="bank", over=disputes, features=[count("3h"), share("is_fraud", "12h")])
moment = Request(
    "moment", value("channel"), cross("channel", "country"), hour(), ratio("amount", spend["mean_amount_6h"])
)

pipeline = Pipeline(
    "payments",
    views=[spend, traffic, risk, reports, claims, moment],
    label=fraud,
    segment_by="channel",
    gates=Gates.off(),
)
