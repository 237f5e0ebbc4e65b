"""Who enters a warehouse is read from the settings, shown nowhere, and what a warehouse says is told as our errors."""

from __future__ import annotations

import pytest

from sluice.errors import DataError, Outage, ServiceDown, SettingsError, SluiceError, UserError
from sluice.settings import Warehouse
from spark_jobs.jdbc import Access, access, error_of

pytestmark = pytest.mark.unit

URL = "jdbc:postgresql://host:5432/bank?sslmode=require&password=hush"


def test_who_enters_is_shown_nowhere() -> None:
    options = '{"sslpassword": "deep", "fetchsize": 5}'
    entry = access(Warehouse.model_validate({"url": URL, "user": "ada", "password": "secret", "options": options}))
    assert not any(word in repr(entry) for word in ("hush", "secret", "deep"))
    assert entry.shown == "jdbc:postgresql://host:5432/bank"
    assert entry.masked(f"{URL}: ada, secret, deep, 5") == "jdbc:postgresql://host:5432/bank: ada, ***, ***, 5"


def test_the_driver_is_that_of_the_url_unless_another_is_named() -> None:
    assert access(Warehouse(url=URL)).driver == "org.postgresql.Driver"
    other = access(Warehouse(url="jdbc:duckdb:", options='{"driver": "org.duckdb.DuckDBDriver", "fetchsize": 5}'))
    assert (other.driver, other.secrets) == ("org.duckdb.DuckDBDriver", {"fetchsize": "5"})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "SLUICE_WAREHOUSE_URL: no warehouse is named"),
        ({"url": "postgresql://u:hush@host/bank"}, "SLUICE_WAREHOUSE_URL: it is no JDBC URL"),
        ({"url": "jdbc:oracle:thin:@host"}, "SLUICE_WAREHOUSE_URL: nobody knows the driver of 'oracle'"),
        ({"url": URL, "options": "sslmode=hush"}, "SLUICE_WAREHOUSE_OPTIONS: it is no JSON object"),
        ({"url": URL, "options": "[1]"}, "SLUICE_WAREHOUSE_OPTIONS: it is no JSON object"),
    ],
)
def test_a_warehouse_that_cannot_be_meant_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        access(Warehouse(**given))
    assert str(raised.value).startswith(message)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("28P01", UserError),
        ("3D000", UserError),
        ("42P01", UserError),
        ("42501", UserError),
        ("08001", ServiceDown),
        ("57P01", Outage),
        ("40001", Outage),
        ("23505", Outage),
        ("22003", DataError),
        ("", DataError),
    ],
)
def test_a_sqlstate_says_who_can_mend_it(state: str, kind: type[SluiceError]) -> None:
    assert type(error_of(state, "no", "there")) is kind


def test_a_warehouse_that_enters_without_a_password_is_one_too() -> None:
    assert access(Warehouse(url="jdbc:postgresql://host/bank")) == Access(
        "jdbc:postgresql://host/bank", "org.postgresql.Driver", {}
    )
