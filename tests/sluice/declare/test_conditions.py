from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from sluice import col
from sluice.declare.columns import Decimal
from sluice.declare.conditions import check_condition, steps_of
from tests.sluice.declare.examples import TRANSACTIONS, refusal

pytestmark = pytest.mark.unit
CONSTANTS = "  allowed: a text or a finite number; is_null() for null"

NOT_A_NUMBER = math.nan


def check(condition: object) -> None:
    check_condition(condition, dict(TRANSACTIONS.columns), where="here")


def test_a_filter_reads_as_it_was_written() -> None:
    filtered = (col("amount") >= 10.5) & ~(col("channel") == "pos") | col("country").is_null()
    assert str(filtered) == "((~(amount < 10.5) & ~(channel == 'pos')) | country.is_null())"
    assert filtered.columns == ("amount", "channel", "country")
    assert filtered.describe() == [
        "|",
        ["&", ["~", ["<", "amount", 10.5]], ["~", ["==", "channel", "pos"]]],
        ["is_null", "country"],
    ]


def test_two_negations_are_none_and_equal_filters_are_equal() -> None:
    assert ~~(col("amount") == 1) == (col("amount") == 1)
    assert (col("flag") != 1) == ~(col("flag") == 1)
    assert len({col("flag") == 1, col("flag") == 1, col("flag") == 0}) == 2
    assert (col("flag") == True) == (col("flag") == 1)  # noqa: E712 a flag may be compared with either


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (lambda: col("amunt") == 1, "here: unknown column 'amunt'\n  allowed: amount, channel, country, customer_id"),
        (
            lambda: col("channel") < "pos",
            "here: (channel < 'pos') compares the order of category 'channel'\n  allowed: ==",
        ),
        (lambda: col("channel") == 1, "here, (channel == 1): 1 is no text\n  allowed: a category's text"),
        (
            lambda: col("amount") == 1.005,
            "here, (amount == 1.005): 1.005 is no decimal\n  allowed: a number with at most 2",
        ),
        (lambda: col("amount") == "1", "here, (amount == '1'): '1' is no decimal\n  allowed: a number with at most 2"),
        (lambda: col("amount") < -1, "here, (amount < -1): -1 lies outside the column's range\n  allowed: 0 to 100000"),
        (lambda: col("flag") == 2, "here, (flag == 2): 2 lies outside the column's range\n  allowed: 0 to 1"),
        (lambda: col("flag") == 0.5, "here, (flag == 0.5): 0.5 is no flag\n  allowed: 0 or 1"),
        (lambda: col("customer_id") == 0.5, "here, (customer_id == 0.5): 0.5 is no key\n  allowed: a whole number"),
        (lambda: col("name") == 0.5, "here, (name == 0.5): 0.5 is no id\n  allowed: a text or a whole number"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(condition: Callable[[], object], message: str) -> None:
    assert refusal(lambda: check(condition())).startswith(message)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: bool(col("amount") > 1), "where=~(amount <= 1): a filter is no truth value"),
        (lambda: (col("amount") > 1) & True, "where: True is no filter"),
        (lambda: col("amount") == None, f"col('amount'): None\n{CONSTANTS}"),  # noqa: E711
        (lambda: col("amount") > float("inf"), f"col('amount'): inf\n{CONSTANTS}"),
        (lambda: col("amount") < -float("inf"), f"col('amount'): -inf\n{CONSTANTS}"),
        (lambda: col("amount").isin([1, float("inf")]), f"col('amount'): inf\n{CONSTANTS}"),
        (lambda: col(None) == 1, "col(): name=None\n  allowed: the name of a column"),
        (lambda: col("channel").isin({"pos"}), "col('channel'): isin({'pos'})\n  allowed: a list of constants"),
        (lambda: col("channel").isin(5), "col('channel'): isin(5)\n  allowed: a list of constants"),
        (lambda: col("amount") <= NOT_A_NUMBER, f"col('amount'): nan\n{CONSTANTS}"),
        (lambda: col("channel").isin("pos"), "col('channel'): isin('pos')\n  allowed: a list of constants"),
        (lambda: col("channel").isin([]), "col('channel'): isin([])\n  allowed: a list of constants"),
    ],
)
def test_what_is_no_comparison_is_refused_where_it_is_written(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare).startswith(message)


@pytest.mark.parametrize(("constant", "steps"), [(0.1, 10), (10, 1_000), (19.99, 1_999), (-0.01, -1)])
def test_a_constant_means_what_is_written_and_not_the_float_nearest_to_it(constant: float, steps: int) -> None:
    assert steps_of(constant, Decimal(scale=2, min=-1)) == steps
