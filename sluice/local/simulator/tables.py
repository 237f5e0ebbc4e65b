"""Payments as the two streams that the rest of Sluice sees, and the ground truth beside them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.local.simulator.chance import lots
from sluice.local.simulator.payments import Payments
from sluice.local.simulator.places import Places
from sluice.local.simulator.world import CHANNELS, DAY_MS, GENUINE, World

TIME = pa.timestamp("us", tz="UTC")

TRANSACTIONS = pa.schema(
    {
        "transaction_id": pa.int64(),
        "event_time": TIME,
        "customer_id": pa.int64(),
        "terminal_id": pa.int64(),
        "amount": pa.float64(),
        "channel": pa.string(),
        "country": pa.string(),
    }
)
CHARGEBACKS = pa.schema(
    {"chargeback_id": pa.int64(), "reported_time": TIME, "transaction_id": pa.int64(), "is_fraud": pa.int8()}
)
SCHEMAS = {"transactions": TRANSACTIONS, "chargebacks": CHARGEBACKS}
"""The columns of each stream; the first is its id, the second its event time."""

_REPORTED_AFTER_DAYS = (1, 20)
# Chargeback ids lie beyond every transaction id, below 2^53: a join on the wrong one finds nothing.
_CHARGEBACK_IDS = 5 * 10**15


def transactions(world: World, places: Places, ids: NDArray[np.int64], payments: Payments) -> pa.Table:
    """The clean stream of transactions, in the order given."""
    columns = [
        pa.array(ids),
        as_time(world, payments.time),
        pa.array(payments.customer + 1),
        pa.array(payments.terminal + 1),
        pa.array(payments.cents / 100),
        named(CHANNELS, payments.channel),
        named(world.countries, places.country[payments.terminal]),
    ]
    return pa.Table.from_arrays(columns, schema=TRANSACTIONS)


def chargebacks(world: World, ids: NDArray[np.int64], payments: Payments) -> pa.Table:
    """One event per fraud, in order of the time reported: 1 to 20 days after the payment, most within ten."""
    fraud = payments.scenario != GENUINE
    about = ids[fraud]
    # The mean of two lots, one of them squared: most reports come early, the latest on the twentieth day.
    lot = (lots(world.seed, "reports/early", about) ** 2 + lots(world.seed, "reports/any", about)) / 2
    soonest, latest = _REPORTED_AFTER_DAYS
    reported = payments.time[fraud] + ((soonest + lot * (latest - soonest)) * DAY_MS).astype(np.int64)
    order = np.lexsort((about, reported))
    columns = [
        pa.array(about[order] + _CHARGEBACK_IDS),
        as_time(world, reported[order]),
        pa.array(about[order]),
        pa.array(np.ones(len(about), np.int8)),
    ]
    return pa.Table.from_arrays(columns, schema=CHARGEBACKS)


def as_time(world: World, milliseconds: NDArray[np.int64]) -> pa.Array:
    """Milliseconds since the world's first midnight as instants."""
    return pa.array(world.midnight(0) + milliseconds * 1_000).cast(TIME)


def named(names: tuple[str, ...], codes: NDArray[np.int8] | NDArray[np.int64]) -> pa.Array:
    """Codes as their names."""
    indices = pa.array(codes.astype(np.int8))
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string())).cast(pa.string())
