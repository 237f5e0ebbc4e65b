"""Vectors after old events have gone are those of before, and begin where windows still see everything."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import DAY, HOUR
from sluice.declare.loading import load_pipeline
from sluice.declare.operate import KnowledgeTime
from sluice.lake.keeping import holds
from sluice.lake.keeping.keep import DROPPED, apply
from sluice.lake.keeping.retired import vectors_since
from sluice.lake.plan import VECTORS, Plan
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.lake.keeping.test_retiring import FILE, copied
from tests.spark_jobs.deliveries import AT, Shop, order, returned

pytestmark = pytest.mark.integration

PIPELINE = load_pipeline(str(FILE))
NOW = AT + 90 * DAY
SINCE = NOW - 60 * DAY + 7 * DAY


def days(first: int, last: int, seed: int) -> list[dict[str, Any]]:
    """Three orders on each of some days after AT, of three customers."""
    chance = random.Random(seed)
    return [
        order(
            3 * day + number,
            ordered_at=rfc3339(AT + day * DAY + chance.randrange(20) * HOUR),
            customer=f"c{chance.randrange(3)}",
        )
        for day in range(first, last)
        for number in range(3)
    ]


def computed(shop: Shop, at: int, knowledge: KnowledgeTime, *, whole: bool = False) -> list[str]:
    told: list[str] = []
    since = vectors_since(shop.lake, PIPELINE)
    plan = Plan(str(FILE), shop.uri, shop.lake.version("batches"), at, 2, since=since)
    backfill(Here(), plan if knowledge == "event_time" else plan.as_served(), whole=whole, tell=told.append)
    return told


def vectors(shop: Shop, knowledge: KnowledgeTime, since: int = 0) -> list[dict[str, Any]]:
    rows = shop.lake.read(VECTORS[knowledge]).to_pylist()
    return sorted((row for row in rows if row["event_time"] >= since), key=lambda row: row["event_id"])


@pytest.mark.parametrize("knowledge", ["event_time", "as_served"])
def test_what_is_computed_after_a_retention_is_what_would_be_without_it(
    tmp_path: Path, knowledge: KnowledgeTime
) -> None:
    """The lake that forgets goes on from its backfill and starts anew; the other one forgets nothing."""
    forgets = Shop(tmp_path / "forgets", file=FILE)
    forgets.folder.mkdir()
    told = [returned(3 * day, told_at=rfc3339(AT + (day + 2) * DAY)) for day in range(0, 88, 5)]
    assert forgets.deliver("history", at=NOW, orders=days(0, 90, seed=1), returns=told) is None
    computed(forgets, NOW, knowledge)
    remembers = copied(forgets, tmp_path / "remembers")

    dropped = {one.table: one.count for one in apply(forgets.lake, PIPELINE, NOW, ()) if one.what == DROPPED}
    assert dropped[VECTORS[knowledge]] > dropped["silver/orders"] > 80
    assert vectors(forgets, knowledge) == vectors(remembers, knowledge, SINCE)

    new = [*days(90, 92, seed=2), order(3 * 40, _revision=1, ordered_at=rfc3339(AT + 40 * DAY), customer="c2")]
    for shop in (forgets, remembers):
        assert shop.deliver("new", at=NOW + 2 * DAY, orders=new) is None
        assert computed(shop, NOW + 2 * DAY, knowledge)[0].startswith("going on from")
    assert vectors(forgets, knowledge) == vectors(remembers, knowledge, SINCE)
    assert len(vectors(forgets, knowledge)) > 160

    computed(forgets, NOW + 2 * DAY + 1, knowledge, whole=True)
    computed(remembers, NOW + 2 * DAY + 1, knowledge, whole=True)
    assert vectors(forgets, knowledge) == vectors(remembers, knowledge, SINCE)
    assert len(vectors(remembers, knowledge)) == 276


def test_of_those_who_have_not_been_seen_since_no_old_event_is_left_in_tiles(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", file=FILE)
    shop.folder.mkdir()
    day = rfc3339(AT + 39 * DAY)
    once = [order(900 + number, customer=f"once {number}", ordered_at=day) for number in range(40)]
    for name, at, some in (("one", 40, [*days(0, 40, seed=1), *once]), ("two", 70, days(40, 70, seed=2))):
        assert shop.deliver(name, at=AT + at * DAY, orders=some) is None
        told = computed(shop, AT + at * DAY, "event_time")
    assert told[0].startswith("going on from")
    held = shop.lake.read("tiles/buying")
    assert {f"once {number}" for number in range(40)} < set(held.column("key").to_pylist())

    gone = {one.table: one.count for one in apply(shop.lake, PIPELINE, AT + 105 * DAY, ()) if one.what == DROPPED}

    assert gone["tiles/buying"] > 40
    left = shop.lake.read("tiles/buying")
    assert set(left.column("key").to_pylist()) == {"c0", "c1", "c2"}
    assert left.column("body").null_count == 0
    again = [one for one in apply(shop.lake, PIPELINE, AT + 105 * DAY, ()) if one.what == DROPPED]
    assert sum(one.count for one in again) == 0


def test_an_event_that_is_held_may_be_corrected_when_its_rows_have_gone(tmp_path: Path) -> None:
    """It stays in history, and no window that is computed sees it; its entity's tile began before and was cut."""
    shop = Shop(tmp_path / "shop", file=FILE)
    shop.folder.mkdir()
    mine = [order(900 + day, customer="held", ordered_at=rfc3339(AT + day * DAY + HOUR)) for day in (64, 69)]
    assert shop.deliver("one", at=AT + 70 * DAY, orders=[*days(0, 70, seed=1), *mine]) is None
    computed(shop, AT + 70 * DAY, "event_time")
    holds.place(shop.lake, PIPELINE, "customer=held", by="Ada", because="a case", at=AT + 125 * DAY)
    apply(shop.lake, PIPELINE, AT + 125 * DAY, ())
    assert {964, 969} < set(shop.lake.read("silver/orders").column("order_id").to_pylist())

    corrected = order(964, _revision=1, customer="held", amount=77, ordered_at=rfc3339(AT + 64 * DAY))
    assert shop.deliver("two", at=AT + 125 * DAY, orders=[corrected, *days(123, 125, seed=3)]) is None
    told = computed(shop, AT + 125 * DAY, "event_time")

    assert told[0].startswith("going on from")
    found = vectors(shop, "event_time", AT + 72 * DAY)
    computed(shop, AT + 125 * DAY + 1, "event_time", whole=True)
    assert vectors(shop, "event_time", AT + 72 * DAY) == found
    assert len(found) == 6
