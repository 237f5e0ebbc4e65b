from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sluice.engine.places import open_store
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import as_values, pack, vectors
from tests.redis_server import RedisServer
from tests.sluice.engine.chance import history, requests
from tests.sluice.engine.crash import BATCH, SIZE
from tests.sluice.engine.folding import answered, assert_same_bits, fold_all
from tests.sluice.engine.pipelines import shop
from tests.sluice.engine.stores import contents
from tests.sluice.engine.worlds import asked_table, tables

pytestmark = pytest.mark.integration

FRESH = [random.SystemRandom().randrange(2**32) for _ in range(2)]
KILLS = 3


@pytest.fixture(params=["sqlite", "redis"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where each store that outlives its process may be."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return server.url
    return f"sqlite:///{tmp_path}"


@pytest.mark.parametrize("turn", range(len(FRESH)))
def test_a_consumer_killed_anywhere_goes_on_to_the_same_bits(uri: str, turn: int) -> None:
    seed = int(os.environ.get("SLUICE_TEST_SEED", FRESH[turn])) + turn
    print(f"SLUICE_TEST_SEED={seed - turn}")  # noqa: T201 shown when the test fails, to run it again
    chance = random.Random(seed)
    killed = [folded_until_killed(uri, seed, chance) for _ in range(KILLS)]
    assert all(killed), "the child must die of the kill, not of having finished"
    subprocess.run(command(uri, seed), check=True, stdout=subprocess.DEVNULL, timeout=240)

    pipeline, versions = shop(), history(seed, SIZE)
    undisturbed = MemoryStore()
    fold_all(pipeline, undisturbed, [versions[start : start + BATCH] for start in range(0, len(versions), BATCH)])
    asked = requests(seed, 40, pipeline, versions)
    store = open_store(uri, pipeline.name, read_only=True)
    found = answered(pipeline, store, asked)
    assert contents(store) == contents(undisturbed)
    store.close()
    whole = vectors(pipeline, tables(pipeline, versions), asked_table(pipeline, asked))
    assert_same_bits(pipeline, found, pack(pipeline, as_values(pipeline, whole)))


def folded_until_killed(uri: str, seed: int, chance: random.Random) -> bool:
    """Start the child, let it commit a few batches, and kill it at a random point of the next one."""
    child = subprocess.Popen(command(uri, seed), stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(chance.randrange(1, 12)):
        child.stdout.readline()
    time.sleep(chance.uniform(0, 0.02))
    child.kill()
    child.stdout.close()
    return child.wait() < 0


def command(uri: str, seed: int) -> list[str]:
    return [sys.executable, "-m", "tests.sluice.engine.crash", uri, str(seed)]
