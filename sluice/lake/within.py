"""Bounds of the rows that are asked for: files are skipped by bounds, and not by lists of values.

A table gets some files with every day, or with every few seconds of a topic. To look at each of them, if only to find
that it has no such row, would make a delivery dearer with every one before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

Bounds = tuple[Any, Any]
"""The least and the greatest value of a column; None for an end that is open."""


@dataclass(frozen=True)
class Within:
    """A condition on rows, and on the statistics of files that may have such rows."""

    rows: ds.Expression
    files: str | Sequence[tuple[str, str, Any]]
    """As delta-rs reads it."""

    def of(self, columns: Collection[str]) -> str | list[tuple[str, str, Any]] | None:
        """What is asked of the files of a table with these columns: one that was declared since bounds none of them."""
        if isinstance(self.files, str):
            return self.files
        return [one for one in self.files if one[0] in columns] or None

    def condition(self, where: ds.Expression | None) -> ds.Expression:
        """The rows within that meet another condition too."""
        return self.rows if where is None else where & self.rows


def between(**columns: Bounds) -> Within:
    """By column, the least and the greatest value; None where there is no such end."""
    every = [(name, sign, end) for name, both in columns.items() for sign, end in zip((">=", "<="), both, strict=True)]
    ends = [one for one in every if one[2] is not None]
    rows = reduce(and_, [_COMPARED[sign](ds.field(name), end) for name, sign, end in ends])
    # delta-rs takes an empty text for null
    return Within(rows, [one for one in ends if one[2] != ""])


def around(column: str, values: pa.Array | pa.ChunkedArray) -> Within | None:
    """The bounds of some values of a column; None where there is no value."""
    ends = bounds(values)
    return None if ends is None else between(**{column: ends})


def bounds(values: pa.Array | pa.ChunkedArray) -> Bounds | None:
    """The least and the greatest of some values; None where there is no value."""
    ends = pc.min_max(values)
    return (ends["min"].as_py(), ends["max"].as_py()) if ends["min"].is_valid else None


def beyond(reached: Mapping[tuple[str, int], int], prefix: str) -> Within:
    """Rows of sources that begin so, after the position that is reached of each source and partition."""
    rows = pc.starts_with(ds.field("source"), prefix)
    files = [f"source >= {_quoted(prefix)}"]
    for (source, partition), last in reached.items():
        here = (ds.field("source") == source) & (ds.field("partition") == partition)
        rows &= ~(here & (ds.field("position") <= last))
        files.append(f"(source != {_quoted(source)} OR partition != {partition} OR position > {last})")
    return Within(rows, " AND ".join(files))


_COMPARED = {">=": ds.Expression.__ge__, "<=": ds.Expression.__le__}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
