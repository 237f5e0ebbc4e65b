"""The twelve window features of the Handbook by Spark SQL, DuckDB and Polars: from a Delta table to a Delta table.

Ties of one moment are broken by nobody here: a window of time counts all rows of its last moment. That is what each of
them can do; it differs from the book in a few rows (docs/decisions/0005) and takes them less work than doing it right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deltalake
import duckdb
import polars as pl

DAYS = (1, 7, 30)
DELAY = 7
_MICROS = 86_400_000_000


class Spark:
    """Spark SQL's RANGE windows on a session that is warm."""

    def __init__(self, session: Any, table: str) -> None:
        self._session = session
        session.read.format("delta").load(table).createOrReplaceTempView("transactions")

    def write(self, out: str) -> None:
        """Compute and write."""
        customer = (
            "PARTITION BY CUSTOMER_ID ORDER BY unix_micros(TX_DATETIME) RANGE BETWEEN {} PRECEDING AND CURRENT ROW"
        )
        terminal = (
            "PARTITION BY TERMINAL_ID ORDER BY unix_micros(TX_DATETIME) RANGE BETWEEN {} PRECEDING AND {} PRECEDING"
        )
        columns = ["TRANSACTION_ID"]
        for days in DAYS:
            spec = customer.format(days * _MICROS - 1)
            late = terminal.format((DELAY + days) * _MICROS - 1, DELAY * _MICROS)
            columns += [
                f"count(*) OVER ({spec}) AS customer_count_{days}d",
                f"avg(TX_AMOUNT) OVER ({spec}) AS customer_mean_{days}d",
                f"count(*) OVER ({late}) AS terminal_count_{days}d",
                f"coalesce(avg(TX_FRAUD) OVER ({late}), 0) AS terminal_share_{days}d",
            ]
        found = self._session.sql(f"SELECT {', '.join(columns)} FROM transactions")
        found.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(out)


def duckdb_windows(table: str, out: str) -> None:
    """DuckDB's RANGE windows over the table's Arrow dataset."""
    transactions = deltalake.DeltaTable(table).to_pyarrow_dataset()
    columns = ["TRANSACTION_ID"]
    windows = []
    for days in DAYS:
        windows.append(
            f"c{days} AS (PARTITION BY CUSTOMER_ID ORDER BY TX_DATETIME"
            f" RANGE BETWEEN INTERVAL {days * _MICROS - 1} MICROSECONDS PRECEDING AND CURRENT ROW)"
        )
        windows.append(
            f"t{days} AS (PARTITION BY TERMINAL_ID ORDER BY TX_DATETIME RANGE BETWEEN"
            f" INTERVAL {(DELAY + days) * _MICROS - 1} MICROSECONDS PRECEDING"
            f" AND INTERVAL {DELAY * _MICROS} MICROSECONDS PRECEDING)"
        )
        columns += [
            f"count(*) OVER c{days} AS customer_count_{days}d",
            f"avg(TX_AMOUNT) OVER c{days} AS customer_mean_{days}d",
            f"count(*) OVER t{days} AS terminal_count_{days}d",
            f"coalesce(avg(TX_FRAUD) OVER t{days}, 0) AS terminal_share_{days}d",
        ]
    connection = duckdb.connect()
    connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
    connection.register("transactions", transactions)
    query = f"SELECT {', '.join(columns)} FROM transactions WINDOW {', '.join(windows)}"
    deltalake.write_deltalake(
        out, connection.execute(query).to_arrow_table(), mode="overwrite", schema_mode="overwrite"
    )
    connection.close()


def polars_windows(table: str, out: str) -> None:
    """Polars' rolling sums over each entity; the delayed windows as differences of two, as the book computes them."""
    rows = pl.from_arrow(deltalake.DeltaTable(table).to_pyarrow_dataset().to_table())
    assert isinstance(rows, pl.DataFrame)
    columns = [pl.col("TRANSACTION_ID")]
    for days in DAYS:
        customer = f"customer_{{}}_{days}d"
        columns.append(_rolling("one", days, "CUSTOMER_ID").alias(customer.format("count")))
        mean = pl.col("TX_AMOUNT").rolling_mean_by("TX_DATETIME", f"{days}d").over("CUSTOMER_ID")
        columns.append(mean.alias(customer.format("mean")))
    for days in (0, *DAYS):
        columns.append(_rolling("one", DELAY + days, "TERMINAL_ID").alias(f"all_{days}"))
        columns.append(_rolling("TX_FRAUD", DELAY + days, "TERMINAL_ID").alias(f"bad_{days}"))
    sums = rows.lazy().with_columns(pl.lit(1).alias("one"), pl.col("TX_FRAUD").cast(pl.Int32)).select(columns)
    found = sums.with_columns(
        *((pl.col(f"all_{days}") - pl.col("all_0")).alias(f"terminal_count_{days}d") for days in DAYS)
    ).with_columns(
        *(
            ((pl.col(f"bad_{days}") - pl.col("bad_0")) / pl.col(f"terminal_count_{days}d"))
            .fill_nan(0)
            .alias(f"terminal_share_{days}d")
            for days in DAYS
        )
    )
    kept = [name for days in DAYS for name in _names(days)]
    deltalake.write_deltalake(
        out, found.select("TRANSACTION_ID", *kept).collect().to_arrow(), mode="overwrite", schema_mode="overwrite"
    )


def _rolling(column: str, days: int, entity: str) -> pl.Expr:
    return pl.col(column).rolling_sum_by("TX_DATETIME", f"{days}d").over(entity)


def _names(days: int) -> tuple[str, ...]:
    kinds = ("customer_count", "customer_mean", "terminal_count", "terminal_share")
    return tuple(f"{kind}_{days}d" for kind in kinds)


PEERS: dict[str, Callable[[str, str], None]] = {"DuckDB": duckdb_windows, "Polars": polars_windows}
