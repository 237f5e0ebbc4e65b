"""A retention that would make values wrong is refused where it is declared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice import Keeping, Label, PerformanceRule, Pipeline, Training, Windows, count
from sluice.declare.durations import DAY
from sluice.declare.retraining import HybridRetraining
from sluice.errors import DeclarationError
from tests.sluice.declare.examples import CHARGEBACKS, TRANSACTIONS

pytestmark = pytest.mark.unit


def declared(retention: str | None, *, windows: tuple[str, ...] = ("7d",), **changes: Any) -> Pipeline:
    stream = replace(TRANSACTIONS, retention=retention)
    chargebacks = replace(CHARGEBACKS, columns={**CHARGEBACKS.columns, "transaction_id": _key(stream)})
    label = Label("is_fraud", of=stream, told_by=chargebacks, absent=0, after="21d")
    spend = Windows("spend", of="customer_id", over=stream, features=[count(*windows)])
    return Pipeline("fraud", views=[spend], label=label, **{"training": Training(history="100d"), **changes})


def _key(stream: Any) -> Any:
    return type(CHARGEBACKS.columns["transaction_id"])(stream)


def test_nothing_is_dropped_that_nobody_has_said_how_long_to_keep() -> None:
    found = declared(None)
    assert [stream.retention for stream in found.streams] == [None, None]
    assert (found.keeping.predictions, found.keeping.watching, found.keeping.models) == (None, None, None)


def test_events_are_kept_for_what_windows_reach_back_and_training_looks_at() -> None:
    """7 days of window, 100 of training, 21 until labels have come."""
    assert declared("128d").events.retention == 128 * DAY
    with pytest.raises(DeclarationError, match=r"127d is too short\n  allowed: 128d or more"):
        declared("127d")


def test_events_are_kept_for_twice_the_longest_horizon() -> None:
    """A window of 70 days and a day in which an event may come late, twice."""
    training = Training(history="30d", validation="5d", test="5d")
    assert declared("142d", windows=("70d",), training=training).events.retention == 142 * DAY
    with pytest.raises(DeclarationError, match="allowed: 142d or more"):
        declared("141d", windows=("70d",), training=training)


def test_events_that_a_lifetime_window_counts_are_kept_for_ever() -> None:
    with pytest.raises(DeclarationError, match="a lifetime window of spend counts every event there ever was"):
        declared("4000d", windows=("7d", "lifetime"))
    assert declared(None, windows=("7d", "lifetime")).events.retention is None


def test_answers_are_kept_until_their_quality_is_measured() -> None:
    """21 days until labels have come, and a window of 28 over which quality is measured."""
    measured = HybridRetraining(performance=PerformanceRule(window="28d"))
    kept = declared(None, keeping=Keeping(predictions="49d"), retraining=measured)
    assert kept.keeping.predictions == 49 * DAY
    with pytest.raises(DeclarationError, match=r"keeping\.predictions: 48d is too short\n  allowed: 49d or more"):
        declared(None, keeping=Keeping(predictions="48d"), retraining=measured)


def test_how_long_things_are_kept_changes_no_value() -> None:
    assert declared("300d", keeping=Keeping(models="400d")).describe() == declared(None).describe()
