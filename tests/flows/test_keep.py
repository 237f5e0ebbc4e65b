"""The flow that keeps a lake as declared: what it does is told, and models of the rollout keep their rows."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pyarrow as pa
import pytest

from flows.keep import keep_as_declared
from serve import promotions
from serve.rollout_state import Kind, Move
from serve.routing import Model
from sluice.declare.durations import DAY
from sluice.lake.files import write_parquet
from sluice.lake.publish import commit_folder
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, keep
from sluice.settings import settings

pytestmark = pytest.mark.integration

FILE = Path(__file__).parents[1] / "sluice" / "lake" / "keeping" / "kept.py"
AT = 1_767_264_000_000_000
LATER = AT + 101 * DAY
"""Models are kept for a hundred days."""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Three versions of vectors and two models, trained on the first and on the second; nine days have passed."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    lake = Lake(settings().places.lake_uri, "shop")
    rows = pa.table({"event_time": pa.array([AT], pa.int64())})
    for version in range(3):
        write_parquet(lake.uri(f"vectors/backfill-{version}/0.parquet"), [rows], rows.schema)
        commit_folder(lake, "vectors", f"backfill-{version}", markers=[f"m{version}"], replace=True)
    for version in (0, 1):
        keep(lake, TrainingSet("shop-web", str(version), "web", "vectors", version, AT - DAY, AT, "d", AT))
    return lake


def taken_out_nine_days_ago(lake: Lake) -> None:
    """As the log would say by then, and the files."""
    then = time.time() - 9 * 86_400
    for commit in Path(lake.uri("vectors"), "_delta_log").glob("*.json"):
        told = re.sub(r'"deletionTimestamp":\d+', f'"deletionTimestamp":{int(then * 1000)}', commit.read_text())
        commit.write_text(told)
    for file in Path(lake.uri("vectors")).rglob("*.parquet"):
        os.utime(file, (then, then))


def test_a_model_that_answers_keeps_the_rows_it_was_trained_on_and_the_other_one_does_not(lake: Lake) -> None:
    model = Model("shop-web", "1", "/m/1", "d")
    promotions.append(lake, Move("web", Kind.PROMOTE, None, model, 0.0, "first", AT, {}))
    taken_out_nine_days_ago(lake)
    told = {(row["table"], row["what"]): row for row in keep_as_declared.fn(str(FILE), LATER)}
    assert told["vectors@1", "kept"]["because"] == "trained on by shop-web/1"
    assert told["vectors", "files removed"]["count"] == 1
    assert lake.read("vectors", version=1).num_rows == 1
    assert sorted(file.parent.name for file in Path(lake.uri("vectors")).rglob("*.parquet")) == [
        "backfill-1",
        "backfill-2",
    ]
    assert ("vectors", "files removed") not in {
        (row["table"], row["what"]) for row in keep_as_declared.fn(str(FILE), LATER)
    }
