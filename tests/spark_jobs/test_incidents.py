"""A stop of events that are history already is an incident, and what is derived from them waits for its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.declare.loading import load_pipeline
from sluice.errors import GateStopped
from sluice.lake.incidents import incidents, refuse_incidents
from tests.spark_jobs.deliveries import AT, FILE, HOUR, Shop, order, orders

pytestmark = pytest.mark.integration

LATER = AT + HOUR


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop of which a third of the archived orders was refused: a quarter may be."""
    shop = Shop(tmp_path)
    shop.archive("orders", [*orders(1, 4), order(5, channel="fax"), order(6, channel="fax")])
    assert shop.deliver("archived-1", from_bronze=True) is not None
    return shop


def test_what_is_derived_waits_for_an_incident_until_a_person_closes_it(shop: Shop) -> None:
    (found,) = incidents(shop.lake)
    assert (found.stream, found.batch, found.rule, found.at) == ("orders", "archived-1", "quarantined", AT)
    assert len(shop.silver("order_id")) == 4
    declared = load_pipeline(str(FILE))
    with pytest.raises(GateStopped, match="training waits for orders:quarantined of batch 'archived-1'") as stopped:
        refuse_incidents(shop.lake, declared, "training")
    assert f"sluice gates waive {FILE} orders:quarantined --batch archived-1 --by WHO" in str(stopped.value)
    # the next events are fine, but those are in history all the same
    shop.archive("orders", orders(7, 12))
    assert shop.deliver("archived-2", LATER, from_bronze=True) is None
    assert incidents(shop.lake) == [found]
    shop.waive("orders:quarantined", "archived-1", LATER)
    assert incidents(shop.lake) == []
    refuse_incidents(shop.lake, declared, "training")


@pytest.mark.parametrize(
    ("gate", "batch", "at"),
    [
        ("orders:freshness", "archived-1", LATER),
        ("orders:quarantined", "archived-2", LATER),
        ("returns:count", None, LATER),
    ],
)
def test_a_waiver_of_something_else_closes_nothing(shop: Shop, gate: str, batch: str | None, at: int) -> None:
    shop.waive(gate, batch, at)
    assert len(incidents(shop.lake)) == 1


def test_events_that_came_too_late_are_no_incident_any_more_when_newer_ones_come(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.archive("orders", orders(1, 4))
    assert shop.deliver("archived-1", AT + 48 * HOUR, from_bronze=True) is not None
    assert [one.rule for one in incidents(shop.lake)] == ["freshness"]
    shop.archive("orders", [order(5, ordered_at="2026-01-03 10:00:00", _known=AT + 48 * HOUR)])
    assert shop.deliver("archived-2", AT + 49 * HOUR, from_bronze=True) is None
    assert incidents(shop.lake) == []


def test_a_stopped_batch_of_files_is_no_incident_as_nobody_sees_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    assert shop.deliver("a", orders=[order(1, channel="fax"), order(2)]) is not None
    assert incidents(shop.lake) == []
    shop.waive("orders:quarantined", "a")
    assert shop.deliver("a") is None
    assert incidents(shop.lake) == []
    # mended at the very moment at which it was stopped
    rows = [{"total" if name == "amount" else name: value for name, value in row.items()} for row in orders(3, 6)]
    assert shop.deliver("b", orders=rows) is not None
    assert shop.deliver("b", renamed={"orders": {"amount": "total"}}) is None
    assert incidents(shop.lake) == []
