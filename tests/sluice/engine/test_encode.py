from __future__ import annotations

from decimal import Decimal as Exact

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import Category, Decimal, Flag, Integer, Key
from sluice.engine.encode import (
    category_codes,
    decimals,
    encode,
    encode_column,
    integers,
    row_hashes,
    scaled,
    text_hash,
)
from sluice.errors import DataError
from tests.sluice.engine.oracle import mixed
from tests.sluice.engine.pipelines import shop

pytestmark = pytest.mark.unit

WORD = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("text", "code"), [("", 3244421341483603138), ("France", -8654727953479043513), ("é", -606849052844159821)]
)
def test_the_hash_of_a_text_never_changes(text: str, code: int) -> None:
    assert text_hash(text) == code


def test_the_hash_of_a_row_never_changes() -> None:
    columns = [pa.array([1, 2, None], pa.int64()), pa.array(["a", None, "b"])]
    assert row_hashes(columns).tolist() == [5633805344655802561, -2998165768269183671, 7331001019135294322]


@settings(deadline=None)
@given(st.lists(st.tuples(WORD, WORD, WORD), min_size=1))
def test_the_hash_of_a_row_is_its_definition(rows: list[tuple[int, int, int]]) -> None:
    columns = [pa.array(column, pa.int64()) for column in zip(*rows, strict=True)]
    assert row_hashes(columns).tolist() == [mixed(row) for row in rows]


def test_a_closed_category_is_its_place_in_the_declaration_and_anything_else_is_null() -> None:
    assert category_codes(pa.array(["b", None, "c", "a"]), ("a", "b")).to_pylist() == [1, None, None, 0]


def test_an_open_category_is_the_hash_of_its_text() -> None:
    assert category_codes(pa.array(["b", None, "b"]), ()).to_pylist() == [text_hash("b"), None, text_hash("b")]


def test_a_decimal_is_its_unscaled_integer_also_in_a_slice_of_a_column() -> None:
    values = pa.array([Exact("12.34"), None, Exact("-0.01"), Exact("9999999999999999.99")], pa.decimal128(18, 2))
    assert scaled(values).to_pylist() == [1234, None, -1, 999999999999999999]
    assert scaled(values.slice(1, 2)).to_pylist() == [None, -1]
    assert scaled(values.slice(0, 0)).to_pylist() == []


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(-(10**18) + 1, 10**18 - 1))))
def test_scaled_is_the_inverse_of_decimals(steps: list[int | None]) -> None:
    missing = np.array([step is None for step in steps], bool)
    values = np.array([step or 0 for step in steps], np.int64)
    assert scaled(decimals(values, 3, missing)).to_pylist() == steps


def test_a_decimal_of_another_scale_is_brought_to_the_declared_one() -> None:
    assert encode_column(pa.array([Exact("1.5")], pa.decimal128(9, 1)), Decimal(scale=2)).to_pylist() == [150]


def test_a_float_is_no_decimal_until_the_contract_has_typed_it() -> None:
    with pytest.raises(DataError, match="a double where decimal128"):
        encode_column(pa.array([1.5]), Decimal(scale=2))


def test_every_kind_of_column_has_its_integers_and_keys_stay_what_they_are() -> None:
    assert encode_column(pa.array(["x", None]), Key("text")).to_pylist() == ["x", None]
    assert encode_column(pa.array([7]), Key()).to_pylist() == [7]
    assert encode_column(pa.array([True, None]), Flag()).to_pylist() == [1, None]
    assert encode_column(pa.array([3], pa.int16()), Integer()).to_pylist() == [3]
    assert encode_column(pa.chunked_array([["a"], ["b"]]), Category("a", "b")).to_pylist() == [0, 1]


def test_an_encoded_event_has_the_columns_of_sluice_then_the_declared_ones() -> None:
    orders = shop().events
    own = {"_id": [1], "_time": [0], "_revision": [0], "_op": [0], "_hash": [9], "_known": [0], "_watermark": [None]}
    columns = {
        "customer": [5],
        "till": ["t"],
        "amount": pa.array([Exact("1.25")], pa.decimal128(18, 2)),
        "items": [2],
        "gift": [True],
        "channel": ["desk"],
        "country": ["France"],
    }
    values = {"customer": 5, "till": "t", "amount": 125, "items": 2, "gift": 1, "channel": 1}
    assert encode(pa.table({**own, **columns}), orders).to_pylist() == [
        {name: value[0] for name, value in own.items()} | values | {"country": text_hash("France")}
    ]


def test_integers_are_zero_where_null_and_say_where_that_is() -> None:
    values, valid = integers(pa.chunked_array([pa.array([4, None], pa.int32())]))
    assert (values.tolist(), valid.tolist()) == ([4, 0], [True, False])
