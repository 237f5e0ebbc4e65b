"""A long history from a seed, for tests that cannot take it from Hypothesis: other processes and stored files."""

from __future__ import annotations

import random

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from tests.sluice.engine.oracle import DELETE, PUT, Asked, Version
from tests.sluice.engine.worlds import START, digest


def history(seed: int, size: int) -> list[Version]:
    """Orders and claims of the shop as they arrive: out of order, twice, corrected, deleted, and some too late."""
    chance = random.Random(seed)
    versions: list[Version] = []
    for number in range(size):
        time = START + number * MINUTE // 20 + chance.randrange(-MINUTE, MINUTE)
        made = claim(chance, number, time) if chance.random() < 0.3 else order(chance, number, time)
        versions.append(made)
        if chance.random() < 0.1:
            versions.append(chance.choice(versions))
    return versions


def order(chance: random.Random, number: int, time: int) -> Version:
    values = {
        "customer": chance.choice([1, 2, None]),
        "till": chance.choice(["a", "b"]),
        "amount": chance.choice([None, chance.randrange(-100_000, 10_000_001)]),
        "items": chance.choice([1, 2, 2**53 - 1]),
        "gift": chance.choice([0, 1, None]),
        "channel": chance.choice([0, 1, None]),
        "country": chance.choice([-(2**63), 7]),
    }
    return version(chance, "orders", number - chance.choice([0, 0, 0, 1, 2]), time, values)


def claim(chance: random.Random, number: int, time: int) -> Version:
    values = {"order_id": chance.randrange(max(number - 40, 0), number + 1), "is_bad": chance.randrange(2), "cost": 5}
    return version(chance, "claims", number - chance.choice([0, 0, 1, 3]), time, values)


def version(chance: random.Random, stream: str, number: int, time: int, values: dict[str, int | str | None]) -> Version:
    return Version(
        stream,
        number,
        time,
        values,
        digest(time, values),
        revision=chance.choice([0, 0, 0, 1]),
        op=chance.choice([PUT] * 9 + [DELETE]),
        known=time + chance.randrange(5 * MINUTE),
        watermark=time + chance.choice([0, MINUTE, 4 * MINUTE, 6 * MINUTE]),
    )


def requests(seed: int, size: int, pipeline: Pipeline, versions: list[Version]) -> list[Asked]:
    """Requests of the shop's own events, and at moments on the edges of their windows."""
    chance = random.Random(seed)
    orders = [version for version in versions if version.stream == pipeline.events.name]
    chosen = [chance.choice(orders) for _ in range(size)]
    edges = [0, 0, MINUTE, 2 * MINUTE, 3 * MINUTE, 3 * MINUTE - 1, 5 * MINUTE]
    return [Asked(own.time + chance.choice(edges), own.id, own.values) for own in chosen]
