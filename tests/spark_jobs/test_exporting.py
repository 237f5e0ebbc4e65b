"""Exports into a real warehouse: all of a version or what was there before, and each once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from sluice.errors import DataError, Outage, UserError
from sluice.lake.exports import Outgoing
from sluice.lake.tables import Lake
from sluice.settings import settings
from spark_jobs.exporting import Order, export
from spark_jobs.jdbc import Connection, Jdbc, access
from tests.postgres_server import Postgres

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.integration

AT = 1_767_264_000_000_000
TARGET = "bank_vectors"


class Bank:
    """A lake with vectors of its own beside a warehouse."""

    def __init__(self, folder: Path, postgres: Postgres, session: SparkSession) -> None:
        self.folder, self.postgres, self.session = folder, postgres, session
        self.lake = Lake(str(folder), "bank")

    def add(self, *ids: int, table: str = "vectors") -> None:
        """Rows of some ids, in a file of their own."""
        self.lake.append(table, rows(*ids))

    def replace(self, *ids: int) -> None:
        """These rows in place of all others."""
        import deltalake

        deltalake.write_deltalake(self.lake.uri("vectors"), rows(*ids), mode="overwrite")

    @property
    def jdbc(self) -> Jdbc:
        return Jdbc(self.session, access(settings().warehouse))

    def order(self, version: int | None = None, into: str = TARGET, table: str = "vectors") -> Order:
        return Order(str(self.folder), "bank", table, into, AT, version)

    def export(self, jdbc: Jdbc | None = None, version: int | None = None, into: str = TARGET) -> Outgoing | None:
        settings.cache_clear()
        return export(jdbc or self.jdbc, self.order(version, into))

    def ids(self, table: str = TARGET) -> list[int]:
        """The ids that a reader of the warehouse sees."""
        return sorted(row[0] for row in self.postgres.run(f"SELECT event_id FROM {table}"))

    def tables(self) -> list[str]:
        return [
            row[0]
            for row in self.postgres.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        ]


def rows(*ids: int) -> pa.Table:
    """Vectors whose values follow from their ids."""
    return pa.table(
        {
            "event_id": pa.array(ids, pa.int64()),
            "event_time": pa.array([AT + number for number in ids], pa.int64()),
            "card": pa.array([f"c{number}" for number in ids]),
            "label": pa.array([number % 2 if number % 3 else None for number in ids], pa.int8()),
            "spend__mean_1d": pa.array([number / 3 if number % 2 else None for number in ids], pa.float64()),
            "vector": pa.array([bytes([number % 256, 0, 255]) for number in ids], pa.binary()),
            "degraded": pa.array([number == 1 for number in ids]),
        }
    )


@pytest.fixture
def bank(tmp_path: Path, postgres: Postgres, spark_session: SparkSession) -> Bank:
    return Bank(tmp_path, postgres, spark_session)


def test_every_value_arrives_exactly_and_times_are_times(bank: Bank) -> None:
    bank.add(1, 2)
    bank.add(3)
    sent = bank.export()
    assert sent is not None
    assert (sent.version, sent.rows) == (1, 3)
    assert sorted(bank.postgres.run(f"SELECT * FROM {TARGET}")) == [
        (1, _moment(1), "c1", 1, 1 / 3, b"\x01\x00\xff", True),
        (2, _moment(2), "c2", 0, None, b"\x02\x00\xff", False),
        (3, _moment(3), "c3", None, 1.0, b"\x03\x00\xff", False),
    ]
    assert bank.tables() == [TARGET, "sluice_exports"]
    assert bank.postgres.run("SELECT target, version, row_count, exported_at FROM sluice_exports") == [
        (TARGET, 1, 3, AT)
    ]


def _moment(number: int) -> dt.datetime:
    return dt.datetime(2026, 1, 1, 10, 40, 0, number, dt.UTC)


def test_an_export_again_changes_nothing(bank: Bank) -> None:
    bank.add(1, 2)
    bank.export()
    before = bank.postgres.run(f"SELECT xmin::text, event_id FROM {TARGET} ORDER BY 2")
    assert bank.export() is None
    assert bank.postgres.run(f"SELECT xmin::text, event_id FROM {TARGET} ORDER BY 2") == before


def test_what_has_grown_is_sent_in_part_and_what_has_changed_as_a_whole(bank: Bank) -> None:
    bank.add(1, 2)
    bank.export()
    bank.add(3)
    grown = bank.export()
    assert grown is not None
    assert (grown.rows, grown.replaces, bank.ids()) == (1, False, [1, 2, 3])
    bank.replace(2, 4)
    changed = bank.export()
    assert changed is not None
    assert (changed.rows, changed.replaces, bank.ids()) == (2, True, [2, 4])
    back = bank.export(version=1)
    assert back is not None
    assert (back.rows, bank.ids()) == (3, [1, 2, 3])


def test_a_lake_that_was_made_anew_is_another_one(bank: Bank) -> None:
    import shutil

    bank.add(1, 2)
    bank.export()
    shutil.rmtree(bank.folder / "bank")
    bank.add(7)
    bank.export()
    assert bank.ids() == [7]


def test_a_target_that_was_dropped_is_made_again(bank: Bank) -> None:
    bank.add(1, 2)
    bank.export()
    bank.postgres.run(f"DROP TABLE {TARGET}")
    bank.export()
    assert bank.ids() == [1, 2]


def test_a_target_may_lie_in_a_schema_and_its_name_is_checked(bank: Bank) -> None:
    bank.postgres.run("CREATE SCHEMA ml")
    bank.add(5)
    bank.export(into="ml.vectors")
    assert bank.ids("ml.vectors") == [5]
    with pytest.raises(UserError, match=r"'v; DROP TABLE x' cannot be the name of a table"):
        bank.order(into="v; DROP TABLE x")


class Killed(BaseException):
    """The process is no more."""


class Mortal(Jdbc):
    """A warehouse whose client dies before its nth step, or right after it; the server takes back what was open."""

    def __init__(self, alive: Jdbc, steps: int, *, after: bool) -> None:
        super().__init__(alive.spark, alive.access)
        self.left, self.after, self.done = steps, after, []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if self.left == 0 and not self.after:
            raise Killed
        self.done.append(name)
        yield
        if self.left == 0:
            raise Killed
        self.left -= 1

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with super().connect() as opened:
            yield MortalConnection(self, opened._opened)

    def write(self, rows: DataFrame, table: str, mode: str) -> None:
        with self.step(f"write {table}"):
            super().write(rows, table, mode)


class MortalConnection(Connection):
    def run(self, sql: str, *values: str | int | None) -> int:
        with self._warehouse.step(sql.partition(" ")[0]):
            return super().run(sql, *values)


STEPS = [
    *("CREATE", "UPDATE", f"write {TARGET}__staging", "DELETE", "INSERT", "UPDATE", "DROP"),
]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("steps", range(len(STEPS)))
def test_after_a_death_at_any_step_the_target_has_all_or_nothing_of_a_version(
    bank: Bank, steps: int, *, after: bool
) -> None:
    bank.add(1, 2, 3)
    bank.export()
    bank.replace(3, 4, 5, 6)
    mortal = Mortal(bank.jdbc, steps, after=after)
    with pytest.raises(Killed):
        bank.export(mortal)
    assert mortal.done == STEPS[: steps + after]
    committed = steps == len(STEPS) - 1
    assert bank.ids() == ([3, 4, 5, 6] if committed else [1, 2, 3])
    sent = bank.export()
    assert (sent is None) == committed
    assert bank.ids() == [3, 4, 5, 6]
    assert bank.tables() == [TARGET, "sluice_exports"]


FIRST = ["CREATE", "INSERT", f"write {TARGET}", "UPDATE", "UPDATE", f"write {TARGET}__staging"]


@pytest.mark.parametrize("steps", range(len(FIRST)))
def test_after_a_death_in_the_first_export_the_next_one_makes_the_table(bank: Bank, steps: int) -> None:
    bank.add(1, 2)
    mortal = Mortal(bank.jdbc, steps, after=True)
    with pytest.raises(Killed):
        bank.export(mortal)
    assert mortal.done == FIRST[: steps + 1]
    bank.export()
    assert bank.ids() == [1, 2]


def test_rows_that_another_job_staged_beside_ours_do_not_get_in(bank: Bank) -> None:
    bank.add(1, 2)
    bank.export()
    bank.add(3)

    class Haunted(Jdbc):
        """Tasks of a job that was killed are still writing."""

        def write(self, rows: DataFrame, table: str, mode: str) -> None:
            super().write(rows, table, mode)
            if table.endswith("__staging"):
                super().write(rows, table, "append")

    with pytest.raises(Outage, match="2 rows were staged, and 1 were sent"):
        bank.export(Haunted(bank.jdbc.spark, bank.jdbc.access))
    assert bank.ids() == [1, 2]
    bank.export()
    assert bank.ids() == [1, 2, 3]


def test_of_two_exports_at_once_the_second_waits_and_finds_it_done(bank: Bank) -> None:
    from concurrent.futures import ThreadPoolExecutor

    bank.add(1, 2, 3)
    bank.export()
    bank.add(4)
    with ThreadPoolExecutor(2) as threads:
        jdbc = bank.jdbc
        both = list(threads.map(lambda _: export(jdbc, bank.order()), range(2)))
    assert sorted(one is None for one in both) == [False, True]
    assert bank.ids() == [1, 2, 3, 4]


def test_a_table_that_no_export_has_made_is_left_alone(bank: Bank) -> None:
    bank.add(1)
    bank.postgres.run(f"CREATE TABLE {TARGET} (event_id bigint)")
    bank.postgres.run(f"INSERT INTO {TARGET} VALUES (99)")
    with pytest.raises(UserError, match="bank_vectors: the table is there, and no export has made it"):
        bank.export()
    assert bank.ids() == [99]


def test_other_columns_are_told(bank: Bank) -> None:
    bank.add(1)
    bank.export()
    bank.postgres.run(f"ALTER TABLE {TARGET} ADD more text")
    with pytest.raises(UserError, match="the table has other columns: more"):
        bank.export()


@pytest.mark.parametrize(
    ("table", "version", "kind", "message"),
    [
        ("vector", None, UserError, "unknown table 'vector'\n  allowed: predictions, vectors, vectors_as_served"),
        ("predictions", None, DataError, "there is no table 'predictions'"),
        ("vectors", 9, UserError, "there is no version 9 of 'vectors'"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_written(
    bank: Bank, table: str, version: int | None, kind: type[Exception], message: str
) -> None:
    bank.add(1)
    settings.cache_clear()
    with pytest.raises(kind, match=message):
        export(bank.jdbc, bank.order(version, table=table))
    assert bank.tables() == []


def test_predictions_go_out_as_they_are_logged(bank: Bank) -> None:
    bank.add(1, 2, table="predictions")
    settings.cache_clear()
    export(bank.jdbc, bank.order(into="bank_predictions", table="predictions"))
    assert bank.ids("bank_predictions") == [1, 2]
