from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import DAY, HOUR, MINUTE, SECOND, duration, duration_text
from tests.sluice.declare.examples import refusal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("30d", 30 * DAY),
        ("12h", 12 * HOUR),
        ("5min", 5 * MINUTE),
        ("5m", 5 * MINUTE),
        (" 90 s ", 90 * SECOND),
        ("250ms", 250_000),
        ("7us", 7),
        ("0s", 0),
        (86_400_000_000, DAY),
    ],
)
def test_a_duration_is_whole_microseconds(text: str | int, microseconds: int) -> None:
    assert duration(text) == microseconds


@pytest.mark.parametrize("wrong", ["3 weeks", "1.5d", "-1d", "d", "", -1, True, 1.0, None])
def test_anything_else_is_refused_with_an_example(wrong: object) -> None:
    assert refusal(lambda: duration(wrong, where="Stream('tx').freshness")) == (  # type: ignore[arg-type]
        f"Stream('tx').freshness: {wrong!r} is not a duration\n"
        "  allowed: a whole number and a unit: us, ms, s, min, h, d\n"
        "  next: write it like '30d' or '5min'"
    )


@pytest.mark.parametrize("long", ["13343999d", "999999999999999d", 2**60])
def test_a_duration_is_shorter_than_what_adds_up_within_64_bits(long: str | int) -> None:
    assert refusal(lambda: duration(long, where="Stream('tx').accept_late")) == (
        f"Stream('tx').accept_late: {long!r} is too long a duration\n"
        "  allowed: up to 13,343,998 days\n"
        '  next: nothing but a window reaches further back, as "lifetime"'
    )
    assert duration("13343998d") < duration(2**60 - 1) == 2**60 - 1


@given(st.integers(0, 10**18))
def test_the_text_of_a_duration_reads_back(microseconds: int) -> None:
    assert duration(duration_text(microseconds)) == microseconds


def test_the_text_is_the_shortest() -> None:
    assert [duration_text(span) for span in (0, 1, 1_500, SECOND, 90 * MINUTE, 24 * HOUR)] == [
        "0s",
        "1us",
        "1500us",
        "1s",
        "90min",
        "1d",
    ]
