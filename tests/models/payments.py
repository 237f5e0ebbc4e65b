"""A small, seeded training set in which fraud can be learnt from more than the amount."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from models.split import DAY, Split
from sluice.scoring import Input

INPUTS = (
    Input("amount", "number"),
    Input("ratio", "number"),
    Input("risk", "number"),
    Input("channel", "category", 3),
    Input("country", "category", 16, open=True),
)
SPLIT = Split.ending(60 * DAY, history=60 * DAY, validation=10 * DAY, test=10 * DAY, delay=3 * DAY)
COUNTRIES = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 5)


def payments(rows: int = 12_000, seed: int = 0) -> pa.Table:
    """`rows` payments of sixty days in no order, a few of them online, with nulls in `ratio` and `country`."""
    rng = np.random.default_rng(seed)
    amount = np.round(rng.lognormal(3.5, 0.8, rows), 2)
    ratio, risk = rng.lognormal(0, 0.5, rows), rng.beta(0.3, 6, rows)
    channel = rng.choice(3, rows, p=[0.6, 0.395, 0.005])
    country = rng.choice(5, rows)
    logit = -6.5 + 1.5 * ratio + 10 * risk + 0.005 * amount + 1.5 * (country == 3) - 0.5 * (channel == 1)
    return pa.table(
        {
            "event_id": pa.array(rng.permutation(rows)),
            "event_time": pa.array(rng.integers(0, 60 * DAY, rows)),
            "segment": pa.array(np.array(["pos", "atm", "online"])[channel]),
            "customer_id": pa.array(rng.integers(0, 5_000, rows)),
            "label": pa.array((rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)),
            "amount": pa.array(amount),
            "ratio": pa.array(ratio, mask=rng.random(rows) < 0.1),
            "risk": pa.array(risk),
            "channel": pa.array(channel),
            "country": pa.array(COUNTRIES[country], mask=rng.random(rows) < 0.1),
        }
    )
