"""Values at the declared bounds: as many as fit are added up exactly, and one more is refused by name."""

from __future__ import annotations

import pytest

from sluice import Integer, Key, Label, Pipeline, Stream, Windows, count, decayed_sum, mean, std, sum_
from sluice.declare.functions import Windowed
from sluice.declare.usage import ENOUGH, most_values
from sluice.engine.read import answer
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import vectors
from sluice.errors import DataError, DeclarationError
from tests.sluice.engine.folding import fold_all
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.worlds import START, asked_table, tables

pytestmark = pytest.mark.unit

HOUR = [count("1h")]
"""Gives a view its longest window."""


def pipeline(features: tuple[Windowed, ...], largest: int, leaf: int = 512) -> Pipeline:
    """One view over events whose size may be as large, and as far below zero."""
    columns = {"key": Key(), "size": Integer(min=-largest, max=largest)}
    events = Stream("events", id="event_id", time="at", columns=columns)
    view = Windows("sizes", of="key", over=events, leaf=leaf, features=[*HOUR, features])
    return Pipeline("sizes", views=[view], label=Label("seen", of=events, column="seen", known_after="1h"))


def values(features: tuple[Windowed, ...], largest: int, sizes: list[int]) -> list[float | None]:
    """The feature computed at once, and read of a cold (or not so cold) and of a hot entity."""
    events = [
        Version("events", number, START + number, {"key": 1, "size": size}, number) for number, size in enumerate(sizes)
    ]
    asked = Asked(START + len(sizes), None, {"key": 1, "size": 0})
    found = []
    for leaf in (2_000, 300):
        one = pipeline(features, largest, leaf)
        if not found:
            row = vectors(one, tables(one, events), asked_table(one, [asked])).to_pylist()[0]
            found.append(row[f"sizes__{features[0].name}"])
        store = MemoryStore()
        fold_all(one, store, [events])
        column, valid = answer(one, store, asked_table(one, [asked])).values[f"sizes__{features[0].name}"]
        found.append(float(column[0]) if valid[0] else None)
    return found


LARGEST = 2**53 - 1
DECAYED = 2**36 - 1
"""Times a weight below 2^17 and times 1,024 it is the largest value whose sum fits."""
SQUARED = 2**42
"""Its square, without the 32 bits that are added up apart, is 2^52."""


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("features", "largest", "most", "expected"),
    [
        (sum_("size", "1h"), LARGEST, 1_024, 9.223372036854775e18),  # 2^63 - 2^10
        (mean("size", "1h"), LARGEST, 1_024, float(LARGEST)),
        (decayed_sum("size", half_life="1h"), DECAYED, 1_024, 1_024.0 * DECAYED),  # all of them weigh 2^16
    ],
    ids=["sum", "mean", "decayed_sum"],
)
def test_as_many_values_at_the_bound_as_fit_are_exact(
    features: tuple[Windowed, ...], largest: int, most: int, expected: float, sign: int
) -> None:
    assert values(features, largest, [sign * largest] * most) == [sign * expected] * 3


def test_a_deviation_of_values_at_both_bounds_is_exact() -> None:
    assert values(std("size", "1h"), SQUARED, [SQUARED, -SQUARED] * 1_023) == [float(SQUARED)] * 3
    # one of 2,047 values lies apart: 2^43 * √2046 / 2047
    apart = values(std("size", "1h"), SQUARED, [*[SQUARED] * 2_046, -SQUARED])
    assert apart == [194368008805.3468] * 3


@pytest.mark.parametrize(
    ("features", "largest", "most"),
    [
        (sum_("size", "1h"), LARGEST, 1_024),
        (mean("size", "1h"), LARGEST, 1_024),
        (std("size", "1h"), SQUARED, 2_047),
        (decayed_sum("size", half_life="1h"), DECAYED, 1_024),
    ],
    ids=["sum", "mean", "std", "decayed_sum"],
)
def test_one_value_more_is_refused_by_name_on_every_path(
    features: tuple[Windowed, ...], largest: int, most: int
) -> None:
    events = [Version("events", n, START + n, {"key": 1, "size": largest}, n) for n in range(most + 1)]
    asked = Asked(START + most + 1, None, {"key": 1, "size": 0})
    name = f"sizes.{features[0].name}"
    one = pipeline(features, largest, leaf=500)
    store = MemoryStore()
    fold_all(one, store, [events])
    for compute in (
        lambda: vectors(one, tables(one, events), asked_table(one, [asked])),
        lambda: answer(one, store, asked_table(one, [asked])),
    ):
        with pytest.raises(DataError) as refused:
            compute()
        assert str(refused.value).startswith(f"{name}: ")
        assert "at the declared bounds do not fit an exact sum" in str(refused.value)
        assert "declare narrower bounds for the column, or a shorter window" in str(refused.value)


@pytest.mark.parametrize(
    ("features", "largest"),
    [
        (std("size", "1h"), 6_219_777_023_950),  # √(2^85) without its fraction
        (decayed_sum("size", half_life="1h"), 2**36 - 1),
    ],
    ids=["std", "decayed_sum"],
)
def test_the_bounds_must_leave_room_for_1024_values(features: tuple[Windowed, ...], largest: int) -> None:
    assert most_values(pipeline(features, largest).windows[0], features[0]) == ENOUGH == 1_024
    with pytest.raises(DeclarationError, match="does not fit exact arithmetic at its bounds"):
        pipeline(features, largest + 1)
