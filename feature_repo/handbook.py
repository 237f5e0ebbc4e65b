"""The Fraud Detection Handbook's card transactions, with the features of the book; the label is a column of the row."""

from sluice import (
    Decimal,
    DriftRule,
    HybridRetraining,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Training,
    Windows,
    count,
    is_night,
    is_weekend,
    mean,
    ratio,
    share,
    value,
)

transactions = Stream(
    "transactions",
    id="transaction_id",
    time="event_time",
    columns={"customer_id": Key(), "terminal_id": Key(), "amount": Decimal(scale=2, min=0, max=100_000)},
    sources={
        "transaction_id": "TRANSACTION_ID",
        "event_time": "TX_DATETIME",
        "customer_id": "CUSTOMER_ID",
        "terminal_id": "TERMINAL_ID",
        "amount": "TX_AMOUNT",
    },
)
fraud = Label("is_fraud", of=transactions, column="TX_FRAUD", known_after="7d")

customer = Windows(
    "customer",
    of="customer_id",
    over=transactions,
    include_request=True,
    features=[count("1d", "7d", "30d"), mean("amount", "1d", "7d", "30d")],
)
terminal = Windows(
    "terminal",
    of="terminal_id",
    over=fraud,
    delay="7d",
    features=[count("1d", "7d", "30d"), share("is_fraud", "1d", "7d", "30d", fill=0)],
)
moment = Request(
    "moment",
    value("amount"),
    is_weekend(),
    is_night(),
    ratio("amount", customer["mean_amount_7d"], name="amount_to_mean_7d"),
    ratio("amount", customer["mean_amount_30d"], name="amount_to_mean_30d"),
)
calendar = ("moment__is_weekend", "moment__is_night")

pipeline = Pipeline(
    "handbook",
    views=[customer, terminal, moment],
    label=fraud,
    card="customer_id",
    training=Training(history="60d", validation="7d", test="7d"),
    retraining=HybridRetraining(max_age="60d", drift=DriftRule(ignore=calendar), cooldown="7d"),
)
