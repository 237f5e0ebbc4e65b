"""What a watch has decided is told once: by itself, or by the next one when it dies before it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.events.clients import AssertingEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.place import Place
from flows.watch import announce
from sluice.decisions import Action, Decision
from sluice.declare.durations import HOUR
from sluice.lake.tables import Lake
from sluice.monitor.tables import DECISIONS, decision_row
from sluice.settings import settings
from tests.sluice.lake.open_shop import pipeline

pytestmark = pytest.mark.integration

AT = 1_767_264_000_000_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    """A place without decisions, and a Prefect that only remembers what it is told."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        EventsWorker.set_client_override(AssertingEventsClient)
        AssertingEventsClient.reset()
        yield Place("open_shop.py", pipeline, Lake(str(tmp_path), pipeline.name), settings())
        EventsWorker.set_client_override(None)


def decided(here: Place, at: int, **actions: Action) -> None:
    """The decisions of a watch, by segment."""
    rows = [decision_row(Decision(action, "because", segment, at, {})) for segment, action in actions.items()]
    here.lake.append_rows("decisions", rows, DECISIONS, once=f"watch:{at}")


def told(here: Place, at: int) -> list[dict[str, object]]:
    """What a watch emits at its beginning and at its end."""
    AssertingEventsClient.reset()
    for _ in range(2):
        announce(here, at)
    EventsWorker.instance().drain()
    events = [event for client in AssertingEventsClient.all for event in client.events]
    assert {event.event for event in events} <= {"sluice.decision.retrain"}
    return [{name: event.payload[name] for name in ("segments", "at", "decided")} for event in events]


def test_a_decision_whose_watch_died_before_it_was_told_is_told_by_the_next_one_once(here: Place) -> None:
    decided(here, AT, web=Action.RETRAIN, shop=Action.RETRAIN, app=Action.HOLD)
    assert told(here, AT + HOUR) == [{"segments": "shop,web", "at": AT + HOUR, "decided": AT}]
    assert told(here, AT + 2 * HOUR) == []


def test_a_watch_tells_what_it_has_decided_itself(here: Place) -> None:
    assert told(here, AT) == []
    decided(here, AT, web=Action.HOLD)
    assert told(here, AT) == []
    decided(here, AT + HOUR, web=Action.RETRAIN)
    assert told(here, AT + HOUR) == [{"segments": "web", "at": AT + HOUR, "decided": AT + HOUR}]


def test_of_a_segment_that_was_decided_upon_twice_the_newer_decision_is_told(here: Place) -> None:
    decided(here, AT, web=Action.RETRAIN, shop=Action.RETRAIN)
    decided(here, AT + HOUR, web=Action.RETRAIN)
    assert told(here, AT + HOUR) == [
        {"segments": "shop", "at": AT + HOUR, "decided": AT},
        {"segments": "web", "at": AT + HOUR, "decided": AT + HOUR},
    ]
