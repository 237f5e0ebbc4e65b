"""A table of the lake into a warehouse: all of it or nothing, and once.

    stage     Spark writes the rows into a table beside the target, part by part
    exchange  one transaction takes them over from there, and says in `sluice_exports` which version that was

The transaction begins before the first row is written and holds the target's line of `sluice_exports`, so that of two
exports into one table the second waits for the first, and then finds that there is nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from sluice.errors import Outage, UserError
from sluice.lake import storage
from sluice.lake.exports import Outgoing, outgoing
from spark_jobs.jdbc import Connection, Jdbc

EXPORTS = "sluice_exports"
"""Beside each target: which version of which table of a lake is in it."""
_STAGING = "__staging"
_NAME = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
_LONGEST = 63
"""Bytes that Postgres keeps of a name; it cuts off the others without a word."""
_PARTS = 4


@dataclass(frozen=True)
class Order:
    """One export: which table of which lake, at which version, into which table of the warehouse."""

    lake: str
    pipeline: str
    table: str
    into: str
    at: int
    version: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.into) or len(self._name) + len(_STAGING) > _LONGEST:
            raise UserError(
                f"{self.into!r} cannot be the name of a table",
                where="warehouse export",
                allowed=f"[schema.]table in small letters, digits and _, at most {_LONGEST - len(_STAGING)} of them",
            )

    @property
    def staging(self) -> str:
        """Where the rows are before they are in the target."""
        return f"{self.into}{_STAGING}"

    @property
    def exports(self) -> str:
        """The table of exports, in the target's schema."""
        schema, dot, _ = self.into.rpartition(".")
        return f"{schema}{dot}{EXPORTS}"

    @property
    def _name(self) -> str:
        return self.into.rpartition(".")[2]


def export(jdbc: Jdbc, order: Order) -> Outgoing | None:
    """Bring a version of a table into the warehouse; what was sent, None when it is there already.

    Whatever dies, the target holds what it held before or all of what was asked for.
    """
    with jdbc.connect() as holding, jdbc.connect() as other:
        # a name that is no table or has no columns is told before anything is written
        probe = outgoing(order.lake, order.pipeline, order.table, order.version, None)
        _prepare(jdbc, other, order, probe)
        sent = _exchange(jdbc, holding, order)
        other.run(f"DROP TABLE IF EXISTS {order.staging}")
    return sent


def _exchange(jdbc: Jdbc, holding: Connection, order: Order) -> Outgoing | None:
    """The one transaction; it is taken back wherever it does not come to its end."""
    with holding.transaction():
        # whoever changes the line holds it until the transaction ends
        holding.run(f"UPDATE {order.exports} SET target = target WHERE target = ?", order.into)  # noqa: S608 checked names
        identity, version = holding.row(
            f"SELECT source, version FROM {order.exports} WHERE target = ?",  # noqa: S608 checked names
            order.into,
        ) or [None, None]
        before = None if identity is None or version is None else (identity, int(version))
        rows = outgoing(order.lake, order.pipeline, order.table, order.version, before)
        if before == (rows.identity, rows.version):
            return None
        jdbc.write(_frame(jdbc, rows), order.staging, "overwrite")
        _take_over(holding, order, rows)
        holding.run(
            f"UPDATE {order.exports} SET source = ?, version = ?, row_count = ?, exported_at = ? WHERE target = ?",  # noqa: S608 checked names
            rows.identity,
            rows.version,
            rows.rows,
            order.at,
            order.into,
        )
    return rows


def _take_over(holding: Connection, order: Order, rows: Outgoing) -> None:
    """Put the staged rows into the target; Outage unless they are exactly as many as were sent."""
    if rows.replaces:
        holding.run(f"DELETE FROM {order.into}")  # noqa: S608 a checked name
    columns = ", ".join(f"{holding.quote}{name}{holding.quote}" for name in rows.schema().names)
    taken = holding.run(f"INSERT INTO {order.into} ({columns}) SELECT {columns} FROM {order.staging}")  # noqa: S608 checked names
    if taken != rows.rows:
        # a task that was tried again, or one of a job that was killed, has written beside ours
        raise Outage(
            f"{taken:,} rows were staged, and {rows.rows:,} were sent", where=order.staging, next_step="run it again"
        )


def _prepare(jdbc: Jdbc, other: Connection, order: Order, rows: Outgoing) -> None:
    """See that target and line are there; UserError for a table that is none of ours, or has other columns."""
    other.run(
        f"CREATE TABLE IF NOT EXISTS {order.exports} (target VARCHAR(200) NOT NULL PRIMARY KEY,"
        " source VARCHAR(100), version BIGINT, row_count BIGINT, exported_at BIGINT)"
    )
    line = other.row(f"SELECT target FROM {order.exports} WHERE target = ?", order.into)  # noqa: S608 checked names
    there = _columns(other, order.into)
    if line is None and there is not None:
        raise UserError(
            "the table is there, and no export has made it",
            where=order.into,
            next_step="name another one (--into), or drop it",
        )
    names = set(rows.schema().names)
    if there is not None and set(there) != names:
        raise UserError(
            f"the table has other columns: {', '.join(sorted(set(there) ^ names))}",
            where=order.into,
            next_step="export into another table (--into), or drop this one",
        )
    if line is None:
        # first the line, then the table: a table without a line is somebody else's
        other.run(f"INSERT INTO {order.exports} (target) VALUES (?)", order.into)  # noqa: S608 checked names
    if there is None:
        jdbc.write(_frame(jdbc, rows).limit(0), order.into, "append")
        other.run(f"UPDATE {order.exports} SET source = NULL, version = NULL WHERE target = ?", order.into)  # noqa: S608 checked names


def _columns(other: Connection, table: str) -> dict[str, str] | None:
    """The columns of a table; None when it is not there."""
    try:
        return other.columns(table)
    except UserError:
        return None


def _frame(jdbc: Jdbc, rows: Outgoing) -> DataFrame:
    """The rows as Spark hands them to the driver: read with Arrow, wherever the lake lies."""
    spark, schema = jdbc.spark, rows.schema()
    long = [name for name in schema.names if len(name.encode()) > _LONGEST]
    if long:
        raise UserError(f"the name {long[0]!r} is too long for a warehouse", allowed=f"{_LONGEST} bytes")
    parts = max(1, min(_PARTS, len(rows.files)))
    read = partial(_read, rows, parts, storage.told())
    return spark.range(0, parts, 1, parts).mapInArrow(read, from_arrow_schema(schema))


def _read(
    rows: Outgoing, parts: int, service: dict[str, str], asked: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    storage.adopt(service)
    for batch in asked:
        for part in batch.column(0).to_pylist():
            yield from rows.read(part, parts)
