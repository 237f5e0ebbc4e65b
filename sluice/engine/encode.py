"""Typed events as integers: what the kernel computes on, the same from a file, a topic and a request.

A decimal becomes its scaled integer, a closed category its position in the declaration, an open one a frozen 64-bit
hash, a time its microseconds. Columns that begin with an underscore belong to Sluice:

    _id  _time  _revision  _op  _hash  _known  _watermark      (who the event is, which version, when it was known)
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from sluice.declare.columns import Category, Column, Decimal, ForeignKey, Key
from sluice.declare.streams import Stream
from sluice.errors import DataError

OWN_COLUMNS = ("_id", "_time", "_revision", "_op", "_hash", "_known", "_watermark")
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]
Words = np.ndarray[tuple[int], np.dtype[np.uint64]]
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(33)
_FACTORS = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_BITS = 2**64 - 1
_BLOCK = 16_384
"""Words that are mixed at a time: they stay in the processor's cache."""


def encode(events: pa.Table, stream: Stream) -> pa.Table:
    """The declared columns of typed events as the kernel's integers, beside Sluice's own columns."""
    own = {name: events.column(name) for name in OWN_COLUMNS}
    values = {name: encode_column(events.column(name), column) for name, column in stream.columns.items()}
    return pa.table({**own, **values})


def encode_column(values: pa.ChunkedArray | pa.Array, column: Column) -> pa.Array:
    """One column as int64 (keys and ids keep their own type)."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(column, Key | ForeignKey):
        return array
    if isinstance(column, Decimal):
        return scaled(_typed(array, pa.decimal128(18, column.scale)))
    if isinstance(column, Category):
        return category_codes(array, column.categories)
    return array.cast(pa.int64())


def _typed(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    if pa.types.is_floating(values.type):
        raise DataError(
            f"a {values.type} where {kind} is declared", where="encode", next_step="type it by the contract"
        )
    return values.cast(kind)


def category_codes(values: pa.Array, categories: tuple[str, ...]) -> pa.Array:
    """Position in the declaration for a closed category, the frozen 64-bit hash of the text for an open one."""
    if categories:
        return pc.index_in(values, value_set=pa.array(categories, pa.string())).cast(pa.int64())
    distinct = values.dictionary_encode()
    hashes = pa.array([text_hash(text) for text in distinct.dictionary.to_pylist()], pa.int64())
    return hashes.take(distinct.indices)


def text_hash(text: str) -> int:
    """XXH3 64 of the UTF-8 bytes as a signed integer; frozen, it is part of stored values."""
    return int(np.uint64(xxhash.xxh3_64_intdigest(text.encode())).astype(np.int64))


def scaled(values: pa.Array) -> pa.Array:
    """The unscaled integers of a decimal128 column (18 digits at most, so the low word holds them)."""
    low = np.frombuffer(values.buffers()[1], np.int64)[2 * values.offset : 2 * (values.offset + len(values)) : 2]
    return pa.array(np.ascontiguousarray(low), mask=invalid(values))


def decimals(integers: Ints, scale: int, missing: Mask) -> pa.Array:
    """A decimal128(18, scale) column from unscaled integers."""
    words = np.empty((len(integers), 2), np.int64)
    words[:, 0] = integers
    validity = None
    if missing.any():
        words[missing, 0] = 0
        validity = pa.array(~missing).buffers()[1]
    np.right_shift(words[:, 0], 63, out=words[:, 1])
    return pa.Array.from_buffers(pa.decimal128(18, scale), len(integers), [validity, pa.py_buffer(words)])


def invalid(values: pa.Array) -> Mask:
    """Where an array is null."""
    if values.null_count == 0:
        return np.zeros(len(values), bool)
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def integers(values: pa.Array | pa.ChunkedArray) -> tuple[Ints, Mask]:
    """An int64 column as numpy: its values (0 where null) and where they are valid."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    whole = array if array.type == pa.int64() else array.cast(pa.int64())
    if whole.null_count == 0:
        return np.asarray(whole.to_numpy(zero_copy_only=False), np.int64), np.ones(len(whole), bool)
    return np.asarray(whole.fill_null(0).to_numpy(zero_copy_only=False), np.int64), ~invalid(whole)


def row_hashes(columns: list[pa.Array]) -> Ints:
    """The frozen 64-bit hash of each row's canonical payload: declared columns in declared order, typed.

    Every column gives one word (integers as they are, text by its hash, null by a word of its own) and the words are
    mixed in order with the finaliser of MurmurHash3 (Appleby, public domain).
    """
    words = [_words(column) for column in columns]
    state = np.full(len(columns[0]), np.uint64(len(columns)), np.uint64)
    for start in range(0, len(state), _BLOCK):
        block = slice(start, start + _BLOCK)
        mine = state[block]
        for values, missing in words:
            word = values[block] + _MIX
            _mix(word)
            if missing is not None:
                word[missing[block]] = 1
            mine *= _MIX
            mine += word
            _mix(mine)
    return state.view(np.int64)


def key_hash(key: int | str) -> int:
    """The bits of `row_hashes` of one column, for one value alone."""
    word = key if isinstance(key, int) else text_hash(key)
    return _mixed_alone(int(_MIX) + _mixed_alone(word + int(_MIX)))


def _mixed_alone(word: int) -> int:
    word &= _BITS
    word = (word ^ (word >> 33)) * 0xFF51AFD7ED558CCD & _BITS
    word = (word ^ (word >> 33)) * 0xC4CEB9FE1A85EC53 & _BITS
    return word ^ (word >> 33)


def _words(column: pa.Array) -> tuple[Words, Mask | None]:
    """The words of a column, and where there is none; None where there is one everywhere."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = category_codes(column, ())
    elif pa.types.is_decimal(column.type):
        column = scaled(column)
    values, valid = integers(column)
    return values.view(np.uint64), None if column.null_count == 0 else ~valid


def _mix(words: Words) -> None:
    """Mix words where they are."""
    spare = words >> _HALF
    words ^= spare
    for factor in _FACTORS:
        words *= factor
        np.right_shift(words, _HALF, out=spare)
        words ^= spare
