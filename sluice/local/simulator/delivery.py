"""How a stream reaches us: late, out of order, twice, contradicting itself, or broken."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluice.local.simulator.chance import lots
from sluice.local.simulator.injections import (
    CONFLICT_GAP,
    DISORDER_DELAY,
    DUPLICATE_GAP,
    LATE_DELAY,
    MALFORMED,
    Injections,
)
from sluice.local.simulator.payments import malformed_ids
from sluice.local.simulator.world import MAX_CENTS

FATES = ("clean", "duplicate", "conflict", *MALFORMED)
"""What a delivered row is. `clean` rows are exactly the rows of the clean stream."""
TIMINGS = ("on_time", "late", "disorder")
"""How a clean row arrived; copies and malformed rows are `on_time` here."""
UNKNOWN_CHANNEL = "phone"

_CLEAN, _DUPLICATE, _CONFLICT = range(3)
_ON_TIME, _LATE, _DISORDER = range(3)

Rows = NDArray[np.bool_]


def deliver(clean: pa.Table, name: str, seed: int, injections: Injections) -> pa.Table:
    """A stream in order of arrival.

    It keeps the columns of the clean stream, of which the first is the id and the second the event time; added are
    `arrival` (int64, microseconds since the epoch), `fate` and `timing` (positions in FATES and TIMINGS).
    """
    ids = clean.column(0).to_numpy()
    arrival, timing = _arrivals(clean, f"{name}/arrival", seed, injections)
    rows = _delivered(clean, arrival, _CLEAN, timing)
    copy = lots(seed, f"{name}/copies", ids)
    copies = _copies(rows, copy < (injections.duplicates or 0), _DUPLICATE, DUPLICATE_GAP, f"{name}/duplicates", seed)
    parts = [rows, copies]
    if injections.conflicts:
        rivals = copy >= 1 - injections.conflicts
        parts.append(_contradict(_copies(rows, rivals, _CONFLICT, CONFLICT_GAP, f"{name}/conflicts", seed), seed))
    if injections.malformed:
        donors = lots(seed, f"{name}/malformed", ids) < injections.malformed
        parts.append(_spoil(rows.filter(pa.array(donors)), f"{name}/malformed/kind", seed))
    return _in_order_of_arrival(pa.concat_tables(parts))


def _arrivals(
    clean: pa.Table, name: str, seed: int, injections: Injections
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    ids, time = clean.column(0).to_numpy(), clean.column(1).cast(pa.int64()).to_numpy()
    lot = lots(seed, name, ids)
    late, disorder = lot < (injections.late or 0), lot >= 1 - (injections.disorder or 0)
    delay = np.select(
        [late, disorder],
        [_between(LATE_DELAY, f"{name}/late", seed, ids), _between(DISORDER_DELAY, f"{name}/disorder", seed, ids)],
    )
    return time + delay, np.select([late, disorder], [np.int8(_LATE), np.int8(_DISORDER)], np.int8(_ON_TIME))


def _between(bounds: tuple[int, int], name: str, seed: int, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Microseconds between two bounds, the short ones as likely as the long ones on a logarithmic scale."""
    low, high = np.log(bounds)
    gap: NDArray[np.int64] = np.exp(low + lots(seed, name, ids) * (high - low)).astype(np.int64)
    return gap


def _delivered(table: pa.Table, arrival: NDArray[np.int64], fate: int, timing: NDArray[np.int8]) -> pa.Table:
    fates = np.full(len(table), fate, np.int8)
    for column, values in (("arrival", arrival), ("fate", fates), ("timing", timing)):
        table = table.append_column(column, pa.array(values))
    return table


def _copies(rows: pa.Table, chosen: Rows, fate: int, gap: tuple[int, int], name: str, seed: int) -> pa.Table:
    copies = rows.filter(pa.array(chosen))
    arrival = copies.column("arrival").to_numpy() + _between(gap, name, seed, copies.column(0).to_numpy())
    on_time = np.full(len(copies), _ON_TIME, np.int8)
    return _delivered(copies.drop_columns(["arrival", "fate", "timing"]), arrival, fate, on_time)


def _contradict(copies: pa.Table, seed: int) -> pa.Table:
    """The same payments with another amount, up to five units away."""
    change = 1 + (lots(seed, "conflicts/amount", copies.column(0).to_numpy()) * 500).astype(np.int64)
    cents = np.rint(copies.column("amount").to_numpy() * 100).astype(np.int64)
    other = np.where(cents + change <= MAX_CENTS, cents + change, cents - change)
    return _replaced(copies, "amount", pa.array(other / 100))


def _spoil(rows: pa.Table, name: str, seed: int) -> pa.Table:
    """Rows under ids of their own, each broken in one way; an unparsable row still holds what it was made from."""
    ids = rows.column(0).to_numpy()
    kind = (lots(seed, name, ids) * len(MALFORMED)).astype(np.int8)

    def broken(column: str, how: str, value: pa.Scalar | pa.Array) -> pa.Array:
        return pc.if_else(pa.array(kind == MALFORMED.index(how)), value, rows.column(column))

    spoilt = _replaced(rows, "amount", broken("amount", "negative_amount", pc.negate(rows.column("amount"))))
    spoilt = _replaced(spoilt, "channel", broken("channel", "unknown_channel", pa.scalar(UNKNOWN_CHANNEL)))
    spoilt = _replaced(
        spoilt, "event_time", broken("event_time", "null_time", pa.scalar(None, pa.timestamp("us", "UTC")))
    )
    own_ids = pa.array(malformed_ids(ids), mask=kind == MALFORMED.index("missing_id"))
    spoilt = _replaced(spoilt, "transaction_id", own_ids)
    spoilt = _replaced(spoilt, "timing", pa.array(np.full(len(rows), _ON_TIME, np.int8)))
    return _replaced(spoilt, "fate", pa.array(kind + np.int8(FATES.index(MALFORMED[0]))))


def _replaced(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    at = table.schema.get_field_index(column)
    return table.set_column(at, table.schema.field(at), values)


def _in_order_of_arrival(table: pa.Table) -> pa.Table:
    ids = pc.fill_null(table.column(0), -1).to_numpy()
    order = np.lexsort((table.column("fate").to_numpy(), ids, table.column("arrival").to_numpy()))
    return table.take(pa.array(order)).combine_chunks()
