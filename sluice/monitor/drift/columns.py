"""What detectors look at: one column of one sample, with the day of every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sluice.errors import DataError

MISSING = np.iinfo(np.int64).min
"""The code of a missing category; a missing number is NaN."""

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Numbers (float64, NaN: missing) or category codes (int64, MISSING: missing), and the day number of each row."""

    name: str
    values: Numbers | Codes
    days: Codes

    @property
    def kind(self) -> Literal["numeric", "categorical"]:
        """Numbers are numeric, codes categorical."""
        return "numeric" if self.values.dtype.kind == "f" else "categorical"

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no value."""
        return np.isnan(self.values) if self.kind == "numeric" else self.values == MISSING

    @property
    def span(self) -> int:
        """On how many different days its rows lie."""
        return len(np.unique(self.days))

    def __len__(self) -> int:
        return len(self.values)


def column(name: str, values: Any, days: Any) -> Column:
    """A column from a numpy array or an Arrow column: floats and decimals are numbers; integers, booleans are codes.

    `days` is one day number per row (`sluice.monitor.days.day_numbers`). DataError for any other type, for infinite
    numbers and for lengths that differ.
    """
    plain = _from_arrow(name, values) if hasattr(values, "type") else np.asarray(values)
    numbers = np.asarray(days, dtype=np.int64)
    if len(plain) != len(numbers):
        raise DataError(f"{len(plain)} values for {len(numbers)} days", where=f"column {name}")
    if plain.dtype.kind == "f":
        return Column(name, _finite(name, plain.astype(np.float64)), numbers)
    if plain.dtype.kind in "biu":
        return Column(name, plain.astype(np.int64), numbers)
    raise DataError(f"{plain.dtype} values cannot be watched", where=f"column {name}", allowed=_ALLOWED)


def columns_of(table: Any, days: Any, names: Sequence[str] | None = None) -> tuple[Column, ...]:
    """The named columns of an Arrow table, all of them by default, in the table's order."""
    chosen = table.column_names if names is None else names
    absent = [name for name in chosen if name not in table.column_names]
    if absent:
        raise DataError(f"no column {', '.join(absent)}", where="table to watch", allowed=table.column_names)
    return tuple(column(name, table.column(name), days) for name in chosen)


_ALLOWED = "float or decimal (numbers); integer or boolean (category codes)"


def _from_arrow(name: str, values: Any) -> NDArray[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return np.asarray(pc.fill_null(values.cast(pa.float64()), float("nan")))
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return np.asarray(pc.fill_null(values.cast(pa.int64()), MISSING))
    raise DataError(f"{values.type} values cannot be watched", where=f"column {name}", allowed=_ALLOWED)


def _finite(name: str, values: Numbers) -> Numbers:
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise DataError(f"{infinite} values are infinite", where=f"column {name}", allowed="finite numbers and NaN")
    return values
