"""Imports from a real warehouse: nothing is lost or doubled, whatever comes late, changes, or dies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
import pytest

from sluice.errors import DataError, GateStopped, UserError
from sluice.lake.delivery import Delivery
from sluice.lake.imports import announce, announced, unfinished
from sluice.lake.waivers import Waiver, grant
from sluice.lake.workers import Here
from spark_jobs.importing import read_all
from spark_jobs.ingest import ingest
from tests.spark_jobs.warehouses import AT, FILE, MINUTE, Ledger, declared

pytestmark = pytest.mark.integration

W = TypeVar("W")
R = TypeVar("R")


def test_an_import_again_reads_nothing_and_adds_nothing(ledger: Ledger) -> None:
    ledger.pay(1, 10)
    (first,) = ledger.bring()
    assert (first.stream, first.since, first.until, first.rows) == ("payments", None, "2026-01-01T10:00:00Z", 10)
    assert ledger.ids() == list(range(1, 11))
    assert ledger.bring() == []
    assert [batch["batch"] for batch in ledger.lake.published()] == ["import-1"]
    assert list((ledger.folder / "imports").iterdir()) == []


def test_an_import_goes_on_from_the_watermark_and_what_is_read_twice_is_a_duplicate(ledger: Ledger) -> None:
    ledger.pay(1, 3, "2026-01-01 09:00+00")
    ledger.pay(4, 6, "2026-01-01 09:50+00")
    ledger.bring()
    ledger.pay(7, 8, "2026-01-01 12:00+02")
    (second,) = ledger.bring()
    assert (second.since, second.until, second.rows) == ("2026-01-01T09:35:00Z", "2026-01-01T10:00:00Z", 5)
    found = ledger.sums()
    assert (found.produced_bronze, found.silver, found.duplicates) == (11, 8, 3)


def test_a_row_that_is_committed_late_with_an_older_watermark_is_caught(ledger: Ledger) -> None:
    ledger.pay(1, 5)
    with ledger.postgres.connect(autocommit=False) as slow:
        slow.execute(
            "INSERT INTO sales.payments VALUES (9, '2026-01-01 09:50+00', 'c1', 5, null, '2026-01-01 09:59+00')"
        )
        (first,) = ledger.bring()
        assert (first.rows, first.until) == (5, "2026-01-01T10:00:00Z")
        slow.commit()
    (second,) = ledger.bring()
    assert second.until == first.until
    assert ledger.ids() == [1, 2, 3, 4, 5, 9]
    assert ledger.bring() == []


def test_a_changed_row_replaces_by_its_revision(ledger: Ledger) -> None:
    ledger.pay(1, 2)
    ledger.bring()
    ledger.postgres.run(
        "UPDATE sales.payments SET total = 7, changes = 1, updated_at = '2026-01-01 10:05+00' WHERE payment_id = 2"
    )
    ledger.bring()
    rows = ledger.lake.rows("silver/payments")
    assert sorted((row["_id"], row["_revision"], str(row["amount"])) for row in rows) == [
        (1, 0, "1.25"),
        (2, 0, "2.25"),
        (2, 1, "7.00"),
    ]
    assert (ledger.sums().duplicates, ledger.sums().conflicts) == (1, 0)


def test_streams_are_one_delivery_and_a_watermark_may_count(ledger: Ledger) -> None:
    ledger.pay(1, 6)
    ledger.dispute(1, 2, 3, 4)
    both = ledger.bring(streams=())
    assert [(one.stream, one.rows, one.until) for one in both] == [
        ("payments", 6, "2026-01-01T10:00:00Z"),
        ("disputes", 4, "4"),
    ]
    ledger.dispute(5)
    (disputes,) = ledger.bring(streams=())
    assert (disputes.stream, disputes.since, disputes.until, disputes.rows) == ("disputes", "2", "5", 4)
    assert ledger.ids("disputes") == [1001, 1002, 1003, 1004, 1005]
    assert ledger.sums("disputes").duplicates == 3


def test_values_keep_their_exact_meaning_whatever_zone_the_machine_is_in(ledger: Ledger) -> None:
    ledger.postgres.run(
        "INSERT INTO sales.payments VALUES"
        " (1, '2026-03-29 01:30:00.123456+00', 'größe', 999.99, convert_to('naïve', 'UTF8'), '2026-01-01 10:00+00'),"
        " (2, '2026-03-29 03:30:00+02', 'c', 0.10, null, '2026-01-01 10:00+00'),"
        " (3, '2026-03-29 01:30:00+00', null, 1, null, '2026-01-01 10:00+00'),"
        " (4, '2026-03-29 01:30:00+00', 'c', null, null, '2026-01-01 10:00+00'),"
        " (5, '2026-03-29 01:30:00+00', 'c', 1, '\\xff00', '2026-01-01 10:00+00')"
    )
    ledger.postgres.run("INSERT INTO sales.disputes VALUES (7, '2026-03-29 02:30:00', 1, false)")
    ledger.bring(streams=())
    rows = {row["_id"]: row for row in ledger.lake.rows("silver/payments")}
    assert {key: (row["_time"], row["card"], str(row["amount"]), row["memo"]) for key, row in rows.items()} == {
        1: (1_774_747_800_123_456, "größe", "999.99", "naïve"),
        2: (1_774_747_800_000_000, "c", "0.10", None),
    }
    refused = {(row["rule"], row["column"], row["value"]) for row in ledger.lake.rows("quarantine/payments")}
    assert refused == {
        ("missing", "card", "null"),
        ("missing", "amount", "null"),
        ("type", "memo", '{"base64":"/wA="}'),
    }
    # a time without a zone is UTC, also one that the clocks of the machine's zone skip
    (dispute,) = ledger.lake.rows("silver/disputes")
    assert (dispute["_time"], dispute["disputed"]) == (1_774_751_400_000_000, 0)


def test_a_number_that_is_too_great_stops_the_import_and_is_told(ledger: Ledger) -> None:
    ledger.pay(1, 3)
    ledger.postgres.run("UPDATE sales.payments SET total = 1e30 WHERE payment_id = 2")
    with pytest.raises(DataError, match=r"payments: .*cannot be represented as Decimal") as raised:
        ledger.bring()
    assert raised.value.next_step == "mend the rows, or leave them out: Warehouse(query=…)"
    assert ledger.lake.version("imports") == -1


def test_parts_have_every_row_once(ledger: Ledger) -> None:
    ledger.pay(1, 100)
    for old, new in ((99, 50_000), (100, 100_000)):
        ledger.postgres.run(f"UPDATE sales.payments SET payment_id = {new} WHERE payment_id = {old}")
    asked = ledger.asked()
    (one,) = read_all(ledger.jdbc, asked)
    files = sorted(Path(one.folder).glob("*.parquet"))
    assert len(files) == 3
    tables = [pq.read_table(file) for file in files]
    assert sorted(number for table in tables for number in table.column("payment_id").to_pylist()) == [
        *range(1, 99),
        50_000,
        100_000,
    ]
    assert set(tables[0].column_names) == {"payment_id", "paid_at", "card", "total", "memo", "_revision"}


@pytest.mark.parametrize("parts", ["paid_at", "paid_on", "half"])
def test_rows_are_divided_by_times_dates_and_fractions_too(ledger: Ledger, tmp_path: Path, parts: str) -> None:
    ledger.pay(1, 40)
    ledger.postgres.run("ALTER TABLE sales.payments ADD paid_on date, ADD half numeric(8, 1)")
    ledger.postgres.run(
        "UPDATE sales.payments SET paid_on = date '2026-01-01' + payment_id::int, half = payment_id / 2.0"
    )
    ledger.file = declared(tmp_path, 'partition="payment_id"', f'partition="{parts}"')
    (one,) = ledger.bring()
    assert one.rows == 40
    assert ledger.ids() == list(range(1, 41))


class Killed(BaseException):
    """The process is no more."""


class Mortal(Here):
    """Workers whose process dies in the middle of the nth step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def each(self, task: Callable[[W], R], work: Sequence[W], *, rows: int) -> list[R]:
        if self.left == 0:
            for piece in work[:1]:
                task(piece)
            raise Killed
        self.left -= 1
        return super().each(task, work, rows=rows)


def _read_only(ledger: Ledger) -> None:
    read_all(ledger.jdbc, ledger.asked(streams=()))


def _announce_only(ledger: Ledger) -> None:
    announce(ledger.lake, read_all(ledger.jdbc, ledger.asked(streams=())))


def _lose_a_file(ledger: Ledger) -> None:
    """Somebody has tidied up, but not everywhere."""
    _announce_only(ledger)
    next((ledger.folder / "imports").glob("*/payments/*.parquet")).unlink()


def _die(steps: int) -> Callable[[Ledger], None]:
    def dying(ledger: Ledger) -> None:
        with pytest.raises(Killed):
            ledger.bring(Mortal(steps), streams=())

    return dying


def _keep_files(ledger: Ledger) -> None:
    """All is done but that the files are removed."""
    asked = ledger.asked(streams=())
    read = read_all(ledger.jdbc, asked)
    announce(ledger.lake, read)
    files = [(one.stream, path) for one in read for path in Path(one.folder).glob("*.parquet")]
    ingest(Here(), Delivery(asked.pipeline, asked.lake, asked.batch, asked.at, files=files))


@pytest.mark.parametrize(
    "death",
    [
        pytest.param(_read_only, id="read"),
        pytest.param(_announce_only, id="announced"),
        pytest.param(_lose_a_file, id="a file lost"),
        *(pytest.param(_die(steps), id=f"step {steps}") for steps in range(4)),
        pytest.param(_keep_files, id="published"),
    ],
)
def test_after_a_death_at_any_step_the_next_import_has_all_rows_once(
    ledger: Ledger, death: Callable[[Ledger], None]
) -> None:
    ledger.pay(1, 6, "2026-01-01 08:00+00")
    ledger.dispute(1, 2)
    ledger.bring(streams=())
    ledger.pay(7, 12)
    ledger.dispute(7)
    death(ledger)
    # what came in the meantime is read, too
    ledger.pay(13, 14, "2026-01-01 10:10+00")
    ledger.bring(streams=())
    assert (ledger.ids(), ledger.ids("disputes")) == (list(range(1, 15)), [1001, 1002, 1007])
    found = ledger.sums()
    assert (found.silver, found.waiting, found.held) == (14, 0, 0)
    assert ledger.sums("disputes").waiting == 0
    assert unfinished(ledger.lake, ledger.asked().declared()) == {}
    left = {path.name.rpartition("-")[0] for path in (ledger.folder / "imports").iterdir()}
    assert left == ({"import-2"} if death is _read_only else set())
    assert ledger.bring(streams=()) == []


def test_an_import_that_a_gate_stopped_is_read_again_and_nothing_of_it_is_lost(ledger: Ledger) -> None:
    ledger.pay(1, 2)
    ledger.postgres.run("UPDATE sales.payments SET total = -1")
    with pytest.raises(GateStopped, match=r"payments: quarantined: 100\.00%"):
        ledger.bring()
    ledger.postgres.run("UPDATE sales.payments SET total = 5, updated_at = '2026-01-01 10:05+00'")
    (one,) = ledger.bring()
    assert (one.since, one.rows) == (None, 2)
    assert ledger.ids() == [1, 2]
    assert (ledger.sums().held, ledger.sums().silver) == (2, 2)


def test_a_stopped_import_that_a_person_lets_pass_is_reached(ledger: Ledger) -> None:
    ledger.pay(1, 2)
    ledger.postgres.run("UPDATE sales.payments SET total = -1 WHERE payment_id = 1")
    ledger.postgres.run("UPDATE sales.payments SET total = -1 WHERE payment_id = 2")
    with pytest.raises(GateStopped):
        ledger.bring()
    with pytest.raises(UserError, match="the same bytes were delivered as batch 'import-1'"):
        ledger.bring()
    grant(ledger.lake, Waiver("payments", "quarantined", "import-1", "Ada", "a test", AT, AT + 60 * MINUTE))
    ingest(Here(), Delivery(str(FILE), str(ledger.folder / "lake"), "import-1", AT + MINUTE))
    assert ledger.bring() == []
    assert ledger.sums().quarantined == {"range": 2}


def test_another_source_is_begun_from_its_beginning(ledger: Ledger, tmp_path: Path) -> None:
    ledger.pay(1, 4)
    ledger.bring()
    ledger.postgres.run("CREATE VIEW sales.more AS SELECT * FROM sales.payments")
    ledger.file = declared(tmp_path, 'table="sales.payments"', 'table="sales.more"')
    (one,) = ledger.bring()
    assert (one.since, one.rows) == (None, 4)
    # the same bytes are the same file, and it is reached all the same
    assert ledger.sums().produced_bronze == 4
    assert ledger.bring() == []


def test_everything_is_read_again_when_asked_for(ledger: Ledger) -> None:
    ledger.pay(1, 4)
    ledger.bring()
    ledger.postgres.run("UPDATE sales.payments SET memo = 'first' WHERE payment_id = 1")
    assert ledger.bring() == []
    (one,) = ledger.bring(whole=True)
    assert (one.since, one.rows) == (None, 4)
    found = ledger.sums()
    assert (ledger.ids(), found.conflicts) == ([1, 1, 2, 3, 4], 1)


def test_an_import_of_a_name_that_is_there_is_done(ledger: Ledger) -> None:
    ledger.pay(1, 2)
    ledger.bring(batch="monday")
    ledger.pay(3, 4, "2026-01-01 11:00+00")
    assert ledger.bring(batch="monday") == []
    assert [one.batch for one in announced(ledger.lake)] == ["monday"]
