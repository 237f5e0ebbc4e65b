"""Streams of events, and labels: events about earlier events, arriving later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

from sluice.declare.arguments import JUDGED, check_fields
from sluice.declare.checks import distinct, named, one_of
from sluice.declare.columns import Column, Flag, ForeignKey, check_columns
from sluice.declare.durations import Duration, duration, duration_text
from sluice.declare.hybrid import Hybrid
from sluice.declare.warehouse import Warehouse
from sluice.errors import DeclarationError

FORMATS = ("json", "avro", "protobuf")
"""What the messages of a topic can be."""


class _Position:
    """The marker of a stream whose events have no id of their own."""

    def __repr__(self) -> str:
        return "position"


position: Final = _Position()


@dataclass(frozen=True, eq=False)
class Stream:
    """A named, append-only source of events with an id, an event time and a schema.

    Names are those of the declaration; `sources` says what they are called where the events come from.
    """

    name: str
    id: Annotated[str | tuple[str, ...] | _Position, JUDGED]
    """The column that identifies an event; several for a composite id, `position` for none."""
    time: str
    """The column of the event time; a time without zone is UTC."""
    columns: Annotated[Mapping[str, Column], JUDGED]
    """The other columns; the canonical bytes of an event are its columns in this order."""
    id_type: Literal["integer", "text"] = field(default="integer", kw_only=True)
    """How ids compare: as integers, or as UTF-8 bytes; a composite id is text."""
    sources: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Declared column → its name at the source."""
    known: str = field(default="event_time", kw_only=True)
    """When history that arrives in files was known: `event_time`, or `event_time + 7d`."""
    freshness: Duration = field(default="1d", kw_only=True)
    """How old the newest event of a batch may be."""
    late_after: Duration = field(default="1h", kw_only=True)
    """How much later than it happened an event may be known before it is listed as late; it still counts."""
    accept_late: Duration = field(default="1d", kw_only=True)
    """How far behind the newest events one may come and still count."""
    max_skew: Duration = field(default="5min", kw_only=True)
    """How far in the future an event may lie when it is known; one further ahead is refused."""
    retention: Duration | None = field(default=None, kw_only=True)
    """How long events are kept, raw and typed, from the time they happened; None: for ever."""
    warehouse: Warehouse | None = field(default=None, kw_only=True)
    """Where `sluice warehouse import` reads it from."""
    format: Literal["json", "avro", "protobuf"] = field(default="json", kw_only=True)
    """What the messages of its topic are: JSON objects, or Avro or Protobuf with a schema that a registry has."""
    hybrid: Hybrid | None = field(default=None, kw_only=True)
    """Where its files end and its topic goes on; by default nobody promises that either has everything."""

    def __post_init__(self) -> None:
        where = f"Stream({self.name!r})"
        named(self.name, where="Stream(name)")
        check_fields(self, where=where)
        one_of(self.id_type, ["integer", "text"], where=f"{where}.id_type", kind="id type")
        one_of(self.format, FORMATS, where=f"{where}.format", kind="format")
        check_columns(self.columns, where=where)
        self._check_id(where)
        for name in (*self.id_columns, self.time, *self.columns):
            named(name, where=f"{where}.columns")
        if self.hybrid is not None and not self.id_columns:
            raise DeclarationError(
                "events without an id cannot be told apart where files and topic overlap",
                where=f"{where}.hybrid",
                allowed="a stream with an id",
                next_step="take the whole of it from files, or the whole from a topic",
            )
        if len(self.id_columns) > 1 and self.id_type == "integer":
            object.__setattr__(self, "id_type", "text")
        for declared in self.sources:
            one_of(declared, self.all_columns, where=f"{where}.sources", kind="column")
        distinct([self.source(name) for name in self.all_columns], where=f"{where}.sources", kind="source column")
        for setting in ("freshness", "late_after", "accept_late", "max_skew"):
            object.__setattr__(self, setting, duration(getattr(self, setting), where=f"{where}.{setting}"))
        if self.retention is not None:
            object.__setattr__(self, "retention", duration(self.retention, where=f"{where}.retention"))
        self._known_delay()
        self._check_warehouse(where)

    @property
    def id_columns(self) -> tuple[str, ...]:
        """The columns that make the id; none for a stream without ids."""
        if isinstance(self.id, _Position):
            return ()
        return (self.id,) if isinstance(self.id, str) else tuple(self.id)

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Id, time and the other declared columns, in declared order, each once."""
        return tuple(dict.fromkeys((*self.id_columns, self.time, *self.columns)))

    @property
    def known_after(self) -> int:
        """Microseconds from an event's time until history in files counts it as known."""
        return self._known_delay()

    @property
    def parent(self) -> tuple[str, Stream] | None:
        """The column and the stream of the parent event, if this stream tells about another."""
        for name, column in self.columns.items():
            if isinstance(column, ForeignKey):
                return name, column.to
        return None

    def source(self, column: str) -> str:
        """The name of a declared column at the source."""
        return self.sources.get(column, column)

    def micros(self, setting: Literal["freshness", "late_after", "accept_late", "max_skew"]) -> int:
        """One of the declared durations in microseconds."""
        return int(getattr(self, setting))

    def describe(self) -> dict[str, object]:
        """Everything that changes what enters history; the contract's version is its hash."""
        # JSON is not told: contracts that were judged by before there were others keep their version
        form = {} if self.format == "json" else {"format": self.format}
        return {**self.meaning(), "sources": dict(self.sources), "late_after": self.late_after, **form}

    def meaning(self) -> dict[str, object]:
        """What changes the values computed from it: not where it comes from, nor which events are listed as late."""
        return {
            "name": self.name,
            "id": list(self.id_columns),
            "id_type": self.id_type,
            "time": self.time,
            "columns": {name: column.describe() for name, column in self.columns.items()},
            "known_after": self.known_after,
            "max_skew": self.max_skew,
            "accept_late": self.accept_late,
        }

    def __repr__(self) -> str:
        return f"Stream({self.name!r})"

    def _check_id(self, where: str) -> None:
        identified = isinstance(self.id, str | tuple) and len(self.id) > 0
        if not identified and not isinstance(self.id, _Position):
            raise DeclarationError(
                f"id={self.id!r}", where=where, allowed="a column, a tuple of columns, or position for none"
            )
        if self.time in (*self.id_columns, *self.columns):
            raise DeclarationError(
                f"{self.time!r} is the time and another column",
                where=where,
                next_step="declare the time by time= only, and an id by id= only",
            )

    def _check_warehouse(self, where: str) -> None:
        if self.warehouse is not None and not self.id_columns:
            raise DeclarationError(
                "rows without an id cannot be told apart when they are read twice",
                where=f"{where}.warehouse",
                next_step="declare the column that identifies a row as the stream's id",
            )

    def _known_delay(self) -> int:
        base, _, plus = (part.strip() for part in self.known.partition("+"))
        if base != "event_time":
            raise DeclarationError(
                f"{self.known!r} is not a rule",
                where=f"Stream({self.name!r}).known",
                allowed=["event_time", "event_time + <duration>"],
            )
        return duration(plus, where=f"Stream({self.name!r}).known") if plus else 0


@dataclass(frozen=True, eq=False)
class Label:
    """What became of an event: told by a later stream, or a column of the event's own row that is known only later.

    `Label("is_fraud", of=payments, told_by=chargebacks, absent=0, after="21d")`: no chargeback within 21 days means 0.
    `Label("is_fraud", of=payments, column="TX_FRAUD", known_after="7d")`: the column is split off at ingest and
    arrives as an event of its own, `<stream>_<label>`, seven days later.
    """

    name: str
    of: Stream
    """The stream that it is about."""
    told_by: Stream = field(default=None, kw_only=True)  # type: ignore[assignment]
    """The stream that tells it: it has a foreign key to `of` and a flag of the label's name."""
    column: str | None = field(default=None, kw_only=True)
    """In place of `told_by`, the column of the source's own row that holds it."""
    known_after: Duration = field(default="0s", kw_only=True)
    """How long after the event a column is known."""
    absent: int | None = field(default=None, kw_only=True)
    """What it means that nobody told; unknown by default."""
    after: Duration = field(default="0s", kw_only=True)
    """How long nobody must have told before it counts as absent."""

    def __post_init__(self) -> None:
        where = f"Label({self.name!r})"
        named(self.name, where="Label(name)")
        check_fields(self, where=where)
        if (self.told_by is None) == (self.column is None):
            raise DeclarationError("say where it comes from", where=where, allowed="told_by=<stream> or column=<name>")
        for setting in ("known_after", "after"):
            object.__setattr__(self, setting, duration(getattr(self, setting), where=f"{where}.{setting}"))
        if self.column is not None:
            object.__setattr__(self, "told_by", self._own_stream(self.column))
        self._check_teller(where)
        if self.absent not in {None, 0, 1}:
            raise DeclarationError(f"absent={self.absent!r}", where=where, allowed="0, 1, or None for unknown")

    @property
    def settled_after(self) -> int:
        """Microseconds after the event by which its label is known, or counts as absent."""
        return max(int(self.known_after), int(self.after))

    def describe(self) -> dict[str, object]:
        """Everything that changes a label's values."""
        return {
            "name": self.name,
            "of": self.of.name,
            "told_by": self.told_by.meaning(),
            "absent": self.absent,
            "after": self.after,
            "known_after": self.known_after,
        }

    def _own_stream(self, column: str) -> Stream:
        of = self.of
        if len(of.id_columns) != 1:
            raise DeclarationError(
                "a label inside the row needs a stream with one id column", where=f"Label({self.name!r})"
            )
        return Stream(
            f"{of.name}_{self.name}",
            id=of.id_columns[0],
            id_type=of.id_type,
            time=f"{self.name}_time",
            columns={of.id_columns[0]: ForeignKey(to=of), self.name: Flag()},
            sources={of.id_columns[0]: of.source(of.id_columns[0]), self.name: column},
            freshness=of.freshness,
            late_after=of.late_after,
            accept_late=of.accept_late,
            retention=of.retention,
            format=of.format,
        )

    def _check_teller(self, where: str) -> None:
        parent = self.told_by.parent
        if parent is None or parent[1] is not self.of:
            raise DeclarationError(
                f"{self.told_by} has no foreign key to {self.of}",
                where=where,
                next_step=f"declare a column ForeignKey({self.of.name}) in it",
            )
        flags = [
            name for name, column in self.told_by.columns.items() if isinstance(column, Flag) and not column.nullable
        ]
        one_of(self.name, flags, where=f"{where}.told_by", kind="never-null flag")

    def __repr__(self) -> str:
        return f"Label({self.name!r}, of={self.of}, after={duration_text(self.settled_after)})"
