"""Runs one plan with 1, 2 and 4 workers, threads of this process, and prints what each of them knows at the end.

Started by test_worker.py as a process of its own, since TensorFlow takes its numerics from the environment.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.examples import write_shards
from models.exchange import Alone, Hub, Spoke
from models.export import weights_hash
from models.request import LOGISTIC, NETWORK, Job, Outcome, Plan, Variant
from models.worker import work
from tests.models.payments import INPUTS, SPLIT, payments


def main(folder: Path) -> None:
    table = payments(6_000).sort_by([("event_time", "ascending"), ("event_id", "ascending")])
    parts = SPLIT.parts(*(np.asarray(table[name]) for name in ("event_time", "customer_id", "label")))
    shards = write_shards(table, parts, INPUTS, folder)
    algorithms = [replace(each, epochs=2, steps=16, max_rows=2_000) for each in (LOGISTIC, NETWORK)]
    candidates = [("pos", Variant()), ("*", Variant("shuffled", shuffle_labels=True))]
    jobs = tuple(Job(segment, variant, algorithm) for segment, variant in candidates for algorithm in algorithms)
    for refit, world in ((False, 1), (False, 2), (False, 4), (True, 1), (True, 2)):
        plan = Plan(INPUTS, jobs, shards, seed=7, refit=refit)
        for outcome in together(world, plan):
            sys.stdout.write(json.dumps({"refit": refit, "world": world} | told(outcome)) + "\n")


def told(outcome: Outcome) -> dict[str, object]:
    return {
        "fitted": [weights_hash(each.weights) for each in outcome.fitted],
        "scores": [hashlib.sha256(each.probabilities.tobytes()).hexdigest() for each in outcome.fitted],
        "exported": [each.weights_hash for each in outcome.exported],
        "parity": [each.parity for each in outcome.exported],
    }


def together(world: int, plan: Plan) -> list[Outcome]:
    if world == 1:
        return [work(Alone(), plan)]
    outcomes: list[Outcome] = []
    with Hub(world) as hub:

        def join(rank: int) -> None:
            with Spoke(hub.meeting, rank, world) as spoke:
                outcomes.append(work(spoke, plan))

        threads = [threading.Thread(target=join, args=(rank,)) for rank in range(1, world)]
        for thread in threads:
            thread.start()
        hub.accept()
        outcomes.append(work(hub, plan))
        for thread in threads:
            thread.join()
    return outcomes


if __name__ == "__main__":
    main(Path(sys.argv[1]))
