"""The commands around a pipeline's features: explain, get, compute, freeze, thaw, versions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.declare.loading import load_pipeline
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.places import open_store
from sluice.lake.event_tables import enter_all
from sluice.settings import settings
from tests.sluice.cli.conftest import sluice
from tests.sluice.lake.lineage.told import runs

pytestmark = pytest.mark.integration
SPARK_WORTHY = 260_000
"""Rows from which a job starts Spark rather than working in its own process."""
CLINIC = Path(__file__).parents[1] / "feast" / "clinic.py"


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """The clinic's declaration in a file that may be changed."""
    file = tmp_path / "clinic.py"
    file.write_text(CLINIC.read_text())
    return file


def change(file: Path, before: str, after: str) -> None:
    file.write_text(file.read_text().replace(before, after))


def test_a_frozen_declaration_is_refused_until_it_is_accepted_or_thawed(clinic: Path) -> None:
    frozen = sluice("features", "freeze", str(clinic))
    assert (frozen.returncode, "clinic is frozen as definition" in frozen.stdout) == (0, True)
    assert clinic.with_name("clinic.lock.json").is_file()

    change(clinic, 'delay="1d"', 'delay="2d"')
    refused = sluice("features", "freeze", str(clinic))
    assert refused.returncode == 2
    assert "view ward, delay: 1d → 2d" in refused.stderr
    assert "--again" in refused.stderr

    accepted = sluice("features", "freeze", str(clinic), "--again")
    assert (accepted.returncode, accepted.stdout.splitlines()[0]) == (0, "view ward, delay: 1d → 2d")
    assert "may change again" in sluice("features", "thaw", str(clinic)).stdout
    assert "was not frozen" in sluice("features", "thaw", str(clinic)).stdout


def test_versions_are_told_with_what_changed(clinic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice.feast.registry import apply

    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    assert "does not know clinic yet" in sluice("features", "versions", str(clinic)).stdout
    apply(load_pipeline(str(clinic)))
    change(clinic, 'delay="1d"', 'delay="2d"')
    apply(load_pipeline(str(clinic)))

    told = sluice("features", "versions", str(clinic)).stdout.splitlines()

    assert [line.split()[0] for line in told if "@" in line] == ["patient@v0", "ward@v0", "ward@v1"]
    assert told[-1] == "    view ward, delay: 1d → 2d"


def test_values_of_a_file_are_computed_here_and_on_spark_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    events = tmp_path / "events.parquet"
    pq.write_table(handbook_rows(SPARK_WORTHY), events)
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"

    told = sluice("features", "compute", "handbook", "--events", str(events), "--out", str(here))
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("260,000 rows of transactions: values of 259,999 events in ")
    assert "transactions: 260,000 rows = 259,999 events + 1 refused" in told.stdout
    assert "refused: 1 rows of transactions, range amount" in told.stdout
    assert "the refused rows with their reasons: " in told.stdout

    on_spark = sluice(
        "features", "compute", "handbook", "--events", str(events), "--out", str(there), "--engine", "spark"
    )
    assert on_spark.returncode == 0, on_spark.stderr
    assert pq.read_table(there).equals(pq.read_table(here))
    begun = ("START", set(), set())
    assert runs(tmp_path / "home", "compute") == [
        begun,
        ("COMPLETE", {str(events)}, {str(here)}),
        begun,
        ("COMPLETE", {str(events)}, {str(there)}),
    ]


def test_a_computation_that_cannot_be_says_why(tmp_path: Path) -> None:
    missing = sluice("features", "compute", "handbook", "--events", str(tmp_path / "no"), "--out", str(tmp_path / "y"))
    assert (missing.returncode, "there is no such file" in missing.stderr) == (2, True)
    pq.write_table(handbook_rows(5).drop(["TX_AMOUNT"]), tmp_path / "x.parquet")
    other = sluice(
        "features", "compute", "handbook", "--events", str(tmp_path / "x.parquet"), "--out", str(tmp_path / "y")
    )
    assert (other.returncode, "no column TX_AMOUNT" in other.stderr) == (3, True)


def test_what_became_of_every_row_is_printed_as_a_sum(tmp_path: Path) -> None:
    rows = handbook_rows(9)
    more = pa.concat_tables([rows, rows.slice(2, 3)])
    control = {"_revision": [0] * 9 + [0, 1, 1], "_op": ["put"] * 11 + ["delete"]}
    table = pa.table({**dict(zip(more.column_names, more.columns, strict=True)), **control})
    pq.write_table(table, tmp_path / "x.parquet")

    told = computed(tmp_path / "x.parquet", tmp_path / "y")

    assert told.returncode == 0, told.stderr
    assert "transactions: 12 rows = 7 events + 1 refused + 1 deleted + 2 replaced by a higher revision + 1 copies" in (
        told.stdout.splitlines()
    )
    assert pq.read_table(tmp_path / "y.refused.parquet").column("row").to_pylist() == [7]
    assert (tmp_path / "y" / "_delta_log").is_dir()


def test_a_place_that_would_be_harmed_is_refused_without_a_traceback(tmp_path: Path) -> None:
    events = tmp_path / "x.parquet"
    pq.write_table(handbook_rows(5), events)
    before = events.read_bytes()
    for out, said in (
        (events, "would destroy the events"),
        (tmp_path, "would destroy the events"),
        (tmp_path / "values.csv", "values are not written as '.csv'"),
        (Path("/proc/x.parquet"), "it cannot be written"),
    ):
        refused = computed(events, out)
        assert (refused.returncode, refused.stdout, "Traceback" in refused.stderr) == (2, "", False)
        assert said in refused.stderr
        assert "allowed: " in refused.stderr
        assert "next: " in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
    assert events.read_bytes() == before


def test_the_help_of_compute_says_what_goes_in_and_what_comes_out() -> None:
    told = " ".join(sluice("features", "compute", "--help").stdout.replace("│", " ").split())
    for words in (
        "sluice features compute fraud --events lake/today --out values.parquet",
        "A parquet file or a Delta table of the scored events, or a folder with <stream>.parquet of each stream.",
        "<view>__<feature>",
        "<out>.refused.parquet",
        "A .parquet file, written anew if it is there",
        "a Delta table, which gets a new version",
    ):
        assert words in told


def computed(events: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return sluice("features", "compute", "handbook", "--events", str(events), "--out", str(out))


def test_every_feature_is_explained_with_its_cost() -> None:
    told = sluice("features", "explain", "handbook", "--events", "50")
    assert told.returncode == 0, told.stderr
    lines = {line.split()[0]: line for line in told.stdout.splitlines() if "__" in line}
    assert len(lines) == 17
    assert "mean of amount: transactions of the customer_id, this one included" in lines["customer__mean_amount_7d"]
    assert float(lines["customer__mean_amount_7d"].split()[-1]) > 0
    assert float(lines["moment__is_night"].split()[-1]) > 0
    assert told.stdout.splitlines()[-2].startswith("head: an entity's events, or where its leaves are and their ")
    assert told.stdout.splitlines()[-1].endswith("costs for an entity with 50 events in its window")


def test_an_entity_is_looked_up_with_the_events_behind_its_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    pipeline = load_pipeline("handbook")
    store = open_store(settings().online_uri, "handbook")
    events = {name: found.events for name, found in enter_all(pipeline, {"transactions": handbook_rows(400)}).items()}
    fold(pipeline, store, MicroBatch(events, {}, {}))
    store.close()

    told = sluice("features", "get", "handbook", "customer_id=3", "terminal_id=5", "--at", "2018-04-01T05:00:00Z")
    assert told.returncode == 0, told.stderr
    assert "customer: 30 rows in the longest window, 30d, of customer_id 3" in told.stdout
    assert "    2018-04-01T04:53:00Z  amount=2.93" in told.stdout
    assert "  terminal__count_1d                               0.0" in told.stdout

    kept = [line.split() for line in sluice("features", "sizes", "handbook", "--most", "1").stdout.splitlines()]
    assert kept[0] == ["view", "kept", "for", "entities", "events", "bytes", "tiles"]
    # two horizons, each of a window of thirty days and a day that an event may come late
    # a row is a time, an id, flags and an amount, a head begins with three words; the seventh row was refused
    assert kept[1] == ["customer", "62d", "10", "399", f"{10 * 24 + 399 * 32:,}"]
    assert kept[2][0] == "customer_id"
    assert kept[2][2:] == ["40", f"{24 + 40 * 32:,}", "0"]
    whole = sluice(
        "features", "get", "handbook", "customer_id=3", "terminal_id=5", "amount=1.00", "--at", "2018-04-01T05:00:00Z"
    )
    assert "  customer__count_1d                               31.0" in whole.stdout
    wrong = sluice("features", "get", "handbook", "custmer_id=3")
    assert (wrong.returncode, "did you mean 'customer_id'?" in wrong.stderr) == (2, True)
    assert sluice("features", "get", "handbook", "3").returncode == 2
    broken = sluice("features", "get", "handbook", "customer_id=\udcff")
    assert (broken.returncode, "is no value" in broken.stderr) == (2, True)
    refused = sluice("features", "get", "handbook", "customer_id=3", "amount=-5")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "amount='-5': range, allowed: 0 to 100000" in refused.stderr
    twice = sluice("features", "get", "handbook", "customer_id=3", "customer_id=4")
    assert (twice.returncode, "customer_id is given twice, as '3' and as '4'" in twice.stderr) == (2, True)


def handbook_rows(count: int) -> pa.Table:
    """Payments a minute apart of ten customers at seven terminals; the seventh amount is out of range."""
    number = np.arange(count)
    amounts = number / 100
    amounts[7:8] = 1e9
    return pa.table(
        {
            "TRANSACTION_ID": number,
            "TX_DATETIME": pa.array(1_522_540_800_000_000 + number * 60_000_000, pa.timestamp("us")),
            "CUSTOMER_ID": number % 10,
            "TERMINAL_ID": number % 7,
            "TX_AMOUNT": amounts,
            "TX_FRAUD": (number % 50 == 0).astype(np.int8),
        }
    )
