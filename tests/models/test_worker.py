from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models.group import NUMERICS

pytestmark = pytest.mark.integration

Knowledge = dict[tuple[bool, int], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Knowledge:
    """What every worker knew at the end, by (refit, number of workers)."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.models.worlds", str(tmp_path_factory.mktemp("shards"))]
    done = subprocess.run(command, cwd=root, env=os.environ | NUMERICS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: Knowledge = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        found.setdefault((row.pop("refit"), row.pop("world")), []).append(row)
    return found


def test_the_weights_are_the_same_bits_for_one_two_and_four_workers(known: Knowledge) -> None:
    for key in ("fitted", "scores", "exported"):
        alone = known[False, 1][0][key]
        assert len(set(alone)) == len(alone)
        assert all(row[key] == alone for world in (2, 4) for row in known[False, world])


def test_every_worker_knows_the_whole_outcome(known: Knowledge) -> None:
    assert [len(known[False, world]) for world in (1, 2, 4)] == [1, 2, 4]
    for rows in known.values():
        assert all(row == rows[0] for row in rows)


def test_what_is_exported_is_the_fit_that_won_unless_it_was_fitted_again(known: Knowledge) -> None:
    measured, again = known[False, 1][0], known[True, 1][0]
    assert again["fitted"] == measured["fitted"]
    assert set(measured["exported"]) < set(measured["fitted"])
    assert not set(again["exported"]) & set(again["fitted"])
    assert known[True, 2][0]["exported"] == again["exported"]


def test_litert_answers_as_keras_does_to_a_millionth(known: Knowledge) -> None:
    assert all(parity <= 1e-6 for rows in known.values() for row in rows for parity in row["parity"])
