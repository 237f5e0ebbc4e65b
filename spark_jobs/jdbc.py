"""The warehouse over JDBC: rows by Spark, statements by the driver's own connection, errors in our words.

Who may enter is told by the settings (`SLUICE_WAREHOUSE_URL` and its like) and by nothing else: no argument of a job,
no error and no log has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from py4j.java_gateway import is_instance_of
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import DataFrame, SparkSession

from sluice.errors import DataError, Outage, ServiceDown, SettingsError, SluiceError, UserError
from sluice.settings import Warehouse

DRIVERS = {
    "jdbc:postgresql:": "org.postgresql.Driver",
    "jdbc:redshift:": "com.amazon.redshift.Driver",
    "jdbc:snowflake:": "net.snowflake.client.api.driver.SnowflakeDriver",
}
"""The class of the driver by the beginning of a URL; another one is named in SLUICE_WAREHOUSE_OPTIONS."""
_FETCHED = "10000"
"""Rows of one answer of the server; by default Postgres' driver takes all of them at once."""
_OUTAGES = ("08", "40", "53", "55", "57", "58", "23")
"""Classes of SQLSTATE in which trying again may help; 23 is met where two exports make one table at once."""
_NEXT = {
    "28": "mend SLUICE_WAREHOUSE_USER and SLUICE_WAREHOUSE_PASSWORD",
    "3D": "mend the database in SLUICE_WAREHOUSE_URL",
    "42501": "let the warehouse's administrator grant it",
    "08": "start it, or mend SLUICE_WAREHOUSE_URL, and run it again",
}
_SECRET = re.compile("pass|secret|token|key|credential", re.IGNORECASE)
"""Names of options whose values are shown to nobody."""
_MOST = 400


@dataclass(frozen=True)
class Access:
    """Where the warehouse is, and who enters; what it holds is shown to nobody."""

    url: str = field(repr=False)
    driver: str
    secrets: Mapping[str, str] = field(repr=False)
    """User, password, and whatever else the driver is given."""

    @property
    def shown(self) -> str:
        """Where it is, for a person to read: without parameters, in which a driver may take a password."""
        return self.url.partition("?")[0].partition(";")[0]

    def masked(self, text: str) -> str:
        """A text of the driver's without the password and the parameters of the URL."""
        hidden = [self.url, *(value for name, value in self.secrets.items() if _SECRET.search(name))]
        for secret in sorted((one for one in hidden if one), key=len, reverse=True):
            text = text.replace(secret, self.shown if secret == self.url else "***")
        return text


def access(settings: Warehouse) -> Access:
    """The warehouse of the settings; SettingsError while none is named."""
    url, more = settings.address(), _options(settings)
    driver = more.pop("driver", None) or next((DRIVERS[start] for start in DRIVERS if url.startswith(start)), None)
    if not url.startswith("jdbc:"):
        raise SettingsError(
            "it is no JDBC URL", where="SLUICE_WAREHOUSE_URL", allowed="jdbc:postgresql://host/database"
        )
    if driver is None:
        raise SettingsError(
            f"nobody knows the driver of {url.split(':')[1]!r}",
            where="SLUICE_WAREHOUSE_URL",
            allowed=DRIVERS,
            next_step='name its class: SLUICE_WAREHOUSE_OPTIONS=\'{"driver": "…"}\'',
        )
    password = None if settings.password is None else settings.password.get_secret_value()
    given = {"user": settings.user, "password": password}
    return Access(url, driver, {**more, **{name: value for name, value in given.items() if value is not None}})


def _options(settings: Warehouse) -> dict[str, str]:
    text = "{}" if settings.options is None else settings.options.get_secret_value()
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError("it is no JSON object", where="SLUICE_WAREHOUSE_OPTIONS", allowed='{"option": "value"}')
    return {name: str(value) for name, value in found.items()}


class Connection:
    """One connection of the driver; statements outside of a `transaction` are kept at once."""

    def __init__(self, warehouse: Jdbc, opened: Any) -> None:
        self._warehouse, self._opened = warehouse, opened

    @property
    def quote(self) -> str:
        """What stands around a name in this warehouse's SQL."""
        return str(self._opened.getMetaData().getIdentifierQuoteString()).strip()

    def run(self, sql: str, *values: str | int | None) -> int:
        """Run a statement with values for its question marks; how many rows it changed."""
        with self._statement(sql, values) as statement:
            return int(statement.executeLargeUpdate())

    def row(self, sql: str, *values: str | int | None) -> list[str | None] | None:
        """The first row of a query, each value as its text; None without rows."""
        with self._statement(sql, values) as statement:
            found = statement.executeQuery()
            if not found.next():
                return None
            return [found.getString(index + 1) for index in range(found.getMetaData().getColumnCount())]

    def columns(self, source: str) -> dict[str, str]:
        """The columns of a source with the names of their types; UserError when there is no such source."""
        with self._statement(f"SELECT * FROM {source} sluice WHERE 1 = 0", ()) as statement:  # noqa: S608 a declared name
            told = statement.executeQuery().getMetaData()
            numbers = range(1, told.getColumnCount() + 1)
            return {str(told.getColumnLabel(number)): str(told.getColumnTypeName(number)) for number in numbers}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block are kept together at its end, or none."""
        with self._warehouse.told():
            self._opened.setAutoCommit(False)
        try:
            yield
            with self._warehouse.told():
                self._opened.commit()
        finally:
            # after a commit there is nothing to take back, and a connection that broke takes all back by itself
            if not self._opened.isClosed():
                self._opened.rollback()
                self._opened.setAutoCommit(True)

    @contextmanager
    def _statement(self, sql: str, values: Sequence[str | int | None]) -> Iterator[Any]:
        with self._warehouse.told():
            statement = self._opened.prepareStatement(sql)
            try:
                for index, value in enumerate(values):
                    statement.setObject(index + 1, value)
                yield statement
            finally:
                statement.close()


class Jdbc:
    """The warehouse of one job, as its Spark session reaches it."""

    def __init__(self, spark: SparkSession, access: Access) -> None:
        self.spark, self.access = spark, access

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection of its own while the block runs; ServiceDown or UserError when there is none to be had."""
        with self.told():
            properties = self._jvm.java.util.Properties()
            for name, value in self.access.secrets.items():
                properties.setProperty(name, value)
            opened = self._driver().connect(self.access.url, properties)
        if opened is None:
            raise SettingsError(
                f"{self.access.driver} is no driver of {self.access.shown}", where="SLUICE_WAREHOUSE_OPTIONS"
            )
        try:
            yield Connection(self, opened)
        finally:
            opened.close()

    def read(self, source: str, slices: Mapping[str, str]) -> DataFrame:
        """The rows of a source, in parts where the slices say so."""
        return (
            self.spark.read.format("jdbc")
            .options(**self._options, dbtable=f"{source} sluice", **slices)
            # a time without a zone has none in history either: the contract takes it for UTC, whatever zone Java has
            .option("preferTimestampNTZ", "true")
            .load()
        )

    def write(self, rows: DataFrame, table: str, mode: str) -> None:
        """Write rows into a table, each part in a transaction of its own."""
        with self.told():
            rows.write.format("jdbc").options(**self._options, dbtable=table).mode(mode).save()

    @contextmanager
    def told(self, where: str | None = None) -> Iterator[None]:
        """What the driver or Spark raises in the block is an error of ours."""
        try:
            yield
        except SluiceError:
            raise
        except Exception as error:
            thrown = _thrown(error)
            if thrown is None:
                raise
            raise self._error(thrown, where) from None

    def _error(self, thrown: Any, where: str | None) -> SluiceError:
        causes = list(_causes(thrown))
        spoken = next((one for one in causes if is_instance_of(self._gateway, one, "java.sql.SQLException")), None)
        state = "" if spoken is None else str(spoken.getSQLState() or "")
        lines = str((spoken or causes[-1]).getMessage() or thrown.toString()).splitlines()
        what = self.access.masked(lines[0].removeprefix("ERROR: ").removeprefix("FATAL: "))[:_MOST]
        return error_of(state, what, where or self.access.shown)

    @property
    def _options(self) -> dict[str, str]:
        return {"fetchsize": _FETCHED, **self.access.secrets, "url": self.access.url, "driver": self.access.driver}

    def _driver(self) -> Any:
        loader = self._jvm.java.lang.Thread.currentThread().getContextClassLoader()
        try:
            kind = self._jvm.java.lang.Class.forName(self.access.driver, True, loader)  # noqa: FBT003 Java's own order
        except Exception as error:
            if _thrown(error) is None:
                raise
            raise SettingsError(
                f"the driver {self.access.driver} is in no jar",
                where="SLUICE_WAREHOUSE_JARS",
                next_step="name the driver's jars there, or to spark-submit with --jars",
            ) from None
        return kind.newInstance()

    @property
    def _gateway(self) -> Any:
        return self.spark.sparkContext._gateway  # noqa: SLF001 PySpark has no other way to Java

    @property
    def _jvm(self) -> Any:
        return self._gateway.jvm


def error_of(state: str, what: str, where: str) -> SluiceError:
    """The error that a SQLSTATE stands for: what the caller can mend, what may pass, and what is wrong with rows."""
    next_step = _NEXT.get(state) or _NEXT.get(state[:2])
    if state[:2] in {"28", "3D", "3F", "42"}:
        return UserError(what, where=where, next_step=next_step)
    if state[:2] == "08":
        return ServiceDown(what, where=where, next_step=next_step)
    if state[:2] in _OUTAGES:
        return Outage(what, where=where, next_step="run it again")
    return DataError(what, where=where, next_step="mend the rows, or leave them out: Warehouse(query=…)")


def _thrown(error: Exception) -> Any | None:
    """The exception of Java behind one of Python, if there is one."""
    if isinstance(error, CapturedException):
        return getattr(error, "_origin", None)
    return getattr(error, "java_exception", None)


def _causes(thrown: Any) -> Iterator[Any]:
    while thrown is not None:
        yield thrown
        thrown = thrown.getCause()
