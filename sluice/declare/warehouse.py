"""Where a stream's history lies outside: a table of a warehouse, read again and again from where it was left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from sluice.declare.arguments import JUDGED, check_fields
from sluice.declare.durations import duration
from sluice.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """A table or a query of the warehouse that `SLUICE_WAREHOUSE_URL` names, for `sluice warehouse import`.

    An import reads the rows whose watermark is not below the greatest one that an import before it brought into
    history, less the overlap. What is read twice is a duplicate.
    """

    table: str | None = None
    """The table, as SQL writes it, such as `sales.payments`."""
    query: str | None = None
    """In place of a table, a SELECT that gives the rows."""
    watermark: str
    """The column that grows with every new or changed row: a time, a date, or a whole number."""
    overlap: Annotated[str | int, JUDGED] = "15min"
    """How long after its watermark was set a row may be committed: so far back is read again. A duration of a time, a
    whole number of steps of a watermark that counts."""
    partition: str | None = None
    """A column by which parts are read side by side: a number, a date, or a time, spread evenly."""
    parts: int = 4
    """How many parts; one without `partition`."""
    revision: str | None = None
    """A column that counts the changes of a row: a higher one replaces the event."""

    def __post_init__(self) -> None:
        check_fields(self, where="Warehouse")
        if (self.table is None) == (self.query is None):
            raise DeclarationError("say what is read", where="Warehouse", allowed="table=<name> or query=<SELECT …>")
        for name in ("table", "query", "watermark", "partition", "revision"):
            given = getattr(self, name)
            if given is not None and not given.strip(" \n\t;"):
                raise DeclarationError(f"{name}={given!r}", where="Warehouse", allowed="a text that is not empty")
        if not 1 <= self.parts <= 64:
            raise DeclarationError(f"parts={self.parts}", where="Warehouse", allowed="1 to 64")
        self.back(counts=not isinstance(self.overlap, str))

    @property
    def source(self) -> str:
        """What is read, as it stands after FROM."""
        return str(self.table) if self.query is None else f"({self.query.strip().removesuffix(';').strip()})"

    def back(self, *, counts: bool) -> int:
        """The overlap of a watermark that counts, in steps, or of a time, in microseconds."""
        if isinstance(self.overlap, str) == counts:
            raise DeclarationError(
                f"overlap={self.overlap!r}, and the watermark {self.watermark!r} {'counts' if counts else 'is a time'}",
                where="Warehouse",
                allowed="a whole number of steps, such as 1000" if counts else "a duration, such as '15min'",
            )
        return duration(self.overlap, where="Warehouse.overlap")

    def origin(self) -> dict[str, str]:
        """What must be the same for one import to go on from another."""
        return {"source": self.source, "watermark": self.watermark}
