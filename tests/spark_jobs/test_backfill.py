"""The backfill on a real Spark, and as spark-submit runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.engine.arrivals import first_told
from sluice.engine.vectors import vectors
from sluice.engine.versions import settled
from sluice.lake.asof import load, publish
from sluice.lake.asof_rows import judge
from sluice.lake.plan import Plan
from sluice.lake.tiles import standing
from sluice.lake.workers import Here
from sluice.local.environment import engine_environment
from sluice.local.spark import run_job
from sluice.settings import Sizes, settings
from spark_jobs.backfill import backfill
from spark_jobs.workers import SparkWorkers
from tests.sluice.lake.tile_tables import in_order
from tests.sluice.stream import priced
from tests.sluice.stream.feeds import START, feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
AT = START + 30 * 3_600_000_000


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = History(tmp_path_factory.mktemp("ingested"), pipeline)
    made.deliver("files", feed(seed=41, size=800))
    return made.folder


@pytest.fixture
def history(ingested: Path, tmp_path: Path) -> History:
    shutil.copytree(ingested / "lake", tmp_path / "lake")
    return History(tmp_path, pipeline)


def plan(history: History, parts: int = 2) -> Plan:
    return Plan(str(FILE), str(history.folder / "lake"), history.lake.version("batches"), AT, parts)


def everything(history: History) -> dict[str, list[dict[str, object]]]:
    """The vectors and the tiles that a backfill leaves."""
    tiles = {view.name: in_order(standing(history.lake, view).to_pylist()) for view in pipeline.windows}
    return {"vectors": history.lake.read("vectors").sort_by("event_id").to_pylist(), **tiles}


def copied(history: History, folder: Path) -> History:
    shutil.copytree(history.folder / "lake", folder / "lake")
    return History(folder, pipeline)


def arguments(history: History, pipeline: str = str(FILE)) -> list[str]:
    return ["--pipeline", pipeline, "--lake", str(history.folder / "lake"), "--at", str(AT)]


def submitted(
    history: History, *more: str, pipeline: str = str(FILE), least_rows: int | None = None
) -> subprocess.Popen[str]:
    """The job as a flow starts it."""
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", "spark_jobs/backfill.py"]
    environment = {**os.environ, **engine_environment(settings()), "SLUICE_HOME": str(history.folder)}
    environment |= {} if least_rows is None else {"SLUICE_SPARK_LEAST_ROWS": str(least_rows)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "start_new_session": True}
    return subprocess.Popen([*command, *arguments(history, pipeline), *more], cwd=ROOT, env=environment, **pipes)


@pytest.mark.parametrize("parts", [2, 8])
def test_spark_computes_what_one_process_computes(
    spark: SparkWorkers, history: History, tmp_path: Path, parts: int
) -> None:
    alone = copied(history, tmp_path / "alone")

    backfill(spark, plan(history, parts))
    backfill(Here(), plan(alone, parts=1))

    assert everything(history) == everything(alone)
    assert len(everything(history)["vectors"]) > 300


def test_a_run_that_was_killed_is_completed_by_the_next(history: History, tmp_path: Path) -> None:
    """Killed as soon as something is counted: what was dealt by then is not dealt again; and it tells how far it is."""
    alone = copied(history, tmp_path / "alone")
    backfill(Here(), plan(alone))
    work = Path(history.lake.uri("work"))
    more = ("--parts", "24", "--every", "0")

    first = submitted(history, *more, least_rows=0)
    while not list(work.glob("*/counted")) and first.poll() is None:
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert history.lake.open("vectors") is None
    done = {path.name for path in work.glob("*/done/*")}
    assert {"deal", "relate"} <= done

    told: list[str] = []
    here = replace(settings(), sizes=Sizes(spark_least_rows=0, spark_driver_memory="1g"))
    run_job(here, "backfill", [*arguments(history), *more], tell=told.append)
    steps = [line.split(": ")[1] for line in told[1:]]
    assert steps[0] == "count"
    assert any(step.startswith("assemble-2024-") for step in steps)
    assert everything(history) == everything(alone)
    assert not list(work.iterdir())
    assert history.ailments() == []


def test_a_submitted_job_looks_things_up_at_the_versions_it_is_told(tmp_path: Path) -> None:
    history = History(tmp_path, priced.pipeline, str(priced.__file__))
    history.deliver("files", feed(seed=5, size=60))
    for name, rows in priced.ROWS.items():
        table = priced.pipeline.tables[name]
        for version in (rows, rows[:1]):
            publish(history.lake, table, judge(table, version).accepted, source="test", at=AT)

    asked = ("--table", "holidays@0", "--table", "terms@0", "--as-served")
    pinned = submitted(history, *asked, pipeline=history.reference)
    said, _ = pinned.communicate(timeout=300)

    assert pinned.returncode == 0, said
    written = history.lake.read("vectors").sort_by("event_id")
    events = {**history.versions()}
    lookups = load(history.lake, priced.pipeline, {"holidays": 0, "price_index": 1, "terms": 0})
    wanted = vectors(priced.pipeline, events, settled(events["payments"]).sort_by("_id"), lookups)
    assert written.select(wanted.column_names).to_pydict() == wanted.to_pydict()
    told = first_told(events["payments"]).sort_by("_id")
    served = vectors(priced.pipeline, events, told, lookups, knowledge="as_served")
    found = history.lake.read("vectors_as_served").sort_by("event_id")
    assert found.select(served.column_names).to_pydict() == served.to_pydict()


def test_a_mistake_and_a_missing_history_have_exit_codes_of_their_own(tmp_path: Path) -> None:
    nothing = History(tmp_path, pipeline)
    (tmp_path / "lake").mkdir()

    wrong = submitted(nothing, pipeline="no_such_pipeline")
    empty = submitted(nothing)

    assert "no_such_pipeline" in wrong.communicate(timeout=300)[0]
    assert "there is no published history" in empty.communicate(timeout=300)[0]
    assert (wrong.returncode, empty.returncode) == (2, 3)
