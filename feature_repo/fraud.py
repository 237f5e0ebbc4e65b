"""Card fraud: score a payment by what its card and its terminal did before."""

from sluice import (
    Category,
    ComplianceCritical,
    Decimal,
    DriftRule,
    Flag,
    ForeignKey,
    Gates,
    HybridRetraining,
    Key,
    Label,
    Pipeline,
    Request,
    Rollout,
    Stream,
    Training,
    Windows,
    count,
    cross,
    hour,
    is_night,
    is_weekend,
    mean,
    ratio,
    share,
    since_last,
    sum_,
    value,
)

transactions = Stream(
    "transactions",
    id="transaction_id",
    time="event_time",
    columns={
        "customer_id": Key(),
        "terminal_id": Key(),
        "amount": Decimal(scale=2, min=0, max=100_000),
        "channel": Category("pos", "online", "atm"),
        "country": Category(),
    },
    late_after="1h",
    accept_late="3d",
)
chargebacks = Stream(
    "chargebacks",
    id="chargeback_id",
    time="reported_time",
    columns={"transaction_id": ForeignKey(transactions), "is_fraud": Flag()},
    freshness="3d",
    late_after="1h",
    accept_late="3d",
)
fraud = Label("is_fraud", of=transactions, told_by=chargebacks, absent=0, after="21d")

spend = Windows(
    "customer_spend",
    of="customer_id",
    over=transactions,
    include_request=True,
    features=[count("1d", "7d", "30d"), mean("amount", "1d", "7d", "30d"), sum_("amount", "1d"), since_last()],
)
traffic = Windows(
    "terminal_traffic",
    of="terminal_id",
    over=transactions,
    features=[count("1d", "7d", "30d"), mean("amount", "7d", "30d")],
)
risk = Windows(
    "terminal_risk",
    of="terminal_id",
    over=fraud,
    delay="21d",
    features=[count("1d", "7d", "30d"), share("is_fraud", "1d", "7d", "30d", fill=0)],
)
# frauds known so far, by the day they were reported
reports = Windows("terminal_reports", of="terminal_id", over=chargebacks, features=[count("7d", "30d"), since_last()])
claims = Windows("customer_reports", of="customer_id", over=chargebacks, features=[count("7d", "30d")])
moment = Request(
    "moment",
    value("amount"),
    value("channel"),
    value("country"),
    cross("channel", "country"),
    hour(),
    is_weekend(),
    is_night(),
    ratio("amount", spend["mean_amount_7d"], name="amount_to_own_mean"),
    ratio("amount", traffic["mean_amount_30d"], name="amount_to_terminal_mean"),
    ratio(spend["count_1d"], spend["count_30d"], name="pace"),
)
# a week of days or of hours says nothing about drift
calendar = ("moment__hour", "moment__is_weekend", "moment__is_night")

pipeline = Pipeline(
    "fraud",
    views=[spend, traffic, risk, reports, claims, moment],
    label=fraud,
    segment_by="channel",
    card="customer_id",
    gates=Gates(max_quarantined=0.05, max_orphans=0.02),
    training=Training(history="130d", validation="14d", test="14d", hidden=(64, 32)),
    rollout=Rollout(shadow="1d", canary=(0.1, 0.5), bake="1d"),
    retraining=HybridRetraining(
        max_age="75d",
        drift=DriftRule(ignore=calendar),
        cooldown="21d",
        overrides={"atm": ComplianceCritical()},
    ),
)
