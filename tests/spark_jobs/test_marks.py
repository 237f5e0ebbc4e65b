"""Watermarks mean the same moment in every session, and the SQL that asks between them has both ends."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sluice.declare.warehouse import Warehouse
from sluice.errors import UserError
from spark_jobs.marks import Mark, Source

pytestmark = pytest.mark.unit

TEN = 1_767_261_600_000_000
"""2026-01-01 10:00 UTC."""


@pytest.mark.parametrize(
    ("text", "kind", "mark", "sql", "shown"),
    [
        ("42", "int8", Mark(42), "42", "42"),
        ("-3", "numeric", Mark(-3), "-3", "-3"),
        (
            "2026-01-01 19:00:00.5+09",
            "timestamptz",
            Mark(TEN + 500_000, "timestamptz", zoned=True),
            "CAST('2026-01-01 10:00:00.500000+00:00' AS timestamptz)",
            "2026-01-01T10:00:00.500000Z",
        ),
        (
            "2026-01-01 10:00:00",
            "timestamp",
            Mark(TEN, "timestamp"),
            "CAST('2026-01-01 10:00:00' AS timestamp)",
            "2026-01-01T10:00:00",
        ),
        (
            "2026-01-01T10:00:00Z",
            "TIMESTAMP_TZ",
            Mark(TEN, "TIMESTAMP_TZ", zoned=True),
            "CAST('2026-01-01 10:00:00+00:00' AS TIMESTAMP_TZ)",
            "2026-01-01T10:00:00Z",
        ),
        (
            "2026-01-01",
            "date",
            Mark(TEN - 36_000_000_000, "date"),
            "CAST('2026-01-01' AS date)",
            "2026-01-01T00:00:00",
        ),
    ],
)
def test_a_mark_is_read_and_written_as_it_is_meant(text: str, kind: str, mark: Mark, sql: str, shown: str) -> None:
    assert Mark.read(text, kind, "here") == mark
    assert (mark.sql, str(mark)) == (sql, shown)
    assert Mark.read(str(mark), kind, "here") == mark


@pytest.mark.parametrize("text", ["infinity", "c17", "1.5", ""])
def test_what_neither_counts_nor_is_a_time_is_no_mark(text: str) -> None:
    with pytest.raises(UserError, match="is no watermark"):
        Mark.read(text, "text", "here")


@dataclass
class Told:
    """A connection that answers everything in the same way, and keeps what it was asked."""

    answer: list[str | None]
    asked: str = ""
    quote: str = '"'

    def row(self, sql: str) -> list[str | None]:
        self.asked = sql
        return self.answer


KINDS = {"seen": "timestamptz", "n": "int8", "day": "date", "at": "timestamp", "name": "text"}


def source(partition: str | None = None, *answer: str | None) -> Source:
    warehouse = Warehouse(query="SELECT * FROM t;", watermark="seen", partition=partition, revision="n")
    return Source(Told(list(answer)), "payments", warehouse, KINDS)  # type: ignore[arg-type]


def test_both_ends_are_inside() -> None:
    low, high = Mark(1), Mark(5)
    asked = source()
    assert asked.between(low, high) == '"seen" >= 1 AND "seen" <= 5'
    assert asked.between(None, high) == '"seen" <= 5'
    assert asked.between(None, None) == "1 = 1"
    assert asked.rows("x") == '(SELECT sluice.*, sluice."n" AS "_revision" FROM (SELECT * FROM t) sluice WHERE x)'


def test_the_overlap_is_taken_off_a_time() -> None:
    assert source().back(Mark(TEN, "timestamptz", zoned=True)).value == TEN - 900_000_000


@pytest.mark.parametrize(
    ("partition", "ends", "bounds"),
    [
        ("n", ("-7", "99"), ("-7", "99")),
        ("n", ("0.5", "19.5"), ("0", "20")),
        ("day", ("2026-01-01", "2026-02-01"), ("2026-01-01", "2026-02-01")),
        (
            "at",
            ("2026-01-01 10:00:00.25", "2026-01-02 00:00:00"),
            ("2026-01-01 10:00:00.250000", "2026-01-02 00:00:00"),
        ),
        ("seen", ("2026-01-01 19:00:00+09", "2026-01-01 19:00:01+09"), ("2026-01-01 10:00:00", "2026-01-01 10:00:01")),
    ],
)
def test_parts_are_divided_between_the_least_and_the_greatest(
    partition: str, ends: tuple[str, str], bounds: tuple[str, str]
) -> None:
    assert source(partition, *ends).slices("x") == {
        "partitionColumn": partition,
        "lowerBound": bounds[0],
        "upperBound": bounds[1],
        "numPartitions": "4",
    }


def test_nothing_is_not_divided() -> None:
    assert source("n", None, None).slices("x") == {}
    assert source().slices("x") == {}


def test_a_text_cannot_be_divided() -> None:
    with pytest.raises(UserError, match="'a' of type text cannot be divided"):
        source("name", "a", "b").slices("x")
