"""Watermarks, and the SQL that asks a warehouse for the rows between two of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from sluice.clock import rfc3339
from sluice.declare.warehouse import Warehouse
from sluice.errors import UserError
from sluice.lake.typing import instant, integer
from spark_jobs.jdbc import Connection

TEXT = "VARCHAR(100)"
"""A type that every value can be cast to, to be read by us and not by Java, which knows a time zone of its own."""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class Mark:
    """A value of a watermark: a whole number, or a time in microseconds and the type that it has in SQL."""

    value: int
    kind: str | None = None
    zoned: bool = False
    """Whether that type has a time zone."""

    @classmethod
    def read(cls, text: str, kind: str, where: str) -> Mark:
        """The mark that is written so; UserError for what neither counts nor is a time."""
        number = integer(text)
        if number is not None:
            return cls(number)
        try:
            moment = instant(text, where)
        except UserError:
            raise UserError(
                f"{text!r} of type {kind} is no watermark", where=where, allowed="a time, a date, or a whole number"
            ) from None
        clock = text.strip()[10:]
        return cls(moment, kind, any(sign in clock for sign in "+-Zz"))

    @property
    def counts(self) -> bool:
        """Whether it is a number, and no time."""
        return self.kind is None

    @property
    def sql(self) -> str:
        """The mark as SQL writes it, the same in a session of any time zone."""
        if self.kind is None:
            return str(self.value)
        moment = rfc3339(self.value).removesuffix("Z").replace("T", " ")
        if self.kind.lower() == "date":
            moment = moment[:10]
        return f"CAST('{moment}{'+00:00' if self.zoned else ''}' AS {self.kind})"

    def __str__(self) -> str:
        if self.counts:
            return str(self.value)
        return rfc3339(self.value) if self.zoned else rfc3339(self.value).removesuffix("Z")


@dataclass(frozen=True)
class Source:
    """What is read of one stream, and how SQL calls it."""

    connection: Connection
    stream: str
    warehouse: Warehouse
    kinds: dict[str, str]
    """Its columns, and the names of their types."""

    @classmethod
    def of(cls, connection: Connection, stream: str, warehouse: Warehouse) -> Source:
        """UserError when the table, or a column that the declaration names, is not there."""
        with _named(stream, warehouse):
            kinds = connection.columns(warehouse.source)
        for part in ("watermark", "partition", "revision"):
            name = getattr(warehouse, part)
            if name is not None and name not in kinds:
                raise UserError.unknown("column", name, kinds, where=f"{stream}: Warehouse({part})")
        return cls(connection, stream, warehouse, kinds)

    @property
    def watermark(self) -> str:
        """The watermark's column."""
        return self._name(self.warehouse.watermark)

    def mark(self, text: str) -> Mark:
        """A value of the watermark."""
        return Mark.read(text, self.kinds[self.warehouse.watermark], f"{self.stream}: Warehouse(watermark)")

    def back(self, mark: Mark) -> Mark:
        """The mark from which is read again what lies up to this one."""
        return replace(mark, value=mark.value - self.warehouse.back(counts=mark.counts))

    def between(self, low: Mark | None, high: Mark | None) -> str:
        """The condition of the rows from a mark on and up to another one, both included."""
        ends = ((">=", low), ("<=", high))
        return " AND ".join(f"{self.watermark} {sign} {end.sql}" for sign, end in ends if end is not None) or "1 = 1"

    def rows(self, where: str) -> str:
        """The rows of a condition, as they stand after FROM."""
        revision = self.warehouse.revision
        more = "" if revision is None else f", sluice.{self._name(revision)} AS {self._name('_revision')}"
        return f"(SELECT sluice.*{more} FROM {self.warehouse.source} sluice WHERE {where})"  # noqa: S608 declared names

    def asked(self, what: str, where: str) -> list[str | None]:
        """One row about the rows of a condition."""
        sql = f"SELECT {what} FROM {self.warehouse.source} sluice WHERE {where}"  # noqa: S608 declared names
        with _named(self.stream, self.warehouse):
            return self.connection.row(sql) or []

    def slices(self, where: str) -> dict[str, str]:
        """How Spark divides the rows of a condition into parts; nothing for one part."""
        name = self.warehouse.partition
        if name is None or self.warehouse.parts == 1:
            return {}
        column = self._name(name)
        least, most = self.asked(f"CAST(MIN({column}) AS {TEXT}), CAST(MAX({column}) AS {TEXT})", where)
        if least is None or most is None:
            return {}
        return {
            "partitionColumn": name,
            "lowerBound": self._bound(least, math.floor),
            "upperBound": self._bound(most, math.ceil),
            "numPartitions": str(self.warehouse.parts),
        }

    def _bound(self, text: str, whole: Callable[[Decimal], int]) -> str:
        """An end of what is divided, as Spark reads it; UserError for one that cannot be divided."""
        where, kind = f"{self.stream}: Warehouse(partition)", self.kinds[str(self.warehouse.partition)]
        if _NUMBER.fullmatch(text):
            return str(whole(Decimal(text)))
        try:
            moment = rfc3339(instant(text, where)).removesuffix("Z").replace("T", " ")
        except UserError:
            raise UserError(
                f"{text!r} of type {kind} cannot be divided", where=where, allowed="a number, a date, or a time"
            ) from None
        return moment[:10] if kind.lower() == "date" else moment

    def _name(self, column: str) -> str:
        return f"{self.connection.quote}{column}{self.connection.quote}"


@contextmanager
def _named(stream: str, warehouse: Warehouse) -> Iterator[None]:
    """What the caller can mend about a source is told with its stream."""
    try:
        yield
    except UserError as error:
        raise UserError(
            error.what,
            where=f"{stream}: {warehouse.source}",
            next_step=error.next_step or "mend what the stream's Warehouse declares",
        ) from None
