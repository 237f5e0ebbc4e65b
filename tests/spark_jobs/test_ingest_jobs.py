"""The ingest job as it is run: on Spark, from the command line, and when it dies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from sluice.errors import DataError, Outage
from sluice.lake.delivery import Delivery
from sluice.lake.publish import recover
from sluice.lake.workers import Here
from sluice.local.environment import engine_environment
from sluice.settings import settings
from spark_jobs.ingest import ingest
from spark_jobs.workers import SparkWorkers
from tests.s3_server import BUCKET, S3Server
from tests.spark_jobs.deliveries import AT, FILE, Shop, order, orders, returned

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
COLUMNS = ("_id", "_revision", "_hash", "_op", "_time", "_known", "_watermark", "_source", "_position", "_batch")
ROWS = [*orders(1, 30), order(3), order(4, amount=1.0), order(30, channel="phone", order_id=77), order(7)]
W = TypeVar("W")
R = TypeVar("R")


def story(shop: Shop) -> object:
    """A few deliveries of every kind, and all that they leave."""
    shop.deliver("file", orders=shop.file("orders", ROWS), returns=shop.file("returns", [returned(1), returned(2)]))
    shop.archive("orders", [order(40), b"torn", order(40), order(3), order(4, amount=9.0)])
    shop.archive("orders", orders(50, 55), partition=1)
    shop.deliver("topic", from_bronze=True, rows_per_task=3)
    # a run is known by its files' paths, too, which are each shop's own
    own = ("silver_version", "run")
    told = [{name: value for name, value in batch.items() if name not in own} for batch in shop.lake.published()]
    others = [shop.lake.read(f"{name}/orders").num_rows for name in ("quarantine", "conflicts")]
    return Counter(shop.silver(*COLUMNS)), told, others, shop.accounts(), shop.accounts("returns")


def test_spark_and_one_process_leave_the_same(tmp_path: Path, spark: SparkWorkers) -> None:
    shops = [Shop(tmp_path / name, workers) for name, workers in (("spark", spark), ("here", Here()))]
    for shop in shops:
        shop.folder.mkdir()
    assert story(shops[0]) == story(shops[1])


def test_a_lake_in_a_bucket_holds_what_one_in_a_folder_holds(tmp_path: Path, spark: SparkWorkers, s3: S3Server) -> None:
    """By workers of their own processes, too, that were started before there was a service: their tasks bring it."""
    lakes = {name: f"s3://{BUCKET}/{tmp_path.name}-{name}" for name in ("spark", "here")} | {"folder": None}
    shops = [Shop(tmp_path / name, spark if name == "spark" else Here(), lake) for name, lake in lakes.items()]
    for shop in shops:
        shop.folder.mkdir()
    spread, alone, folder = [story(shop) for shop in shops]
    assert spread == alone == folder
    assert s3.keys(f"{tmp_path.name}-here/shop/silver/")
    # an S3 service has no folders; Arrow marks them by empty keys
    assert [key for key in s3.keys(f"{tmp_path.name}-here/shop/work") if not key.endswith("/")] == []


def test_the_results_come_in_the_order_of_the_work_however_much_there_is(spark: SparkWorkers) -> None:
    assert spark.each(str, range(50), rows=50) == [str(number) for number in range(50)]
    assert spark.each(str, range(3), rows=50) == ["0", "1", "2"]
    assert spark.each(str, [], rows=50) == []


def test_what_a_worker_finds_wrong_is_told_in_its_own_words(tmp_path: Path, spark: SparkWorkers) -> None:
    shop = Shop(tmp_path, spark)
    path = shop.file("a", orders(1, 4))
    content = bytearray(path.read_bytes())
    content[4:600] = bytes(596)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet: not a readable parquet file \(") as raised:
        shop.deliver("a", orders=path)
    assert str(raised.value).endswith("next: deliver it again")
    assert shop.lake.version("events/orders") == -1


class Killed(BaseException):
    """The process is no more."""


class Mortal(Here):
    """Workers whose process dies before, or in the middle of, the nth step."""

    def __init__(self, steps: int, *, within: bool) -> None:
        self.left, self.within = steps, within

    def each(self, task: Callable[[W], R], work: Sequence[W], *, rows: int) -> list[R]:
        if self.left == 0:
            if self.within and work:
                task(work[0])
            raise Killed
        self.left -= 1
        return super().each(task, work, rows=rows)


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("steps", range(8))
def test_a_job_that_dies_in_any_step_loses_nothing_and_doubles_nothing(
    tmp_path: Path, steps: int, *, within: bool
) -> None:
    shop = Shop(tmp_path)
    shop.deliver("before", orders=orders(28, 40))
    files = {"orders": shop.file("orders", ROWS), "returns": shop.file("returns", [returned(1), returned(2)])}
    shop.workers = Mortal(steps, within=within)
    with pytest.raises(Killed):
        shop.deliver("a", **files)
    shown = {batch["stream"] for batch in shop.lake.published() if batch["batch"] == "a"}
    assert {row[0] for row in shop.silver("_batch")} == {"before", *({"a"} if "orders" in shown else set())}

    shop.workers = Here()
    assert shop.deliver("a", **files) is None
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (13 + len(ROWS), 40, 5)
    assert (found.conflicts, found.quarantined) == (1, {"category": 1})
    assert shop.accounts("returns").silver == 2


def test_two_jobs_at_once_do_not_both_publish(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.archive("orders", orders(1, 5))

    class Interrupted(Here):
        """Another job ingests the same events while this one judges them."""

        def each(self, task: Callable[[W], R], work: Sequence[W], *, rows: int) -> list[R]:
            done = super().each(task, work, rows=rows)
            if work and not shop.lake.published("orders"):
                Shop(tmp_path).deliver("other", from_bronze=True)
            return done

    with pytest.raises(Outage, match="run it again"):
        ingest(Interrupted(), Delivery(str(FILE), str(tmp_path / "lake"), "mine", AT, from_bronze=True))
    assert [batch["batch"] for batch in shop.lake.published("orders")] == ["other"]
    assert shop.accounts().silver == 5
    assert recover(shop.lake, "orders") == 1


PLAIN = (sys.executable, "-m", "spark_jobs.ingest")


def job(shop: Shop, *arguments: str, command: Sequence[str] = PLAIN, **environment: str) -> subprocess.Popen[str]:
    """The job in a process group of its own."""
    given = ["--pipeline", str(FILE), "--at", str(AT), "--lake", str(shop.folder / "lake")]
    return subprocess.Popen(
        [*command, *given, *arguments],
        cwd=ROOT,
        env={**os.environ, "SLUICE_HOME": str(shop.folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def submit(log: Path) -> Sequence[str]:
    """The job on Spark, which writes down what it does."""
    told = {"enabled": "true", "dir": log.as_uri(), "compress": "false"}
    configured = [part for name, text in told.items() for part in ("--conf", f"spark.eventLog.{name}={text}")]
    start = (str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]")
    return (*start, *configured, "spark_jobs/ingest.py")


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate()
    return process.returncode, errors


def test_the_job_says_by_its_exit_code_how_it_ended(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    good = shop.file("good", orders(1, 5))
    bad = shop.file("bad", [order(n, channel="phone") for n in range(6, 9)])
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1")
    assert ended(job(shop, "--batch", "a", "--file", f"orders={good}"))[0] == 0
    code, errors = ended(job(shop, "--batch", "b", "--file", f"orders={bad}"))
    assert code == 3
    assert errors.startswith("GateStopped: batch 'b': orders: quarantined: 100.00% of the rows refused (category 3)")
    code, errors = ended(job(shop, "--batch", "c", "--file", f"orders={torn}"))
    assert (code, errors.split(":")[0]) == (3, "DataError")
    code, errors = ended(job(shop, "--batch", "d", "--file", "orders=/nowhere.parquet"))
    assert (code, errors.splitlines()[0]) == (2, "UserError: /nowhere.parquet: there is no such file")
    code, errors = ended(job(shop, "--batch", "e", "--file", "orders"))
    assert (code, errors.splitlines()[0]) == (2, "UserError: STREAM=FILE: 'orders' names no stream")
    assert shop.accounts().silver == 5
    assert shop.accounts().held == 3
    shop.waive("orders:quarantined", "b")
    repaired = ended(job(shop, "--batch", "b"))
    assert repaired[0] == 0
    assert shop.accounts().quarantined == {"category": 3}


def test_each_run_of_the_job_is_told_with_its_files_its_tables_and_what_the_gates_found(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    good, bad = shop.file("good", orders(1, 5)), shop.file("bad", [order(n, channel="phone") for n in range(6, 9)])
    for name, path in (("a", good), ("b", bad)):
        ended(job(shop, "--batch", name, "--file", f"orders={path}"))
    lines = (tmp_path / "openlineage.jsonl").read_text().splitlines()
    _, whole, _, stopped = [json.loads(line) for line in lines]
    bronze, silver = (shop.lake.uri(f"{table}/orders") for table in ("events", "silver"))
    assert (whole["eventType"], whole["job"]["name"]) == ("COMPLETE", "ingest")
    assert [one["name"] for one in whole["inputs"]] == [str(good), bronze]
    assert [one["name"] for one in whole["outputs"]] == [bronze, silver]
    assert whole["outputs"][1]["outputFacets"]["outputStatistics"]["rowCount"] == 5
    assert stopped["eventType"] == "FAIL"
    assert [one["name"] for one in stopped["outputs"]] == [bronze]
    found = stopped["inputs"][1]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [one["assertion"] for one in found if not one["success"]] == ["quarantined"]


@pytest.mark.parametrize("turn", [1, 2])
def test_a_job_that_is_killed_at_any_moment_and_run_again_loses_nothing_and_doubles_nothing(
    tmp_path: Path, turn: int
) -> None:
    seed = int(os.environ.get("SLUICE_TEST_SEED") or time.time_ns() % 10**6) + turn
    sys.stdout.write(f"SLUICE_TEST_SEED={seed - turn} (turn {turn})\n")
    chance = random.Random(seed)
    shop = Shop(tmp_path)
    shop.archive("orders", orders(100, 130))
    files = ["--batch", "files", "--file", f"orders={shop.file('orders', ROWS)}"]
    begun = time.monotonic()
    assert ended(job(Shop(_folder(tmp_path / "timing")), *files))[0] == 0
    whole = time.monotonic() - begun
    for arguments in (files, ["--batch", "topic", "--from-bronze"]):
        for _ in range(2):
            process = job(shop, *arguments)
            time.sleep(whole * chance.uniform(0.3, 1.0))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert ended(job(shop, *arguments))[0] == 0
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (len(ROWS) + 31, 61, 2)
    assert (found.conflicts, found.quarantined) == (1, {"category": 1})


def test_a_driver_of_spark_that_is_killed_while_its_tasks_write_is_completed_by_the_next_run(
    tmp_path: Path, spark: SparkWorkers
) -> None:
    """Killed as soon as there are files for silver that no log names; Spark tells which tasks there were."""
    shop = Shop(tmp_path, spark)
    shop.deliver("before", orders=orders(28, 40))
    files = {"orders": shop.file("orders", ROWS), "returns": shop.file("returns", [returned(1), returned(2)])}
    named = [part for stream, path in files.items() for part in ("--file", f"{stream}={path}")]
    silver = Path(shop.lake.uri("silver/orders"))
    before, log = {*silver.glob("staged-*/*")}, _folder(tmp_path / "log")

    environment = {**engine_environment(settings()), "SLUICE_SPARK_LEAST_ROWS": "0"}
    process = job(shop, "--batch", "a", *named, command=submit(log), **environment)
    while {*silver.glob("staged-*/*")} == before and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    _, errors = ended(process)
    assert process.returncode == -signal.SIGKILL, errors
    assert {batch["batch"] for batch in shop.lake.published()} == {"before"}
    assert any("SparkListenerTaskEnd" in path.read_text() for path in log.rglob("*") if path.is_file())

    assert shop.deliver("a", **files) is None
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (13 + len(ROWS), 40, 5)
    assert (found.conflicts, found.quarantined) == (1, {"category": 1})
    assert shop.accounts("returns").silver == 2


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
