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
