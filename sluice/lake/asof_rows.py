"""The rows of an as-of table before they are loaded: typed and judged by the contract of ingest, and named when bad."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from sluice.declare.asof import VALID_FROM, AsOfTable
from sluice.engine.asof import encode_table, repeated
from sluice.engine.versions import PUT
from sluice.errors import DataError
from sluice.lake.asof import contract_of
from sluice.lake.contract import BRONZE, check
from sluice.lake.rowfiles import CHUNK, Row, columns_of, groups, read

REPEATED = "repeated"
"""The rule that a row breaks when another one has its key and `valid_from`; the others are those of ingest."""


@dataclass(frozen=True)
class Refused:
    """A row that cannot stand in a table: which one (from 1, without the header), and the rule it breaks."""

    row: int
    column: str
    rule: str
    value: str
    allowed: str

    def __str__(self) -> str:
        column = f"{self.column}: " if self.column else ""
        return f"row {self.row}: {column}{self.rule}: {self.value} (allowed: {self.allowed})"


@dataclass(frozen=True)
class Judged:
    """Rows of a table as people read them, and those that may not stand in it."""

    accepted: pa.Table
    refused: list[Refused]


def rows_of(table: AsOfTable, path: Path) -> Iterator[Row]:
    """The rows of a parquet, CSV or JSON lines file; DataError when it lacks a declared column."""
    pieces = groups(path)
    named = columns_of(path)
    missing = [name for name in (VALID_FROM, *table.columns) if named is not None and name not in named]
    if missing:
        raise DataError(f"no column {', '.join(map(repr, missing))}", where=str(path), allowed=named)
    for group, first in pieces:
        for _, rows in read(path, group, first, columns=[VALID_FROM, *table.columns]):
            yield from rows


def judge(table: AsOfTable, rows: Iterable[Row]) -> Judged:
    """Judge each row by itself, and those that pass beside each other: one for each key and `valid_from`."""
    contract = contract_of(table)
    every, first = iter(rows), 0
    accepted, refused = [], list[Refused]()
    while chunk := list(islice(every, CHUNK)):
        checked = check(contract, _bronze(chunk, first), batch="")
        accepted.append(checked.accepted)
        refused += [_refused(row) for row in checked.rejected.to_pylist()]
        first += len(chunk)
    if not first:
        raise DataError("there are no rows", where=f"table {table.name!r}", allowed="one row or more")
    standing = pa.concat_tables(accepted)
    twice = standing.filter(pa.array(repeated(table.keys, encode_table(table, standing))))
    refused += [_twice(table, row) for row in twice.to_pylist()]
    return Judged(standing.select([VALID_FROM, *table.columns]), sorted(refused, key=lambda item: item.row))


def _bronze(rows: list[Row], first: int) -> pa.Table:
    count = len(rows)
    return pa.table(
        {
            "payload": [row if isinstance(row, bytes) else orjson.dumps(row) for row in rows],
            "source": [""] * count,
            "partition": [0] * count,
            "position": np.arange(first, first + count),
            # a row may begin to hold in the future: it is known with what it says
            "known": pa.nulls(count, pa.int64()),
            "revision": [0] * count,
            "op": [PUT] * count,
            "batch": [""] * count,
        },
        schema=BRONZE,
    )


def _refused(row: Mapping[str, Any]) -> Refused:
    return Refused(row["position"] + 1, row["column"], row["rule"], row["value"], row["allowed"])


def _twice(table: AsOfTable, row: Mapping[str, Any]) -> Refused:
    identity = ", ".join(f"{name} {row[name]}" for name in (*table.keys, VALID_FROM))
    allowed = f"one row for each {' and '.join((*table.keys, VALID_FROM))}"
    return Refused(row["_position"] + 1, VALID_FROM, REPEATED, identity, allowed)
