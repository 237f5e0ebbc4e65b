"""The shape of a column on one day: how often it is missing or zero, and its values as a sketch that merges.

Numbers are kept as tfx-bsl's quantile sketch (ranks within 2 %), the texts of an open category as its Misra-Gries
sketch (the 256 most frequent), flags and closed categories as exact counts. Keys have no shape.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.columns import Category, Column, Decimal, Flag, Integer
from sluice.declare.durations import DAY
from sluice.declare.streams import Stream
from sluice.engine.encode import integers

SHAPES = pa.schema(
    {
        "day": pa.int64(),
        "column": pa.string(),
        "rows": pa.int64(),
        "nulls": pa.int64(),
        "zeros": pa.int64(),
        "counts": pa.string(),
        "numbers": pa.binary(),
        "texts": pa.binary(),
        "_batch": pa.string(),
    }
)
"""The table `baselines/<stream>`: `day` is its first microsecond, `counts` JSON; a column has one of the sketches."""

_ERROR, _MOST, _TEXTS = 0.02, 2**32, 256


@dataclass(frozen=True)
class Shape:
    """What is known of the values of one column."""

    rows: int = 0
    nulls: int = 0
    zeros: int = 0
    """Zeros among numbers; they are not in the sketch, as columns often have very many."""
    counts: Mapping[str, int] = field(default_factory=dict)
    numbers: bytes | None = None
    texts: bytes | None = None
    """A sketch whose bytes list its texts in any order: two are compared by what `frequent` says of them."""

    @property
    def kind(self) -> str:
        """What is kept of its values, by which only shapes of one kind can be compared."""
        if self.numbers is not None:
            return "numbers"
        return "counts" if self.texts is None else "texts"

    def merged(self, other: Shape) -> Shape:
        """Of the values of both."""
        return Shape(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.zeros + other.zeros,
            dict(Counter(self.counts) + Counter(other.counts)),
            _merged(_numbers, self.numbers, other.numbers),
            _merged(_texts, self.texts, other.texts),
        )


def shapes_of(stream: Stream, rows: pa.Table) -> Iterator[tuple[int, str, Shape]]:
    """The shape of every column on every day of some rows of silver, days in order."""
    days = integers(rows.column("_time"))[0] // DAY
    order = np.argsort(days, kind="stable")
    names = [name for name, column in stream.columns.items() if isinstance(column, Decimal | Integer | Flag | Category)]
    columns = {name: rows.column(name).combine_chunks().take(pa.array(order)) for name in names}
    distinct, first = np.unique(days[order], return_index=True)
    for day, (start, end) in zip(distinct.tolist(), pairwise([*first, len(order)]), strict=True):
        for name in names:
            yield day * DAY, name, _shape(stream.columns[name], columns[name].slice(start, end - start))


def table_of(shapes: Iterable[tuple[int, str, Shape]], batch: str) -> pa.Table:
    """As rows of the table."""
    rows = [
        {
            "day": day,
            "column": name,
            "rows": one.rows,
            "nulls": one.nulls,
            "zeros": one.zeros,
            "counts": json.dumps(dict(one.counts), sort_keys=True),
            "numbers": one.numbers,
            "texts": one.texts,
            "_batch": batch,
        }
        for day, name, one in shapes
    ]
    return pa.Table.from_pylist(rows, schema=SHAPES)


def by_day(rows: pa.Table, kinds: Mapping[str, str] | None = None) -> dict[tuple[int, str], Shape]:
    """The shapes of a table, one for each day and column: merged in an order that does not depend on the files.

    Of columns that were declared as another kind then than in `kinds` none.
    """
    found: dict[tuple[int, str], Shape] = {}
    ordered = rows.sort_by([("day", "ascending"), ("column", "ascending"), ("_batch", "ascending")])
    for row in ordered.to_pylist():
        key, shape = (row["day"], row["column"]), _read(row)
        if kinds is None or kinds.get(row["column"]) == shape.kind:
            found[key] = found[key].merged(shape) if key in found else shape
    return found


def by_column(days: Mapping[tuple[int, str], Shape]) -> dict[str, Shape]:
    """The shape of each column over all days."""
    found: dict[str, Shape] = {}
    for (_, name), one in sorted(days.items(), key=lambda item: item[0]):
        found[name] = found[name].merged(one) if name in found else one
    return found


def quantiles(numbers: bytes, parts: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The bounds of parts of the same number of values, from the least to the greatest."""
    return np.array(_numbers(numbers).GetQuantiles(parts)[0].as_py(), np.float64)


def frequent(texts: bytes) -> dict[str, float]:
    """The most frequent texts, and about how often each is there."""
    found = _texts(texts).Estimate()
    values, counts = found.field(0).to_pylist(), found.field(1).to_pylist()
    return {value.decode(errors="replace"): count for value, count in zip(values, counts, strict=True)}


def _shape(column: Column, values: pa.Array) -> Shape:
    found = Shape(rows=len(values), nulls=values.null_count)
    there = values.drop_null()
    if isinstance(column, Decimal | Integer):
        numbers = there.cast(pa.float64(), safe=False)
        nonzero = numbers.filter(pc.not_equal(numbers, 0.0))
        sketch = _sketches().QuantilesSketch(_ERROR, _MOST, 1)
        sketch.AddValues(nonzero)
        sketch.Compact()
        return replace(found, zeros=len(numbers) - len(nonzero), numbers=sketch.__getstate__())
    if isinstance(column, Category) and not column.categories:
        texts = _sketches().MisraGriesSketch(_TEXTS)
        texts.AddValues(there)
        return replace(found, texts=texts.Serialize())
    counts = pc.value_counts(there).to_pylist()
    return replace(found, counts={str(row["values"]): row["counts"] for row in counts})


def _read(row: Mapping[str, Any]) -> Shape:
    return Shape(row["rows"], row["nulls"], row["zeros"], json.loads(row["counts"]), row["numbers"], row["texts"])


def _merged(read: Any, left: bytes | None, right: bytes | None) -> bytes | None:
    if left is None or right is None:
        return right if left is None else left
    sketch = read(left)
    sketch.Merge(read(right))
    return bytes(sketch.__getstate__() if read is _numbers else sketch.Serialize())


def _numbers(state: bytes) -> Any:
    kind = _sketches().QuantilesSketch
    sketch = kind.__new__(kind)
    sketch.__setstate__(state)
    return sketch


def _texts(state: bytes) -> Any:
    return _sketches().MisraGriesSketch.Deserialize(state)


def _sketches() -> Any:
    # a third of a second, which only those pay who look at shapes
    from tfx_bsl import sketches

    return sketches
