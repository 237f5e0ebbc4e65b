"""The contract over the Handbook's rows beside reading them from Delta and writing them to Delta once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa

from benchmarks.features.data import delta_table, handbook
from benchmarks.features.pairs import compared, pairs
from benchmarks.features.stores import TRANSACTIONS
from sluice.lake.event_tables import enter


def run(folder: Path, count: int) -> dict[str, Any]:
    """Both in turn, in one process on the same rows."""
    uri = delta_table(handbook(), str(folder / "rows"))
    rows = deltalake.DeltaTable(uri).to_pyarrow_table()
    refused = len(enter(TRANSACTIONS, rows, alone=False).refused)

    def check() -> None:
        enter(TRANSACTIONS, rows, alone=False)

    def copy() -> None:
        deltalake.write_deltalake(str(folder / "copy"), _read(uri), mode="overwrite")

    return {"rows": len(rows), "refused": refused, **compared(pairs("contract", check, copy, count))}


def _read(uri: str) -> pa.Table:
    return deltalake.DeltaTable(uri).to_pyarrow_table()
