"""The list "Add a feature" in CONTRIBUTING.md, followed by its steps on a pipeline with history."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sluice.declare.loading import load_pipeline
from sluice.engine.fold import load_base
from sluice.engine.places import open_store
from sluice.lake.plan import Plan
from sluice.lake.tiles import standing
from sluice.lake.workers import Here
from sluice.settings import settings
from spark_jobs.backfill import backfill
from tests.sluice.cli.conftest import sluice
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import FILE, History

pytestmark = pytest.mark.integration

GUIDE = Path(__file__).parents[3] / "CONTRIBUTING.md"
STEPS = ("Add it to a view", "the declaration is checked at import", "Run the features flow", "Run the training flow")


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Two days of payments, declared in a file of their own and frozen."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    file = tmp_path / "shop.py"
    file.write_text(FILE.read_text())
    made = History(tmp_path, load_pipeline(str(file)), str(file))
    made.deliver("files", feed(seed=11, size=600))
    assert sluice("features", "freeze", str(file)).returncode == 0
    return made


def backfilled(history: History) -> tuple[pa.Table, list[str]]:
    """What the features flow's job leaves, and what it said."""
    told: list[str] = []
    at = feed(seed=11, size=600)[-1].at
    backfill(Here(), Plan(history.reference, str(history.folder / "lake"), 1, at, 2), tell=told.append)
    return history.lake.read("vectors").sort_by("event_id"), told


def test_the_guide_has_the_steps_that_are_followed_here() -> None:
    listed = GUIDE.read_text().split("## Add a feature\n")[1].split("\n## ")[0]
    assert [step for step in STEPS if step in listed] == list(STEPS)


def test_a_feature_that_is_added_by_the_guide_is_in_every_vector_and_changes_no_other(history: History) -> None:
    before, _ = backfilled(history)
    file = Path(history.reference)

    # 1. Add it to a view
    file.write_text(file.read_text().replace('mean("amount", "6h"), sum_', 'mean("amount", "3h", "6h"), sum_'))
    # 2. the declaration is checked at import: it means something else than what is frozen, and has to be accepted
    refused = sluice("features", "freeze", str(file))
    assert (refused.returncode, "mean_amount_3h" in refused.stderr) == (2, True)
    accepted = sluice("features", "freeze", str(file), "--again")
    assert (accepted.returncode, "mean_amount_3h" in accepted.stdout) == (0, True)
    explained = sluice("features", "explain", str(file)).stdout
    assert "mean of amount: payments of the card, this one included" in explained.split("spend__mean_amount_3h")[1]
    # 3. Run the features flow: vectors and tiles are computed again
    after, told = backfilled(history)

    assert told == ["computing everything: the declaration or the code is another"]
    assert after.drop(["spend__mean_amount_3h"]).equals(before)
    assert set(after.column_names) - set(before.column_names) == {"spend__mean_amount_3h"}
    assert online(history, after) == after.column("spend__mean_amount_3h")[-1].as_py()
    # 4. Run the training flow: that a model is served with its own definition only is in tests/serve/test_models.py


def online(history: History, vectors: pa.Table) -> float:
    """The new feature of the last payment, as a store that was started from the new tiles tells it."""
    pipeline = load_pipeline(history.reference)
    store = open_store(settings().online_uri, pipeline.name)
    tiles = {view.name: standing(history.lake, view) for view in pipeline.windows}
    load_base(pipeline, store, 1, tiles, history.versions())
    store.close()
    last = vectors.to_pylist()[-1]
    silver = history.lake.read("silver/payments")
    (event,) = silver.filter(pc.equal(silver["payment_id"], last["event_id"])).to_pylist()
    told = sluice(
        "features",
        "get",
        history.reference,
        *(f"{name}={event[name]}" for name in ("payment_id", "card", "shop", "amount", "channel")),
        "--at",
        event["paid_at"].isoformat(),
    ).stdout
    return float(told.split("spend__mean_amount_3h")[1].split()[0])
