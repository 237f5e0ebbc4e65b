"""Typed columns: what a value becomes depends on that value alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal as Exact
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.clock import from_datetime, to_datetime
from sluice.declare.columns import Category, Decimal, Flag, Integer, Key
from sluice.declare.streams import Stream
from sluice.lake.typing import Typed, exact, flags, in_words, integer, texts, times, type_column, whole
from tests.properties import examples

pytestmark = pytest.mark.unit

CENTS = Decimal(scale=2, min=0, max=1000)
STREAM = Stream(
    "s",
    id="id",
    time="at",
    columns={"key": Key(), "amount": CENTS, "kind": Category("a", "b"), "size": Integer(), "flag": Flag()},
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def seen(typed: Typed) -> list[tuple[Any, bool, bool]]:
    return list(zip(typed.values.to_pylist(), typed.wrong.tolist(), typed.inexact.tolist(), strict=True))


def moment(text: str) -> int:
    return from_datetime(dt.datetime.fromisoformat(text))


def micros(values: list[Any]) -> list[int | None]:
    typed = times(values).values
    return [None if value is None else from_datetime(value) for value in typed.to_pylist()]


@settings(max_examples=examples(60))
@given(st.data())
@pytest.mark.parametrize("name", ["id", "at", "key", "amount", "kind", "size", "flag"])
def test_a_value_is_typed_the_same_beside_any_other_values(name: str, data: st.DataObject) -> None:
    looks_right = {"at": st.sampled_from(["2026-01-01T10:00:00Z", "2026-01-01 10:00:00.5", "2026-02-30T00:00:00Z"])}
    values = data.draw(st.lists(looks_right.get(name, st.nothing()) | JSON_VALUES, max_size=8))
    alone = [seen(type_column(STREAM, name, [value]))[0] for value in values]
    assert seen(type_column(STREAM, name, values)) == alone


def test_a_time_without_a_zone_is_utc() -> None:
    assert micros(["2026-01-01T10:00:00", "2026-01-01 10:00:00", "2026-01-01T10:00:00Z"]) == [1_767_261_600_000_000] * 3


def test_a_time_with_a_zone_is_the_same_instant_in_utc() -> None:
    assert micros(["2026-01-01T10:00:00+05:30", "2026-01-01T10:00:00-0100"]) == [
        moment("2026-01-01T04:30:00+00:00"),
        moment("2026-01-01T11:00:00+00:00"),
    ]


def test_a_date_is_its_first_moment() -> None:
    assert micros(["2026-01-01"]) == [1_767_225_600_000_000]


def test_digits_beyond_the_microsecond_are_cut_off() -> None:
    assert micros(["2026-01-01T00:00:00.1234569Z", "1969-12-31T23:59:59.9999999Z"]) == [1_767_225_600_123_456, -1]


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:60Z",
        "20260101",
        "2026-W01-1",
        "1 January 2026",
        "",
        1_767_225_600,
        True,
        ["2026-01-01"],
    ],
)
def test_what_is_no_time_is_marked_and_becomes_null(value: Any) -> None:
    assert seen(times([value])) == [(None, True, False)]


@given(st.lists(st.integers(moment("1000-01-01T00:00:00+00:00"), moment("2999-12-31T00:00:00+00:00")), min_size=1))
def test_times_of_one_shape_are_read_to_the_microsecond(instants: list[int]) -> None:
    for suffix in ("", "Z", "+00:00"):
        written = [f"{to_datetime(instant).replace(tzinfo=None).isoformat(sep=' ')}{suffix}" for instant in instants]
        assert micros(written) == instants


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (3.0, 3),
        ("3", 3),
        (" -17 ", -17),
        (-(2**63), -(2**63)),
        (2**63 - 1, 2**63 - 1),
        ("9223372036854775807", 2**63 - 1),
        (2**63, None),
        (2**64 - 1, None),
        (float(2**53), None),
        (3.5, None),
        ("3.0", None),
        ("+-3", None),
        ("1_000", None),
        ("٣", None),
        ("9" * 5000, None),
        (True, None),
        ([], None),
    ],
)
def test_a_whole_number(value: Any, number: int | None) -> None:
    assert integer(value) == number
    assert seen(whole([value])) == [(number, number is None, False)]


def test_whole_numbers_of_a_table_are_those_that_63_bits_and_a_sign_hold() -> None:
    unsigned = pa.array([1, None, 2**63 - 1, 2**63], pa.uint64())
    for typed in (whole(unsigned), flags(unsigned)):
        assert seen(typed)[:2] == [(1, False, False), (None, False, False)]
        assert seen(typed)[2:] == [(2**63 - 1, False, False), (None, True, False)]
        assert typed.values.type == pa.int64()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("id", "a whole number below 2^63"),
        ("at", "a time such as 2024-01-01T13:00:00Z"),
        ("amount", "a number with 2 decimals"),
        ("rate", "a number with 1 decimal"),
        ("kind", "a text"),
        ("size", "a whole number from 0 to 1000000000"),
        ("flag", "0 or 1"),
    ],
)
def test_what_is_allowed_is_said_in_the_words_of_the_declaration(name: str, words: str) -> None:
    stream = replace(STREAM, columns={**STREAM.columns, "rate": Decimal(scale=1)})
    assert in_words(stream, name) == words


def test_a_flag_is_0_or_1_however_it_is_written() -> None:
    assert flags([True, 1, 1.0, "1", "true", "False", 0, None]).values.to_pylist() == [1, 1, 1, 1, 1, 0, 0, None]
    assert seen(flags(["yes"])) == [(None, True, False)]


def test_a_number_is_no_text() -> None:
    assert seen(texts(["007", 7, None])) == [("007", False, False), (None, True, False), (None, False, False)]


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (12.34, "12.34"),
        (12, "12.00"),
        ("12.34", "12.34"),
        (" 1e2 ", "100.00"),
        (0.1 + 0.2, "0.30"),
        (44.77 * 5, "223.85"),
        (0.005 + 1e-7, None),
        (-0.0, "0.00"),
        (12.340001, None),
    ],
)
def test_a_decimal_within_a_millionth_of_its_scale_is_exact_and_any_other_is_not(
    value: Any, amount: str | None
) -> None:
    typed = exact([value], CENTS)
    assert typed.inexact.tolist() == [amount is None]
    assert typed.wrong.tolist() == [False]
    if amount is not None:
        assert typed.values.to_pylist() == [Exact(amount)]


@given(st.integers(-(2**51), 2**51), st.integers(0, 6), st.floats(-2.3e-13, 2.3e-13))
def test_an_amount_that_is_off_by_a_few_last_bits_is_that_amount(steps: int, scale: int, off: float) -> None:
    value = steps / 10**scale
    column = Decimal(scale=scale, min=-1, max=1)
    assert exact([value, value + off], column).values.to_pylist() == [Exact(steps).scaleb(-scale)] * 2


@pytest.mark.parametrize("value", ["abc", "1_000", "nan", "inf", "1e999", True, [1], {}, 1e300, 2**53])
def test_what_is_no_exact_number_is_no_decimal(value: Any) -> None:
    assert seen(exact([value], CENTS)) == [(None, True, False)]


def test_true_among_amounts_is_no_amount() -> None:
    assert exact([1.5, True], CENTS).wrong.tolist() == [False, True]


def test_no_rows_are_no_values() -> None:
    assert [len(type_column(STREAM, name, []).values) for name in STREAM.all_columns] == [0] * 7
    assert exact([], CENTS).values.type == exact([1.0], CENTS).values.type


def test_half_steps_go_to_the_even_neighbour_when_they_are_within_tolerance() -> None:
    fine = Decimal(scale=6, min=0, max=1)
    # the tolerance is two steps wide at six digits, so here rounding itself shows
    assert exact([0.0000005, 0.0000015, 0.0000025], fine).values.to_pylist() == [
        Exact("0.000000"),
        Exact("0.000002"),
        Exact("0.000002"),
    ]
