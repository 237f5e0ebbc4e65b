from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.split import DAY, Interval, Part, Split
from sluice.errors import DeclarationError

pytestmark = pytest.mark.unit

NOBODY = np.zeros(0, dtype=np.int64)


def days(start: int, end: int) -> Interval:
    return Interval(start * DAY, end * DAY)


def test_the_label_delay_lies_between_the_parts() -> None:
    split = Split.ending(100 * DAY, history=100 * DAY, validation=10 * DAY, test=20 * DAY, delay=5 * DAY)
    assert split == Split(days(0, 60), days(80, 100), 5 * DAY, days(65, 75))


def test_a_part_that_begins_before_the_labels_of_the_one_before_are_known_is_refused() -> None:
    with pytest.raises(DeclarationError, match="before the labels"):
        Split(days(0, 10), days(16, 20), 7 * DAY)


def test_a_history_that_the_gaps_use_up_is_refused() -> None:
    with pytest.raises(DeclarationError, match="nothing is left to train on"):
        Split.ending(50 * DAY, history=50 * DAY, validation=5 * DAY, test=5 * DAY, delay=20 * DAY)


def test_every_row_has_one_part_and_the_edges_are_closed_at_the_start() -> None:
    split = Split(days(1, 3), days(8, 9), 2 * DAY, days(5, 6))
    times = np.array([0, 1, 3, 5, 6, 8, 9]) * DAY
    parts = split.parts(times, np.arange(7), np.zeros(7, dtype=np.int8))
    assert parts.tolist() == [Part.OUTSIDE, Part.TRAIN, Part.REST, Part.VALIDATION, Part.REST, Part.TEST, Part.OUTSIDE]


def test_a_card_is_set_aside_from_the_day_on_which_its_fraud_has_become_known() -> None:
    split = Split(days(0, 7), days(14, 21), 7 * DAY)
    # card 1: fraud on day 8.5 is known when day 16 begins, so day 15 is evaluated and day 16 is not
    times = np.array([8.5, 15.9, 16.0]) * DAY
    parts = split.parts(times.astype(np.int64), np.array([1, 1, 1]), np.array([1, 0, 0], dtype=np.int8))
    assert parts.tolist() == [Part.REST, Part.TEST, Part.REST]


def test_a_fraud_before_the_training_part_sets_nothing_aside() -> None:
    split = Split(days(10, 17), days(24, 31), 7 * DAY)
    times = np.array([9, 25]) * DAY
    parts = split.parts(times, np.array([1, 1]), np.array([1, 0], dtype=np.int8))
    assert parts.tolist() == [Part.OUTSIDE, Part.TEST]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 30), st.integers(1, 40))
def test_no_training_label_is_younger_than_the_delay_when_a_later_part_begins(
    validation: int, test: int, delay: int, train: int
) -> None:
    history = train + validation + test + 2 * delay
    split = Split.ending(
        1_000 * DAY, history=history * DAY, validation=validation * DAY, test=test * DAY, delay=delay * DAY
    )
    assert split.validation is not None
    assert split.train.end + split.delay <= split.validation.start
    assert split.validation.end + split.delay <= split.test.start
    assert split.test.end == 1_000 * DAY
    assert split.train.end - split.train.start == train * DAY
