"""What a model takes: the inputs in their declared order, and feature vectors as packed 8-byte words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.errors import DataError, DeclarationError

Float64s: TypeAlias = NDArray[np.float64]
Int64s: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

_EXACT_INTEGERS = 2.0**53


class Columns(Protocol):
    """Columns by name: an Arrow table, a pandas frame, or a mapping of sequences or of (values, valid) pairs."""

    def __getitem__(self, name: str, /) -> Any:
        """The column of that name."""
        ...


@dataclass(frozen=True, slots=True)
class Input:
    """One model input: a number, or a category of `size` codes.

    A closed category holds codes 0 … size-1; an open one holds 64-bit hashes, which are folded into `size` buckets.
    """

    name: str
    kind: Literal["number", "category"]
    size: int | None = None
    open: bool = False

    def __post_init__(self) -> None:
        if self.kind not in {"number", "category"}:
            raise DeclarationError.unknown("kind of input", self.kind, ["number", "category"], where=self.name)
        if self.kind == "category" and not (self.size and self.size > 0):
            raise DeclarationError(
                f"a category needs a size, it is {self.size!r}", where=self.name, allowed="1 or more"
            )
        if self.kind == "number" and (self.size is not None or self.open):
            raise DeclarationError("a number has neither a size nor buckets", where=self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Feature vectors, one a row: 8-byte words [n, k], float64 bits or int64 codes, and which of them are null."""

    words: Int64s
    nulls: Bools

    def __len__(self) -> int:
        return len(self.words)

    @classmethod
    def from_bytes(cls, packed: Sequence[bytes], width: int) -> Vectors:
        """Rows as the engine packs and the prediction log keeps them: `width` little-endian words, then a bitmap.

        A bit is 1 where the word is valid, lowest bit first.
        """
        rows = np.frombuffer(b"".join(packed), np.uint8).reshape(len(packed), 8 * width + -(-width // 8))
        valid = np.unpackbits(rows[:, 8 * width :], axis=1, bitorder="little", count=width).astype(bool)
        return cls(np.ascontiguousarray(rows[:, : 8 * width]).view("<i8"), ~valid)

    def take(self, places: Sequence[int]) -> Vectors:
        """The same rows with the words at these places only, in this order."""
        return Vectors(self.words[:, places], self.nulls[:, places])


def pack(columns: Columns, inputs: Sequence[Input]) -> Vectors:
    """The columns as packed vectors in the order of the inputs; DataError names a column that is missing or unfit."""
    packed = [_words(each, *_split_nulls(_column(columns, each.name))) for each in inputs]
    return Vectors(
        np.column_stack([words for words, _ in packed]),
        np.column_stack([nulls for _, nulls in packed]),
    )


def _column(columns: Columns, name: str) -> Any:
    try:
        return columns[name]
    except KeyError:
        raise DataError(
            "the column is missing", where=name, next_step="give every input of the model, in any order"
        ) from None


def _split_nulls(column: Any) -> tuple[NDArray[Any], Bools]:
    """Values with 0 in place of null, and where the nulls were, whatever form the column has."""
    if isinstance(column, tuple):
        values, valid = column
        return np.where(valid, values, values.dtype.type(0)), ~valid
    if hasattr(column, "fill_null"):
        return np.asarray(column.fill_null(0)), np.asarray(column.is_null(), dtype=bool)
    if hasattr(column, "isna"):
        nulls = column.isna().to_numpy(dtype=bool)
        return (column.fillna(0).to_numpy() if column.dtype != object else _filled(column, nulls)), nulls
    if isinstance(column, np.ndarray) and column.dtype != object:
        return column, np.zeros(len(column), dtype=bool)
    nulls = np.array([value is None for value in column], dtype=bool)
    return _filled(column, nulls), nulls


def _filled(column: Iterable[Any], nulls: Bools) -> NDArray[Any]:
    return np.asarray([0 if null else value for value, null in zip(column, nulls, strict=True)])


def _words(each: Input, values: NDArray[Any], nulls: Bools) -> tuple[Int64s, Bools]:
    if values.dtype.kind not in "iufb":
        raise DataError(f"values of type {values.dtype} are no {each.kind}", where=each.name)
    return _number_words(values, nulls) if each.kind == "number" else _code_words(each, values, nulls)


def _number_words(values: NDArray[Any], nulls: Bools) -> tuple[Int64s, Bools]:
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    return numbers.view(np.int64), nulls | np.isnan(numbers)


def _code_words(each: Input, values: NDArray[Any], nulls: Bools) -> tuple[Int64s, Bools]:
    if values.dtype.kind == "f":  # pandas turns integers into floats as soon as one is missing
        nulls = nulls | np.isnan(values)
        values = np.where(nulls, 0, values)
        if np.any((np.abs(values) >= _EXACT_INTEGERS) | (values != np.trunc(values))):
            raise DataError(
                "codes came as floating point and lost their last digits",
                where=each.name,
                next_step="pass int64, or pandas' nullable Int64 where codes may be missing",
            )
    return values.astype(np.int64), nulls
