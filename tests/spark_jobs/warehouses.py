"""The ledger's tables in a warehouse, and what its lake makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sluice.declare.loading import load_pipeline
from sluice.lake.accounts import Accounts, accounts
from sluice.lake.imports import Import
from sluice.lake.tables import Lake
from sluice.lake.workers import Here, Workers
from sluice.settings import settings
from spark_jobs.importing import Asked, bring
from spark_jobs.jdbc import Jdbc, access
from tests.doctor import ailments
from tests.postgres_server import Postgres

FILE = Path(__file__).with_name("ledger.py")
AT = 1_767_264_000_000_000
"""2026-01-01 10:40 UTC."""
MINUTE = 60_000_000
TABLES = """
CREATE SCHEMA sales;
CREATE TABLE sales.payments (
    payment_id bigint PRIMARY KEY, paid_at timestamptz, card text, total numeric, memo bytea,
    updated_at timestamptz, changes integer NOT NULL DEFAULT 0
);
CREATE TABLE sales.disputes (
    dispute_id bigint PRIMARY KEY, told_at timestamp, payment_id bigint, disputed boolean, number bigserial
);
"""


class Ledger:
    """A lake of its own beside a warehouse."""

    def __init__(self, folder: Path, postgres: Postgres, session: SparkSession, *, file: Path = FILE) -> None:
        self.folder, self.postgres, self.session, self.file = folder, postgres, session, file
        self.lake = Lake(str(folder / "lake"), "ledger")
        self.imports = 0

    @property
    def jdbc(self) -> Jdbc:
        settings.cache_clear()
        return Jdbc(self.session, access(settings().warehouse))

    def pay(self, first: int, last: int, at: str = "2026-01-01 10:00+00") -> None:
        """Payments of some numbers, both included, all of one moment."""
        self.postgres.run(
            "INSERT INTO sales.payments SELECT n, '2026-01-01 09:00+00'::timestamptz + n * interval '1 second',"
            f" 'c' || n % 3, n + 0.25, convert_to('m' || n, 'UTF8'), '{at}' FROM generate_series({first}, {last}) n"
        )

    def dispute(self, *payments: int) -> None:
        """Disputes of payments."""
        for number in payments:
            self.postgres.run(
                "INSERT INTO sales.disputes (dispute_id, told_at, payment_id, disputed)"
                f" VALUES ({1000 + number}, '2026-01-01 10:30', {number}, true)"
            )

    def asked(self, **how: Any) -> Asked:
        """The next import."""
        self.imports += 1
        given = {"batch": f"import-{self.imports}", "at": AT + self.imports * MINUTE, "streams": ("payments",), **how}
        return Asked(str(self.file), str(self.folder / "lake"), folder=self.folder / "imports", **given)

    def bring(self, workers: Workers | None = None, **how: Any) -> list[Import]:
        """Import what is new."""
        return bring(workers or Here(), self.jdbc, self.asked(**how))

    def ids(self, stream: str = "payments") -> list[int]:
        """The ids in history."""
        return sorted(int(row["_id"]) for row in self.lake.rows(f"silver/{stream}"))

    def sums(self, stream: str = "payments") -> Accounts:
        """The accounts of a stream, whose sums must close, of a lake that the doctor finds nothing wrong with."""
        found = accounts(self.lake, stream)
        assert found.missing == 0, found
        assert ailments(self.lake, load_pipeline(str(self.file))) == []
        return found


def declared(folder: Path, before: str, after: str) -> Path:
    """The ledger's declaration with one thing said otherwise."""
    text = FILE.read_text()
    assert text.count(before) == 1
    path = folder / "ledger.py"
    path.write_text(text.replace(before, after))
    return path
