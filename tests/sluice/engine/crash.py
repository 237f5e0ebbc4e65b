"""A child process that folds a seeded history into the store of a URI and says each batch that it has committed."""

from __future__ import annotations

import sys

from sluice.engine.places import open_store
from tests.sluice.engine.chance import history
from tests.sluice.engine.folding import PARTITION, fold_all
from tests.sluice.engine.pipelines import shop

SIZE, BATCH = 600, 4


def main(uri: str, seed: str) -> None:
    store = open_store(uri, "shop")
    versions = history(int(seed), SIZE)
    batches = [versions[start : start + BATCH] for start in range(0, len(versions), BATCH)]
    held = store.read([]).knowledge.positions.get(PARTITION)
    for offset in range(held.offset if held else 0, len(batches)):
        fold_all(shop(), store, [batches[offset]], start=offset)
        sys.stdout.write(f"{offset}\n")
        sys.stdout.flush()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
