"""Streams to declare things over, and one way to read a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluice import Category, Decimal, Flag, ForeignKey, Key, Label, Pipeline, Stream, Windows, count, position
from sluice.errors import DeclarationError

TRANSACTIONS = Stream(
    "transactions",
    id="transaction_id",
    time="event_time",
    columns={
        "customer_id": Key(),
        "name": Key("text"),
        "amount": Decimal(),
        "channel": Category("pos", "online"),
        "country": Category(),
        "flag": Flag(),
    },
)
CHARGEBACKS = Stream(
    "chargebacks",
    id="chargeback_id",
    time="reported",
    columns={"transaction_id": ForeignKey(TRANSACTIONS), "is_fraud": Flag(), "maybe": Flag(nullable=True)},
)
LOGINS = Stream("logins", id="login_id", time="at", columns={"customer_id": Key(), "device": Key()})
PINGS = Stream("pings", id=position, time="at", columns={"customer_id": Key("text")})
FRAUD = Label("is_fraud", of=TRANSACTIONS, told_by=CHARGEBACKS, absent=0, after="21d")


def windows(name: str = "spend", **changes: Any) -> Windows:
    return Windows(name, **({"of": "customer_id", "over": TRANSACTIONS, "features": [count("1d")]} | changes))


def pipeline(*views: Any, **changes: Any) -> Pipeline:
    return Pipeline("fraud", **({"views": list(views) or [windows()], "label": FRAUD} | changes))


def refusal(declare: Callable[[], object]) -> str:
    """The whole message of a declaration that is refused at construction."""
    with pytest.raises(DeclarationError) as refused:
        declare()
    return str(refused.value)
