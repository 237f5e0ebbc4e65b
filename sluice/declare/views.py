"""Views: the features of one entity over one stream, and the features of the request itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sluice.declare.checks import distinct, named, one_of
from sluice.declare.columns import Column, Decimal, Flag, Integer, Key
from sluice.declare.durations import DAY, HOUR, MINUTE, duration, duration_text
from sluice.declare.functions import Windowed, flatten
from sluice.declare.request import RequestFeature, ViewFeature
from sluice.declare.streams import Label, Stream
from sluice.errors import DeclarationError

SLOTS = (DAY, HOUR, 5 * MINUTE, MINUTE)
"""The slot lengths a view can choose from; each divides the one before."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Features of the entity `of` over the events of a stream or a label: exact values of sliding windows.

    A window of length W before a request at time t holds the events in `(t - delay - W, t - delay]`, ties by id.
    `include_request` counts the request's own event too. The values depend on which events there are and on nothing
    else: not on the order of arrival, the number of workers, or a restart.
    """

    name: str
    of: str = field(kw_only=True)
    """The key of the entity: a column of the events, or of the events that they are about."""
    over: Stream | Label = field(kw_only=True)
    """The events that are counted; a label stands at the time and id of the event it is about."""
    features: Sequence[Sequence[Windowed]] = field(kw_only=True)
    """What is computed: a list of `count`, `sum_`, `mean`, `share` and `since_last`."""
    include_request: bool = field(default=False, kw_only=True)
    """Whether the request's own event counts too."""
    delay: str | int = field(default="0s", kw_only=True)
    """How long before the request every window ends; for a label at least as long as it takes to be known."""
    edge: Literal["exact"] = field(default="exact", kw_only=True)
    """Windows begin and end at the microsecond."""
    functions: tuple[Windowed, ...] = field(init=False)

    def __post_init__(self) -> None:
        where = f"Windows({self.name!r})"
        named(self.name, where="Windows(name)")
        if not isinstance(self.over, Stream | Label):
            raise DeclarationError(f"over={self.over!r}", where=where, allowed="a Stream or a Label")
        object.__setattr__(self, "delay", duration(self.delay, where=f"{where}.delay"))
        object.__setattr__(self, "functions", flatten(self.features, where=where))
        one_of(self.edge, ["exact"], where=f"{where}.edge", kind="edge")
        _check_key(self, where)
        _check_functions(self, where)
        if self.label is not None and self.lag < self.label.settled_after:
            raise DeclarationError(
                f"delay {duration_text(self.lag)} is shorter than the label takes to be known",
                where=where,
                allowed=f"{duration_text(self.label.settled_after)} or more",
                next_step="a shorter delay would see the frauds before the genuine events",
            )

    @property
    def stream(self) -> Stream:
        """The stream whose events are counted; for a label, the stream it is about."""
        return self.over.of if isinstance(self.over, Label) else self.over

    @property
    def label(self) -> Label | None:
        """The label the view runs over, if it does."""
        return self.over if isinstance(self.over, Label) else None

    @property
    def inherits_key(self) -> bool:
        """Whether the entity key comes from the event that each counted event is about."""
        return self.of not in self.stream.columns

    @property
    def key(self) -> Key:
        """The declared key column."""
        return _key_column(self.stream, self.of)

    @functools.cached_property
    def lag(self) -> int:
        """The declared delay in microseconds."""
        return int(self.delay)

    @functools.cached_property
    def longest(self) -> int:
        """The longest window in microseconds."""
        return max(feature.window or 0 for feature in self.functions)

    @functools.cached_property
    def horizon(self) -> int:
        """How far behind the watermark an event may be and still count: longest window + delay + accept_late."""
        return self.longest + self.lag + self.stream.micros("accept_late")

    @functools.cached_property
    def slot(self) -> int:
        """The slot length of the view's tiles: the longest that is no longer than its shortest window."""
        shortest = min(feature.window for feature in self.functions if feature.window)
        return next(slot for slot in SLOTS if slot <= shortest)

    @functools.cached_property
    def value_columns(self) -> tuple[str, ...]:
        """The columns that the functions read, in the order of first use."""
        return tuple(dict.fromkeys(feature.column for feature in self.functions if feature.column))

    def column(self, name: str) -> Column:
        """The declared column that a function reads; for a label view the label itself is one."""
        return Flag() if self.label is not None and name == self.label.name else self.stream.columns[name]

    def __getitem__(self, feature: str) -> ViewFeature:
        one_of(feature, [item.name for item in self.functions], where=f"Windows({self.name!r})", kind="feature")
        return ViewFeature(self.name, feature)

    def describe(self) -> dict[str, object]:
        """Everything that changes the values."""
        return {
            "name": self.name,
            "of": self.of,
            "over": self.over.describe() if isinstance(self.over, Label) else self.over.meaning(),
            "features": [feature.describe() for feature in self.functions],
            "include_request": self.include_request,
            "delay": self.lag,
            "edge": self.edge,
        }


@dataclass(frozen=True, eq=False)
class Request:
    """Features of the request itself, and ratios and crosses of what is known at that moment."""

    name: str
    features: tuple[RequestFeature, ...]

    def __init__(self, name: str, *features: RequestFeature) -> None:
        named(name, where="Request(name)")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "features", features)
        distinct([feature.name for feature in features], where=f"Request({name!r})", kind="feature")

    def describe(self) -> dict[str, object]:
        """Everything that changes the values."""
        return {"name": self.name, "features": [feature.describe() for feature in self.features]}


def _key_column(stream: Stream, of: str) -> Key:
    column = stream.columns.get(of)
    if column is None and stream.parent is not None:
        column = stream.parent[1].columns.get(of)
    if isinstance(column, Key):
        return column
    raise DeclarationError(f"{of!r} is no key of {stream}", where="Windows(of)")


def _check_key(view: Windows, where: str) -> None:
    stream = view.stream
    own = [name for name, column in stream.columns.items() if isinstance(column, Key)]
    parent = stream.parent[1] if stream.parent else None
    inherited = [name for name, column in parent.columns.items() if isinstance(column, Key)] if parent else []
    one_of(view.of, [*own, *inherited], where=f"{where}.of", kind="key")


def _check_functions(view: Windows, where: str) -> None:
    if not any(feature.window for feature in view.functions):
        raise DeclarationError(
            "no feature has a window",
            where=where,
            next_step="since_last needs one to look back through, such as count('30d')",
        )
    if view.include_request and view.label is not None:
        raise DeclarationError("a request has no label yet", where=f"{where}.include_request", allowed="False")
    if view.label is not None and view.label.absent is None:
        _check_no_last(view, where)
    for feature in view.functions:
        if feature.column is not None:
            _check_column(view, feature, feature.column, where)


def _check_no_last(view: Windows, where: str) -> None:
    # a label taken back would leave the time of an event that no longer counts, and a maximum cannot be subtracted
    for feature in view.functions:
        if feature.function == "since_last":
            raise DeclarationError(
                "since_last over a label that may be unknown",
                where=f"{where}.{feature.name}",
                allowed="a stream, or a label with absent=0 or absent=1",
            )


def _check_column(view: Windows, feature: Windowed, column: str, where: str) -> None:
    usable = (Flag,) if feature.function == "share" else (Decimal, Integer, Flag)
    columns: dict[str, Column] = dict(view.stream.columns) if view.label is None else {view.label.name: Flag()}
    allowed = [name for name, column in columns.items() if isinstance(column, usable)]
    if column in columns and column not in allowed:
        raise DeclarationError(
            f"{feature.function} of {columns[column].kind} {column!r}", where=f"{where}.{feature.name}", allowed=allowed
        )
    one_of(column, allowed, where=f"{where}.{feature.name}", kind="column")
