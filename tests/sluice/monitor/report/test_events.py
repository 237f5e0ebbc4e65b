from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from feature_repo.fraud import pipeline
from sluice.declare.durations import DAY, HOUR
from sluice.lake.tables import Lake
from sluice.monitor.report.events import PLACES, accounted, closes, event_figures
from tests.sluice.monitor.report.lakes import FILE, LIVE, bronze, deliver, judged, payment

pytestmark = pytest.mark.unit

STREAM = pipeline.events
TOPIC = "fraud.transactions"
VIEWS = {"customer_spend": 0, "terminal_traffic": 0, "terminal_risk": 0}
"""Those over the transactions; two look back 30 days and three, the third 21 more."""


def figures(lake: Lake, *, offset: int = 0) -> dict[str, Any]:
    return event_figures(lake, pipeline, STREAM, {TOPIC: offset, "fraud.predictions": 99})


def history(lake: Lake, count: int = 5) -> None:
    rows = [payment(number, LIVE + number) for number in range(count)]
    deliver(lake, pipeline, "transactions", bronze(rows, source=FILE, batch="b1"), batch="b1", at=LIVE + HOUR)


def streamed(lake: Lake, rows: list[Any], **shown: object) -> None:
    raw = bronze(rows, source=f"kafka:{TOPIC}", batch="")
    deliver(lake, pipeline, "transactions", raw, batch="archived", at=LIVE + DAY, **shown)


def test_nothing_produced_is_nothing_anywhere(lake: Lake) -> None:
    found = figures(lake)
    assert found == {
        "stream": "transactions",
        "produced": 0,
        **dict.fromkeys(PLACES, 0),
        "late": 0,
        "expired": 0,
        "expired_by_view": VIEWS,
        "quarantined": {},
    }
    assert closes(found)


def test_what_files_and_producers_sent_is_what_was_produced(lake: Lake) -> None:
    history(lake)
    streamed(lake, [payment(50, LIVE, _known=LIVE), b"{broken", payment(51, LIVE, _known=LIVE, channel="fax")])
    found = figures(lake, offset=3)
    assert (found["produced"], found["silver"], found["quarantined"]) == (8, 6, {"category": 1, "json": 1})
    assert closes(found)


def test_every_version_of_an_event_has_its_place(lake: Lake) -> None:
    history(lake)
    corrected = payment(2, LIVE + 2, _known=LIVE, _revision=1, amount="11.00")
    disputed = payment(3, LIVE + 3, _known=LIVE, amount="12.00")
    streamed(lake, [corrected, disputed], duplicates=1)
    found = figures(lake, offset=3)
    places = {
        "silver": 5,
        "duplicates": 1,
        "conflicts": 1,
        "superseded": 1,
        "held": 0,
        "waiting": 0,
        "retired": 0,
        "erased": 0,
    }
    assert {place: found[place] for place in PLACES} == places
    assert closes(found)


def test_an_event_that_was_sent_and_never_archived_leaves_the_sum_open(lake: Lake) -> None:
    history(lake)
    streamed(lake, [payment(50, LIVE, _known=LIVE)])
    found = figures(lake, offset=2)
    assert not closes(found)
    assert found["produced"] - accounted(found) == 1


def test_rows_of_a_stopped_batch_are_held(lake: Lake) -> None:
    history(lake)
    rows = [payment(80 + number, LIVE) for number in range(3)]
    lake.append("events/transactions", bronze(rows, source="file:bad", batch="b2"))
    judged(lake, "transactions", "b2", LIVE, "stop", "too old", rows=3)
    found = figures(lake)
    assert (found["produced"], found["silver"], found["held"]) == (8, 5, 3)
    assert closes(found)


def test_what_is_archived_or_landed_and_not_judged_yet_is_waiting(lake: Lake) -> None:
    history(lake)
    lake.append("events/transactions", bronze([payment(80, LIVE)], source="file:new", batch="b3"))
    archived = bronze([payment(81, LIVE), payment(82, LIVE)], source="kafka:fraud.transactions", batch="")
    lake.append("events/transactions", archived)
    found = figures(lake, offset=2)
    assert (found["produced"], found["silver"], found["waiting"]) == (8, 5, 3)
    assert closes(found)


def test_a_missing_silver_row_leaves_the_sum_open(lake: Lake) -> None:
    history(lake)
    table = lake.open("silver/transactions")
    assert table is not None
    table.delete("transaction_id = 3")
    assert not closes(figures(lake))


def test_a_doubled_silver_row_leaves_the_sum_open(lake: Lake) -> None:
    history(lake)
    again = lake.read("silver/transactions").slice(0, 1)
    lake.append("silver/transactions", again)
    assert not closes(figures(lake))


@pytest.mark.parametrize(
    ("behind", "count", "views"),
    [
        (33 * DAY, 0, (0, 0, 0)),
        (33 * DAY + 1, 0, (1, 1, 0)),
        (54 * DAY, 0, (1, 1, 0)),
        (54 * DAY + 1, 1, (1, 1, 1)),
    ],
)
def test_an_event_is_expired_for_a_view_past_its_horizon_behind_the_watermark_and_for_all_past_the_longest(
    lake: Lake, behind: int, count: int, views: tuple[int, ...]
) -> None:
    history(lake)
    accepted = lake.read("silver/transactions")
    watermarks = pa.array([LIVE + behind, *[None] * (len(accepted) - 1)], pa.int64())
    late = accepted.slice(0, 1).set_column(
        accepted.schema.get_field_index("_watermark"), "_watermark", watermarks.slice(0, 1)
    )
    lake.append("silver/transactions", late)
    found = figures(lake)
    assert (found["expired"], found["expired_by_view"]) == (count, dict(zip(VIEWS, views, strict=True)))


@pytest.mark.parametrize("place", PLACES)
def test_one_more_or_one_less_in_any_place_and_the_sum_is_open(place: str) -> None:
    event = {"produced": 43, **dict.fromkeys(PLACES, 5), "quarantined": {"json": 1, "range": 2}}
    assert closes(event)
    assert not closes({**event, place: 4})
    assert not closes({**event, place: 6})
    assert not closes({**event, "quarantined": {"json": 1}})
