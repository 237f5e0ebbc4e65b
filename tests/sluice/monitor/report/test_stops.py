from __future__ import annotations

import json
from dataclasses import replace

import pytest

from feature_repo.fraud import pipeline
from sluice.declare.durations import HOUR
from sluice.lake.tables import Lake
from sluice.monitor.report.stops import Refusal, Stop, refusals, stops
from tests.sluice.monitor.report.lakes import FILE, LIVE, bronze, deliver, judged, payment, publish

pytestmark = pytest.mark.unit


def test_a_batch_that_passed_is_not_told_of(lake: Lake) -> None:
    judged(lake, "transactions", "b1", LIVE, "pass", "10 rows")
    judged(lake, "transactions", "b1", LIVE, "warn", "few rows")
    assert stops(lake) == []


def test_a_stopped_batch_is_held_until_it_is_published(lake: Lake) -> None:
    judged(lake, "transactions", "b1", LIVE, "stop", "all refused")
    assert stops(lake) == [Stop("b1", "transactions", LIVE, 10, ("all refused",), None, {})]
    publish(lake, "transactions", "b1", LIVE + HOUR, rows=10, accepted=10, renamed=json.dumps({"amount": "total"}))
    assert stops(lake) == [Stop("b1", "transactions", LIVE, 10, ("all refused",), LIVE + HOUR, {"amount": "total"})]


def test_a_batch_that_is_stopped_again_has_its_last_reasons(lake: Lake) -> None:
    judged(lake, "transactions", "b1", LIVE, "stop", "too old")
    judged(lake, "transactions", "b1", LIVE + HOUR, "stop", "all refused")
    judged(lake, "transactions", "b1", LIVE + HOUR, "stop", "too few")
    (found,) = stops(lake)
    assert (found.at, sorted(found.reasons)) == (LIVE + HOUR, ["all refused", "too few"])


def test_a_batch_of_the_same_name_in_another_stream_repairs_nothing(lake: Lake) -> None:
    judged(lake, "transactions", "b1", LIVE, "stop", "all refused")
    publish(lake, "chargebacks", "b1", LIVE + HOUR, rows=1, accepted=1)
    assert stops(lake)[0].published is None


def test_refused_rows_are_told_by_rule_and_column_with_an_example(lake: Lake) -> None:
    rows = [
        payment(1, LIVE, amount="-4.00"),
        payment(2, LIVE, channel="fax"),
        payment(3, LIVE, channel="phone"),
        payment(4, LIVE),
    ]
    deliver(lake, pipeline, "transactions", bronze(rows, source=FILE, batch="b1"), batch="b1", at=LIVE)
    found = [replace(refusal, example=refusal.example.strip("'\"")) for refusal in refusals(lake, pipeline.streams)]
    assert found == [
        Refusal("transactions", "category", "channel", 2, "fax", "pos, online, atm"),
        Refusal("transactions", "range", "amount", 1, "-4.00", "0 to 100000"),
    ]


def test_nothing_refused_is_nothing_told(lake: Lake) -> None:
    assert refusals(lake, pipeline.streams) == []
