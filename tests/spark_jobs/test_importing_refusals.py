"""What stands in the way of an import is told to the one who can mend it, and without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import DataError, ServiceDown, SluiceError, UserError
from tests.spark_jobs.warehouses import Ledger, declared

pytestmark = pytest.mark.integration


def test_a_row_without_a_watermark_is_told_and_not_passed_over(ledger: Ledger) -> None:
    ledger.pay(1, 3)
    ledger.postgres.run("UPDATE sales.payments SET updated_at = null WHERE payment_id = 2")
    with pytest.raises(DataError, match="1 rows have no 'updated_at', and no import would ever read them"):
        ledger.bring()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            'watermark="updated_at"',
            'watermark="update_at"',
            (
                "payments: Warehouse(watermark): unknown column 'update_at'\n"
                "  allowed: card, changes, memo, paid_at, payment_id, total, updated_at\n"
                "  next: did you mean 'updated_at'?"
            ),
        ),
        (
            'table="sales.payments"',
            'table="sales.paiments"',
            (
                'payments: sales.paiments: relation "sales.paiments" does not exist\n'
                "  next: mend what the stream's Warehouse declares"
            ),
        ),
        (
            'watermark="updated_at"',
            'watermark="card"',
            (
                "payments: Warehouse(watermark): 'c2' of type text is no watermark\n"
                "  allowed: a time, a date, or a whole number"
            ),
        ),
        (
            'partition="payment_id"',
            'partition="card"',
            (
                "payments: Warehouse(partition): 'c0' of type text cannot be divided\n"
                "  allowed: a number, a date, or a time"
            ),
        ),
        (
            'overlap="15min"',
            "overlap=15",
            ("Warehouse: overlap=15, and the watermark 'updated_at' is a time\n  allowed: a duration, such as '15min'"),
        ),
    ],
)
def test_what_the_declaration_says_wrong_is_the_callers_mistake(
    ledger: Ledger, tmp_path: Path, before: str, after: str, message: str
) -> None:
    ledger.pay(1, 4)
    ledger.file = declared(tmp_path, before, after)
    with pytest.raises(UserError) as raised:
        ledger.bring()
    assert str(raised.value) == message
    assert ledger.lake.version("imports") == -1


@pytest.mark.parametrize(
    ("name", "value", "kind", "message"),
    [
        (
            "SLUICE_WAREHOUSE_PASSWORD",
            "guessed",
            UserError,
            (
                'password authentication failed for user "sluice"\n'
                "  next: mend SLUICE_WAREHOUSE_USER and SLUICE_WAREHOUSE_PASSWORD"
            ),
        ),
        (
            "SLUICE_WAREHOUSE_URL",
            "jdbc:postgresql://127.0.0.1:9/bank?password=hush",
            ServiceDown,
            "127.0.0.1:9 refused",
        ),
        ("SLUICE_WAREHOUSE_URL", "postgresql://host/bank", UserError, "SLUICE_WAREHOUSE_URL: it is no JDBC URL"),
        ("SLUICE_WAREHOUSE_URL", "jdbc:oracle:thin:@host", UserError, "nobody knows the driver of 'oracle'"),
        ("SLUICE_WAREHOUSE_URL", "jdbc:redshift://host/bank", UserError, "com.amazon.redshift.Driver is in no jar"),
    ],
)
def test_a_warehouse_that_cannot_be_entered_is_told_without_a_secret(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, name: str, value: str, kind: type[SluiceError], message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(kind) as raised:
        ledger.bring()
    assert message in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("guessed", "hush", ledger.postgres.password))


def test_a_stream_without_a_warehouse_is_not_imported(ledger: Ledger, tmp_path: Path) -> None:
    ledger.file = declared(
        tmp_path,
        "    warehouse=Warehouse(\n        query",
        "    sources={}, retention='400d') or dict(\n    x=dict(\n        query",
    )
    with pytest.raises(UserError, match="no warehouse is declared of disputes"):
        ledger.bring(streams=("disputes",))
