"""What stands on either side of each comparison, in one sentence a side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Sides(NamedTuple):
    """The name of a comparison, and what its two sides do."""

    name: str
    ours: str
    other: str


_SPARK = "our kernel as one task of a warm Spark session on `local[2]`, from a Delta table to a Delta table"
_HERE = "our kernel in this process, without Spark, from a Delta table to a Delta table"
_DUCKDB = "RANGE windows over the table's Arrow dataset, in this process, to a Delta table"
_POLARS = "rolling sums, and differences of two where a window is delayed, in this process, to a Delta table"
SIDES = {
    "(c) on Spark beside Spark SQL": Sides(
        "(c) on Spark, beside Spark SQL", _SPARK, "RANGE windows in the same session, likewise"
    ),
    "(c) on Spark beside DuckDB": Sides("(c) on Spark, beside DuckDB", _SPARK, _DUCKDB),
    "(c) on Spark beside Polars": Sides("(c) on Spark, beside Polars", _SPARK, _POLARS),
    "(c) beside DuckDB": Sides("(c) without Spark, beside DuckDB", _HERE, _DUCKDB),
    "(c) beside Polars": Sides("(c) without Spark, beside Polars", _HERE, _POLARS),
    "(b) beside bare numpy": Sides(
        "(b) in this process, beside bare numpy",
        "the engine, from files that are laid out to files of both views' values",
        "sums and bisection in numpy, without ties, late labels or nulls; it reads and writes through the same code of"
        " ours, so that files cost both sides alike",
    ),
    "ten times the rows": Sides(
        "ten times the rows, CPU",
        "our kernel on Spark over once the rows, which one task computes",
        "the same over ten times the rows, which are dealt into slices and buckets; the peers each run once over them"
        " in a process of their own, its start included",
    ),
    "micro-batch of 5,000, beside Feast push": Sides(
        "batches of 5,000 beside Feast push",
        "decoded events become tiles in SQLite, with ids and positions, in one transaction",
        "`push` stores ready values of the same two entities in Feast's SQLite store, and computes nothing",
    ),
    "read beside the Feast SDK": Sides(
        "one request beside the Feast SDK",
        "twenty values of two entities are computed from tiles in SQLite, in this process",
        "`get_online_features` reads twenty ready values of two entities from Feast's SQLite store",
    ),
    "ten times the entities": Sides(
        "ten times the entities",
        "one request of a store with 5,000 customers and 10,000 terminals",
        "the same of one with ten times as many, each with as many events; both in SQLite",
    ),
    "rich": Sides(
        "richer functions against count",
        "a view with nothing but the count of 30 days, CPU: in a batch the kernel alone, rows in memory; in a read one"
        " request from SQLite",
        "one with nothing but the function, over the same events; a decayed one has the count beside it, which"
        " gives it its horizon",
    ),
}


def table(sides: Iterable[Sides]) -> Iterator[str]:
    """The comparisons as rows of a page."""
    yield from ("| comparison | ours, or the lesser | the other |", "|---|---|---|")
    yield from (f"| {one.name} | {one.ours} | {one.other} |" for one in sides)
    yield ""
