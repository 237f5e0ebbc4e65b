"""The audit of vectors from a store in shards: each entity's features are computed at what its own shard knew."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from sluice.engine.shards import Spread
from sluice.monitor.audit import audit
from tests.sluice.monitor.serving import Serving
from tests.sluice.stream.feeds import Message, feed
from tests.sluice.stream.histories import History
from tests.sluice.stream.payments import pipeline
from tests.sluice.stream.plant import Plant

pytestmark = pytest.mark.integration

SIZE, FILES = 900, 300


@dataclass
class Divided(Serving):
    """Serves from the shards of a plant, which are never quite at the same place."""

    plant: Plant = field(kw_only=True)

    @classmethod
    def begin(cls, folder: Path, messages: Sequence[Message], seed: int) -> Divided:
        """History from files, and shards that were started from it."""
        plant = Plant(pipeline, Spread(3, 4), random.Random(seed))
        history = History(folder, pipeline, topics=plant.topics)
        history.deliver("files", messages)
        plant.load(*history.base())
        return cls(history, plant.reader, random.Random(seed), plant=plant)

    def fold(self, messages: Sequence[Message]) -> None:
        """Produce messages; some routers route some of what waits, and some shards fold some of it."""
        self.history.produce(messages)
        for _ in range(4):
            self.plant.route(self.chance.randrange(3), 30)
            self.plant.fold(self.chance.randrange(4), 4)

    def restart(self) -> None:
        """Make history of what was archived, and start every store anew from it."""
        self.history.archive()
        self.history.ingest_archived(f"archived-{self.answers}", 2**60)
        self.plant.load(*self.history.base())


@pytest.mark.parametrize("turn", ["first", "second"])
def test_what_shards_served_is_what_bronze_says(tmp_path: Path, turn: str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 pytest shows it when the test fails
    messages = feed(seed, SIZE)
    serving = Divided.begin(tmp_path, messages[:FILES], seed)
    for start in serving.run(messages[FILES:]):
        if start == 280:
            serving.restart()

    found = serving.audit()

    assert [item for item in found if item.differences] == []
    assert len(found) > 150
    known = [item.served.keys for item in found]
    assert sum(len({*keys.values()}) > 1 for keys in known if keys) > 50
    assert len({one.base for keys in known if keys for one in keys.values()}) == 2


def test_what_one_entity_knew_decides_its_own_features_and_no_others(tmp_path: Path) -> None:
    messages = feed(5, 500)
    serving = Divided.begin(tmp_path, messages[:100], 5)
    serving.history.produce(messages[100:])
    row = next(row for row in serving._asked(messages[100:], 0.5) if row["card"] is not None and row["payment_id"])
    serving.serve([row])
    serving.plant.drain()
    serving.serve([row])
    before, after = (item.served for item in serving.audit())
    more = {**before.keys, "card": after.keys["card"]}

    (wrong,) = audit(serving.history.lake, pipeline, [replace(before, keys=more)])

    assert before.keys["card"].positions == ()
    assert {name.split("__")[0] for name in wrong.differences} == {"spend", "moment"}
