from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import DataError
from sluice.scoring import Input, pack, to_tensor

pytestmark = pytest.mark.unit

AMOUNT = Input("amount", "number")
CHANNEL = Input("channel", "category", 3)
COUNTRY = Input("country", "category", 16, open=True)


def test_numbers_are_cast_to_float32_and_nulls_become_nan() -> None:
    tensor = to_tensor({"amount": [0.1, None]}, [AMOUNT])
    assert tensor.dtype == np.float32
    assert tensor[0, 0] == np.float32(0.1)
    assert np.isnan(tensor[1, 0])


def test_the_order_is_that_of_the_inputs() -> None:
    columns = {"country": [5], "amount": [2.5], "channel": [1]}
    assert to_tensor(columns, [CHANNEL, AMOUNT, COUNTRY]).tolist() == [[1.0, 2.5, 5.0]]


def test_a_hash_is_folded_as_an_integer_before_it_is_cast() -> None:
    # 2**53 + 1 is no float64: cast first, it would fold to 0
    assert to_tensor({"country": [2**53 + 1, -1, None]}, [COUNTRY])[:2].tolist() == [[1.0], [15.0]]


def test_a_code_outside_a_closed_category_is_refused_by_name_and_row() -> None:
    with pytest.raises(DataError, match="channel, row 1: code 3"):
        to_tensor({"channel": [2, 3]}, [CHANNEL])


def test_the_zero_under_a_null_code_is_not_looked_at() -> None:
    column = (np.array([99, 1]), np.array([False, True]))
    tensor = to_tensor({"channel": column}, [CHANNEL])
    assert np.isnan(tensor[0, 0])
    assert tensor[1, 0] == 1


def test_a_vector_of_another_width_is_refused() -> None:
    vectors = pack({"amount": [1.0], "channel": [1]}, [AMOUNT, CHANNEL])
    with pytest.raises(DataError, match="2 values for a model of 1"):
        to_tensor(vectors, [AMOUNT])


@given(st.floats(allow_nan=False))
def test_every_number_is_what_c_rounds_it_to(value: float) -> None:
    try:
        expected = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        expected = math.copysign(math.inf, value)
    assert to_tensor({"amount": [value]}, [AMOUNT])[0, 0] == np.float32(expected)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**20))
def test_every_hash_is_folded_as_python_folds_integers(value: int, size: int) -> None:
    assert to_tensor({"country": [value]}, [Input("country", "category", size, open=True)])[0, 0] == value % size
