from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import DataError, DeclarationError
from sluice.scoring import Input, Vectors, pack

pytestmark = pytest.mark.unit

AMOUNT = Input("amount", "number")
CHANNEL = Input("channel", "category", 3)
COUNTRY = Input("country", "category", 16, open=True)
INPUTS = (AMOUNT, CHANNEL, COUNTRY)
HASH = -(2**62) - 12_345_678_901


def test_arrow_pandas_rows_and_engine_pairs_pack_to_the_same_words() -> None:
    amounts, channels, countries = [1.5, None], [None, 2], [HASH, None]
    arrow = pa.table({"amount": pa.array(amounts), "channel": pa.array(channels), "country": pa.array(countries)})
    frame = pd.DataFrame({"amount": amounts, "channel": [None, 2.0], "country": pd.array(countries, dtype="Int64")})
    mixed = frame.astype({"channel": object, "country": object})  # as MLflow hands over columns of any type
    plain = {"amount": amounts, "channel": channels, "country": countries}
    pairs = {
        "amount": (np.array([1.5, 7.0]), np.array([True, False])),
        "channel": (np.array([7, 2]), np.array([False, True])),
        "country": (np.array([HASH, 7]), np.array([True, False])),
    }
    nulls = [[False, True, False], [True, False, True]]
    for columns in (arrow, frame, mixed, plain, pairs):
        vectors = pack(columns, INPUTS)
        assert vectors.nulls.tolist() == nulls
        assert vectors.words[0, 0] == np.float64(1.5).view(np.int64)
        assert vectors.words[1, 1] == 2
        assert vectors.words[0, 2] == HASH


def test_a_code_that_lost_digits_as_floating_point_is_refused() -> None:
    columns = {"amount": [1.0], "channel": [0], "country": np.array([float(2**60)])}
    with pytest.raises(DataError, match="country: codes came as floating point"):
        pack(columns, INPUTS)


def test_a_fractional_code_is_refused() -> None:
    with pytest.raises(DataError, match="channel"):
        pack({"amount": [1.0], "channel": [0.5], "country": [1]}, INPUTS)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="channel: the column is missing"):
        pack({"amount": [1.0], "country": [1]}, INPUTS)


def test_text_is_no_number() -> None:
    with pytest.raises(DataError, match="amount"):
        pack({"amount": np.array(["ten"]), "channel": [1], "country": [1]}, INPUTS)


@pytest.mark.parametrize(
    ("name", "kind", "size", "is_open"),
    [
        ("a", "category", None, False),
        ("a", "category", 0, False),
        ("a", "number", 3, False),
        ("a", "text", None, False),
    ],
)
def test_an_impossible_input_is_refused_where_it_is_declared(name: str, kind: str, size: int, is_open: bool) -> None:
    with pytest.raises(DeclarationError):
        Input(name, kind, size, open=is_open)  # type: ignore[arg-type]


ROWS = st.lists(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=11, max_size=11), min_size=1, max_size=5
)


@given(ROWS)
def test_bytes_of_the_engines_layout_read_back_as_the_same_words(rows: list[list[int | None]]) -> None:
    words = np.array([[value or 0 for value in row] for row in rows], dtype="<i8")
    valid = np.array([[value is not None for value in row] for row in rows])
    bitmap = np.packbits(valid, axis=1, bitorder="little")
    packed = [word.tobytes() + bits.tobytes() for word, bits in zip(words, bitmap, strict=True)]
    vectors = Vectors.from_bytes(packed, 11)
    assert (vectors.words == words).all()
    assert (vectors.nulls == ~valid).all()
    assert (vectors.take([10, 0]).words == words[:, [10, 0]]).all()
