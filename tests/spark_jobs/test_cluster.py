"""Jobs on a standalone cluster that was started apart: from another folder, on workers that have no Sluice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.lake.workers import Here
from sluice.local.code import write_archive
from sluice.local.spark import run_job
from sluice.settings import Engines, Sizes, settings
from spark_jobs.backfill import backfill
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline
from tests.spark_jobs.cluster import Cluster
from tests.spark_jobs.test_backfill import AT, ROOT, copied, everything, plan

pytestmark = pytest.mark.integration

MESSAGES = feed(seed=43, size=800)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        found.up()
        yield found
    finally:
        found.down()


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("history"), pipeline)
    made.deliver("files", MESSAGES)
    return made


def test_a_backfill_by_spark_submit_is_what_one_process_computes_and_both_workers_did_some_of_it(
    cluster: Cluster, history: History, tmp_path: Path
) -> None:
    theirs, alone = copied(history, tmp_path / "theirs"), copied(history, tmp_path / "alone")
    code = write_archive(tmp_path / "code")
    job = shutil.copy(ROOT / "spark_jobs" / "backfill.py", tmp_path / "backfill.py")
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", cluster.url, "--py-files", str(code)]
    given = ["--pipeline", str(FILE), "--lake", str(theirs.folder / "lake"), "--at", str(AT), "--most", "150"]

    done = subprocess.run(
        [*command, job, *given, "--parts", "4", "--per-range", "250", "--every", "0"],
        cwd=tmp_path,
        env={**cluster.environment(), "SLUICE_SPARK_LEAST_ROWS": "0", "SLUICE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("backfill: ")]
    assert any(line.startswith("backfill: count: 4 of 4 pieces, about 766 of 766 rows, ") for line in told), told
    assert len([line for line in told if "compute-2024" in line]) > 1
    backfill(Here(), plan(alone, parts=1))
    assert everything(theirs) == everything(alone)
    tasks = cluster.tasks()
    assert len(tasks) == 2, tasks
    assert min(tasks.values()) > 5, tasks


def test_a_job_that_a_flow_submits_finds_its_code_on_the_workers(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is named but the master; what was ingested by the cluster is what was ingested here."""
    theirs, alone = (History(tmp_path / name, pipeline) for name in ("theirs", "alone"))
    for each in (theirs, alone):
        each.folder.mkdir()
    alone.deliver("files", MESSAGES)
    for name, text in cluster.environment().items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    here = replace(
        settings(), engines=Engines(spark_master=cluster.url), sizes=Sizes(spark_least_rows=0, spark_driver_memory="1g")
    )
    files = [part for path in sorted(alone.folder.glob("*.jsonl")) for part in ("--file", f"{path.stem[6:]}={path}")]

    given = ["--pipeline", str(FILE), "--lake", str(theirs.folder / "lake"), "--batch", "files"]
    run_job(here, "ingest", [*given, "--at", str(MESSAGES[-1].at), *files])

    for table in ("silver/payments", "silver/disputes", "quarantine/payments"):
        found, wanted = (each.lake.read(table) for each in (theirs, alone))
        # every run has a name of its own
        columns = [name for name in wanted.column_names if name != "_run"]
        told = [sorted(map(str, one.select(columns).to_pylist())) for one in (found, wanted)]
        assert told[0] == told[1]
    assert sum(cluster.tasks().values()) > 0
