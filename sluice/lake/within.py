"""Bounds of the rows that are asked for: files and row groups are skipped by bounds, and not by lists of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

Within = Mapping[str, tuple[Any, Any]]
"""By column, the least and the greatest value of the rows that are asked for."""


def around(column: str, values: pa.Array | pa.ChunkedArray) -> Within:
    """The bounds of some values of a column; none where there is no value."""
    ends = pc.min_max(values)
    return {column: (ends["min"].as_py(), ends["max"].as_py())} if ends["min"].is_valid else {}


def condition(where: ds.Expression | None, within: Within | None) -> ds.Expression | None:
    """The rows within bounds that meet a condition; None for all rows."""
    inside = [(ds.field(name) >= low) & (ds.field(name) <= high) for name, (low, high) in (within or {}).items()]
    every = inside if where is None else [where, *inside]
    return reduce(and_, every) if every else None


def pruned(within: Within | None) -> list[tuple[str, str, Any]] | None:
    """The bounds as Delta compares them with the statistics of files; None for all files."""
    return list(_ends(within or {})) or None


def _ends(within: Within) -> Iterator[tuple[str, str, Any]]:
    for name, (low, high) in within.items():
        for sign, end in ((">=", low), ("<=", high)):
            if end != "":  # it would be taken for null
                yield name, sign, end
