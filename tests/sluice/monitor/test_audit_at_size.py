"""A hundred thousand served vectors on each store, and none that bronze does not say."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

from sluice.engine.places import open_store
from tests.redis_server import RedisServer
from tests.sluice.monitor.serving import Serving, payment
from tests.sluice.stream.feeds import feed

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

FILES, LEAST = 2_000, 100_000
SEED = int(os.environ.get("SLUICE_TEST_SEED", random.SystemRandom().randrange(2**32)))


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_of_a_hundred_thousand_served_vectors_all_are_what_bronze_says(
    tmp_path: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """With revisions, moved keys and tellers, late and expired events, garbage, and new bases on the way."""
    messages = feed(SEED, 220_000)
    place = redis_server.url if kind == "redis" else f"sqlite:///{tmp_path / 'online'}"
    serving = Serving.start(tmp_path, messages[:FILES], SEED, store=open_store(place, "payments"))
    live = messages[FILES:]

    # many to a request: what each request costs by itself is not what is tried here
    for start in serving.run(live, slice_=250, together=30):
        if start and start % 50_000 == 0:
            serving.restart()
            serving.catch_up()

    found = serving.audit()
    seen = {item.served.knowledge for item in found}
    with capsys.disabled():
        sys.stdout.write(
            f"\nSLUICE_TEST_SEED={SEED} {kind}: {len(found):,} served vectors of {len(seen):,} states of knowledge "
            f"audited, {sum(bool(item.differences) for item in found)} differ\n"
        )
    assert [item for item in found if item.differences] == []
    assert len(found) >= LEAST
    assert len({item.served.base for item in found}) > 3
    assert sum(payment(message) is not None for message in live) > LEAST
