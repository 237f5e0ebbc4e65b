"""What really happened: which payments are frauds and why, and what was injected. Never an input of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.local.simulator.delivery import FATES, TIMINGS
from sluice.local.simulator.fraud import Spells
from sluice.local.simulator.payments import Payments
from sluice.local.simulator.tables import TIME, named
from sluice.local.simulator.world import GENUINE, NEW_PATTERN, SCENARIOS


@dataclass(frozen=True)
class Truth:
    """Tables that no stream tells."""

    scenarios: pa.Table
    """One row per fraud: `transaction_id`, `fraud_scenario`."""
    compromises: pa.Table
    """One row per compromised terminal or card: `what`, `key` (its id), `first_day`, `until_day` (exclusive)."""
    injected: pa.Table
    """One row per injected effect: `stream`, `kind`, `id` (null where the row was made without one), `arrival`.

    Kinds: late, disorder, duplicate, conflict, the malformed kinds, covariate_shift, new_pattern. The last two name
    clean payments by their event time, all others delivered rows by their arrival.
    """


def tell(
    ids: NDArray[np.int64],
    payments: Payments,
    transactions: pa.Table,
    compromised: Mapping[str, Spells],
    deliveries: Mapping[str, pa.Table],
) -> Truth:
    """The truth about payments (under these ids, as this clean table) and their deliveries."""
    moved = payments.injected & (payments.scenario != NEW_PATTERN)
    added = payments.scenario == NEW_PATTERN
    effects = [
        _changed(transactions, moved, "covariate_shift"),
        _changed(transactions, added, "new_pattern"),
        *(_effects(stream, rows) for stream, rows in deliveries.items()),
    ]
    spells = [_compromises(what, spells) for what, spells in compromised.items()]
    return Truth(_scenarios(ids, payments), pa.concat_tables(spells), pa.concat_tables(effects))


def _scenarios(ids: NDArray[np.int64], payments: Payments) -> pa.Table:
    fraud = payments.scenario != GENUINE
    names = named(SCENARIOS, payments.scenario[fraud])
    return pa.table({"transaction_id": pa.array(ids[fraud]), "fraud_scenario": names})


def _compromises(what: str, spells: Spells) -> pa.Table:
    return pa.table(
        {
            "what": pa.repeat(what, len(spells.key)),
            "key": spells.key + 1,
            "first_day": spells.first_day,
            "until_day": spells.first_day + spells.length,
        }
    )


def _changed(transactions: pa.Table, chosen: NDArray[np.bool_], kind: str) -> pa.Table:
    """Payments that a change of the world moved or added."""
    rows = transactions.filter(pa.array(chosen))
    return _injected("transactions", pa.repeat(kind, len(rows)), rows.column(0), rows.column(1))


def _effects(stream: str, rows: pa.Table) -> pa.Table:
    """Delivered rows that are not clean, and clean ones that did not arrive on time."""
    arrival = rows.column("arrival").cast(TIME)
    parts = []
    for codes, names in ((rows.column("fate").to_numpy(), FATES), (rows.column("timing").to_numpy(), TIMINGS)):
        chosen = pa.array(codes > 0)
        kinds = named(names, codes[codes > 0])
        parts.append(_injected(stream, kinds, rows.column(0).filter(chosen), arrival.filter(chosen)))
    return pa.concat_tables(parts)


def _injected(stream: str, kind: pa.Array, ids: pa.ChunkedArray, arrival: pa.ChunkedArray) -> pa.Table:
    return pa.table({"stream": pa.repeat(stream, len(kind)), "kind": kind, "id": ids, "arrival": arrival})
