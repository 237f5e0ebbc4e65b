"""Payments and refunds: what is told under an id that says which event it is about, and so stays with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from sluice import Flag, ForeignKey, Gates, Key, Label, Pipeline, Stream, Windows, count, mean, share, since_last
from tests.sluice.stream.feeds import Message
from tests.sluice.stream.payments import payments, spend, traffic

refunds = Stream(
    "refunds",
    id=("payment_id", "line"),
    time="refunded_at",
    columns={"payment_id": ForeignKey(payments), "is_fraud": Flag(), "bank": Key("text", nullable=True)},
    accept_late="4h",
)
fraud = Label("is_fraud", of=payments, told_by=refunds, absent=0, after="10h")
risk = Windows("risk", of="shop", over=fraud, delay="10h", features=[count("2h"), share("is_fraud", "8h", fill=0)])
losses = Windows("losses", of="card", over=refunds, features=[count("3h", "12h"), since_last()])
claims = Windows("claims", of="bank", over=refunds, features=[count("3h"), mean("is_fraud", "12h")])

pipeline = Pipeline(
    "refunds",
    views=[spend, traffic, risk, losses, claims],
    label=fraud,
    gates=Gates.off(),
)


def told_as_refunds(messages: Sequence[Message]) -> Iterator[Message]:
    """A feed in which each dispute is a line of its payment's refund; one that names no payment is none."""
    for message in messages:
        if message.stream == "payments":
            yield message
            continue
        row = orjson.loads(message.payload)
        if "payment_id" in row:
            row |= {"line": str(row.pop("dispute_id") % 3), "refunded_at": row.pop("disputed_at")}
            yield Message("refunds", orjson.dumps(row), message.at, message.headers)
