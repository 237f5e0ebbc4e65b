from __future__ import annotations

import numpy as np
import pytest

from sluice.monitor.drift.columns import MISSING, Column
from sluice.monitor.drift.parts import OTHER, parts_of

pytestmark = pytest.mark.unit

DAYS = np.arange(10)


def numbers(*values: float) -> Column:
    return Column("amount", np.array(values), np.arange(len(values)))


def test_plain_numbers_are_compared_as_values_and_by_what_is_missing() -> None:
    column = numbers(1, 2, np.nan, 4, 5)
    missing, values = parts_of(column)
    assert (missing.name, missing.test, missing.of(column).tolist()) == ("null", "fet", [0, 0, 1, 0, 0])
    assert (values.name, values.test, values.of(column).tolist()) == ("values", "ks", [1, 2, 4, 5])


def test_a_column_with_a_fifth_of_zeros_is_split_into_a_zero_flag_and_the_rest() -> None:
    column = numbers(0, 2, np.nan, 4, 5, 6)
    missing, zero, values = parts_of(column)
    assert missing.of(column).tolist() == [0, 0, 1, 0, 0, 0]
    assert (zero.name, zero.test, zero.of(column).tolist()) == ("zero", "fet", [1, 0, 0, 0, 0])
    assert values.of(column).tolist() == [2, 4, 5, 6]
    assert len(parts_of(numbers(0, 2, 3, 4, 5, 6))) == 2


def test_rare_and_new_categories_count_as_one() -> None:
    reference = Column("country", np.array([1] * 60 + [2] * 59 + [3] + [MISSING] * 5), np.zeros(125, np.int64))
    missing, categories = parts_of(reference)
    batch = Column("country", np.array([1, 2, 3, 77, MISSING]), np.zeros(5, np.int64))
    assert missing.of(batch).tolist() == [0, 0, 0, 0, 1]
    assert (categories.name, categories.test) == ("categories", "chi2")
    assert categories.of(batch).tolist() == [1, 2, OTHER, OTHER]


def test_replayed_numbers_fall_into_quantiles_that_keep_their_order_and_ties() -> None:
    values = np.concatenate([np.random.default_rng(1).normal(size=5_000), np.full(500, 0.25)])
    column = Column("amount", values, np.zeros(len(values), np.int64))
    codes, size = parts_of(column)[1].binned(column)
    assert size <= 513
    assert codes.min() == 0
    assert np.all(np.diff(codes[np.argsort(values, kind="stable")]) >= 0)
    assert len(set(codes[values == 0.25])) == 1
    assert np.bincount(codes).max() <= 500 + 2 * 11


def test_rows_outside_a_part_have_no_code() -> None:
    column = numbers(1, np.nan, 2)
    assert parts_of(column)[1].binned(column)[0].tolist() == [0, -1, 1]
