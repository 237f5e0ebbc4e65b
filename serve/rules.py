"""What the declaration asks of an event's columns: the rules of ingest, in the same order and under the same names.

Ingest names the first reason for which a row is refused; a caller who can mend a request is told all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.declare.columns import Column, Decimal
from sluice.declare.streams import Stream
from sluice.engine.encode import Mask, integers, invalid
from sluice.lake.rules import allowed, unlike
from sluice.lake.typing import Typed

LONGEST = 80
"""Characters of a refused value that are told back."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was refused: which event (None for the request itself), its field, the rule and what it allows."""

    index: int | None
    field: str
    rule: str
    value: str
    allowed: str


def problems(
    stream: Stream, rows: Sequence[Mapping[str, Any]], typed: Mapping[str, Typed], encoded: Mapping[str, pa.Array]
) -> list[Problem]:
    """Every breach of every rule, by event and then by field in declared order; id and time may be missing.

    `encoded` holds the declared columns as the kernel's integers (`encode_column` of `typed`).
    """
    optional = {*stream.id_columns, stream.time}
    found = [
        Problem(index, name, rule, shown(rows[index].get(name)), allowed(stream, name, rule))
        for name, item in typed.items()
        for rule, mask in _broken(stream.columns.get(name), item, encoded.get(name), optional=name in optional)
        for index in np.flatnonzero(mask).tolist()
    ]
    return sorted(found, key=lambda problem: problem.index or 0)


def shown(value: object) -> str:
    """A refused value as it is told back; nothing for one that was not there."""
    return "" if value is None else repr(value)[:LONGEST]


def _broken(
    column: Column | None, item: Typed, encoded: pa.Array | None, *, optional: bool
) -> Iterator[tuple[str, Mask]]:
    yield "type", item.wrong
    yield "scale", item.inexact
    if not (optional or (column is not None and column.nullable)):
        yield "missing", invalid(item.values) & ~item.wrong
    if column is None or encoded is None:
        return
    if column.like is not None:
        yield "pattern", unlike(item.values, column.like)
    if column.categories:
        yield "category", invalid(encoded) & ~invalid(item.values)
    if column.bounds is not None:
        unit = 10**column.scale if isinstance(column, Decimal) else 1
        steps, there = integers(encoded)
        yield "range", there & ((steps < column.bounds[0] * unit) | (steps > column.bounds[1] * unit))
