"""Vectors of every function, a hundred thousand of them on each store, and none that bronze does not say."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.declare.functions import Function
from sluice.engine.places import open_store
from sluice.engine.vectors import unpack
from sluice.lake.asof import load, publish
from sluice.lake.asof_rows import judge
from sluice.monitor.audit import Audited
from tests.redis_server import RedisServer
from tests.sluice.monitor import rich
from tests.sluice.monitor.serving import Serving
from tests.sluice.stream.feeds import START, Message, feed
from tests.sluice.stream.priced import ROWS, day

LEAST = 100_000
SEED = int(os.environ.get("SLUICE_TEST_SEED", random.SystemRandom().randrange(2**32)))


@pytest.mark.integration
def test_a_few_vectors_of_every_function_are_what_bronze_says(tmp_path: Path) -> None:
    found = audited(tmp_path, feed(SEED, 1_000), f"sqlite:///{tmp_path / 'online'}", files=300, slice_=50, every=350)
    assert [item for item in found if item.differences] == [], f"SLUICE_TEST_SEED={SEED}"
    assert len(found) > 500
    assert len({item.served.base for item in found}) > 1
    assert never_there(found) == []
    assert {feature.function for view in rich.pipeline.windows for feature in view.functions} == {*get_args(Function)}


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_of_a_hundred_thousand_served_vectors_all_are_what_bronze_says(
    tmp_path: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    place = redis_server.url if kind == "redis" else f"sqlite:///{tmp_path / 'online'}"

    found = audited(tmp_path, feed(SEED, 117_000), place, files=2_000, slice_=400, every=24_000)

    seen = {item.served.knowledge for item in found}
    with capsys.disabled():
        sys.stdout.write(
            f"\nSLUICE_TEST_SEED={SEED} {kind}: {len(found):,} served vectors of {len(seen):,} states of knowledge "
            f"audited, {sum(bool(item.differences) for item in found)} differ\n"
        )
    assert [item for item in found if item.differences] == []
    assert len(found) >= LEAST
    assert len({item.served.base for item in found}) > 3
    assert never_there(found) == []


def audited(
    folder: Path, messages: Sequence[Message], place: str, *, files: int, slice_: int, every: int
) -> list[Audited]:
    """The audit of vectors that were served while the messages came, some of them in files.

    With revisions, moved keys and tellers, late and expired events, garbage, and new bases and tables on the way.
    """
    store = open_store(place, rich.pipeline.name)
    serving = Serving.start(folder, messages[:files], SEED, rich.pipeline, str(rich.__file__), store)
    look_up(serving, messages[files].at)
    # many to a request: what each request costs by itself is not what is tried here
    for start in serving.run(messages[files:], slice_=slice_, together=30, asked=1):
        if start and start % every == 0:
            serving.restart()
            serving.catch_up()
            look_up(serving, messages[files + start].at)
    return serving.audit()


def look_up(serving: Serving, at: int) -> None:
    """Load tables about the days around a moment, and serve with them from now on."""
    here = (at - START) // (24 * HOUR)
    days = [
        day(country, number, number % 2, (number + 1) % 5 or None)
        for country in ("DE", "FR")
        for number in range(here + 5)
    ]
    levels = [
        {"valid_from": rfc3339(START + hours * HOUR), "level": 100 + hours / 8} for hours in range(24 * here + 24)
    ]
    for name, rows in {**ROWS, "holidays": days, "price_index": levels}.items():
        table = serving.pipeline.tables[name]
        publish(serving.history.lake, table, judge(table, rows).accepted, source="test", at=at)
    serving.lookups = load(serving.history.lake, serving.pipeline)


def never_there(found: Sequence[Audited]) -> list[str]:
    """The features that no vector had."""
    values = unpack(rich.pipeline, [item.served.vector for item in found])
    return [name for name, (_, there) in values.items() if not there.any()]
