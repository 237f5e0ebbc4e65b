from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest

from sluice.errors import DataError
from sluice.monitor.days import date_of, day_numbers
from sluice.monitor.drift.columns import MISSING, column, columns_of

pytestmark = pytest.mark.unit


def test_floats_are_numbers_and_missing_ones_are_nan() -> None:
    found = column("amount", pa.chunked_array([[1.5, None], [0.0]]), [7, 7, 8])
    assert found.kind == "numeric"
    assert found.values.tolist()[0::2] == [1.5, 0.0]
    assert found.missing.tolist() == [False, True, False]
    assert (len(found), found.span) == (3, 2)


def test_integers_and_booleans_are_codes_and_missing_ones_have_their_own() -> None:
    assert column("channel", pa.array([2, None, 0]), [1, 1, 1]).values.tolist() == [2, MISSING, 0]
    assert column("night", pa.array([True, False]), [1, 1]).values.tolist() == [1, 0]
    assert column("night", np.array([True, False]), [1, 1]).kind == "categorical"


def test_decimals_are_numbers() -> None:
    assert column("amount", pa.array([decimal.Decimal("12.50")]), [1]).values.tolist() == [12.5]


def test_a_table_gives_its_columns_in_order() -> None:
    table = pa.table({"amount": [1.0, 2.0], "channel": [0, 1], "id": ["a", "b"]})
    assert [item.name for item in columns_of(table, [1, 1], ["channel", "amount"])] == ["channel", "amount"]
    with pytest.raises(DataError, match="no column hour"):
        columns_of(table, [1, 1], ["hour"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["a"]), "cannot be watched"),
        (pa.array(["a"]), "cannot be watched"),
        (np.array([1.0, 2.0]), "2 values for 1 days"),
        (np.array([np.inf]), "1 values are infinite"),
    ],
)
def test_what_cannot_be_compared_is_refused(values: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        column("amount", values, [1])


def test_days_are_whole_days_of_the_event_clock() -> None:
    moments = [0, 86_400_000_000 - 1, 86_400_000_000]
    assert day_numbers(moments).tolist() == [0, 0, 1]
    assert date_of(17_743).isoformat() == "2018-07-31"
