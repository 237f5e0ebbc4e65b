"""Views: the features of one entity over one stream, and the features of the request itself."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from sluice.declare.arguments import check_fields
from sluice.declare.checks import distinct, named, one_of
from sluice.declare.columns import Category, Column, Flag, Key
from sluice.declare.conditions import Condition
from sluice.declare.durations import DAY, HOUR, MINUTE, Duration, duration, duration_text
from sluice.declare.functions import LIFETIME, Windowed, flatten
from sluice.declare.request import RequestFeature, ViewFeature
from sluice.declare.streams import Label, Stream
from sluice.declare.usage import check_functions
from sluice.errors import DeclarationError

SLOTS = (
    *(days * DAY for days in (512, 128, 32, 8, 2, 1)),
    *(hours * HOUR for hours in (6, 3, 1)),
    *(minutes * MINUTE for minutes in (15, 5, 1)),
)
"""The lengths of slots; each divides the one before."""
_LARGEST_LEAF = 1_000_000
_EDGES = {"1d": DAY, "1h": HOUR, "5min": 5 * MINUTE, "1min": MINUTE}


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
    """What is computed: a list of windowed functions, such as `[count("7d"), mean("amount", "30d")]`."""
    include_request: bool = field(default=False, kw_only=True)
    """Whether the request's own event counts too."""
    delay: Duration = field(default="0s", kw_only=True)
    """How long before the request every window ends; for a label at least as long as it takes to be known."""
    edge: Literal["exact", "slot"] = field(default="exact", kw_only=True)
    """`exact`: windows begin and end at the microsecond. `slot`: they are whole slots, the last one that has ended."""
    slot: Duration | None = field(default=None, kw_only=True)
    """Of `edge="slot"`, the length of a slot: `1min`, `5min`, `1h` or `1d`; every window is a multiple of it."""
    leaf: int = field(default=512, kw_only=True)
    """How many events of an entity are stored together; more are divided by slots. It changes no value."""
    functions: tuple[Windowed, ...] = field(init=False)

    def __post_init__(self) -> None:
        where = f"Windows({self.name!r})"
        named(self.name, where="Windows(name)")
        check_fields(self, where=where)
        object.__setattr__(self, "delay", duration(self.delay, where=f"{where}.delay"))
        object.__setattr__(self, "functions", flatten(self.features, where=where))
        one_of(self.edge, ["exact", "slot"], where=f"{where}.edge", kind="edge")
        object.__setattr__(self, "slot", _slot(self.slot, self.edge, where))
        if not 1 <= self.leaf <= _LARGEST_LEAF:
            raise DeclarationError(f"leaf={self.leaf!r}", where=where, allowed=f"1 to {_LARGEST_LEAF:,} events")
        _check_key(self, where)
        check_functions(self, where)
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
        """The longest window in microseconds but for lifetime; 0 when there is no other."""
        return max((item.window for item in self.functions if item.window not in {None, LIFETIME}), default=0)

    @functools.cached_property
    def horizon(self) -> int:
        """How far behind the watermark an event may be and still count: longest window + delay + accept_late."""
        return self.longest + self.lag + self.stream.micros("accept_late")

    @functools.cached_property
    def reach(self) -> int:
        """How far before a request the events may lie that it sees, but for lifetime windows."""
        return self.longest + self.lag + (0 if self.slot is None else 2 * int(self.slot))

    @functools.cached_property
    def slots(self) -> tuple[int, ...]:
        """The lengths of slots that its tiles may have, the longest first: it reaches as far as the longest window."""
        top = next((slot for slot in reversed(SLOTS) if slot >= max(self.longest, DAY)), SLOTS[0])
        finest = MINUTE if self.slot is None else int(self.slot)
        return tuple(slot for slot in SLOTS if finest <= slot <= top)

    @functools.cached_property
    def value_columns(self) -> tuple[str, ...]:
        """The columns whose values the functions read, in the order of first use."""
        return tuple(dict.fromkeys(feature.column for feature in self.functions if feature.column))

    @functools.cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The different filters of its functions, in the order of first use."""
        return tuple(dict.fromkeys(feature.where for feature in self.functions if feature.where is not None))

    @functools.cached_property
    def request_columns(self) -> tuple[str, ...]:
        """The columns of a request that count when it is included: those of the values and of the filters."""
        filters = [name for condition in self.conditions for name in condition.columns]
        return tuple(dict.fromkeys([*self.value_columns, *filters])) if self.include_request else ()

    def window(self, feature: Windowed) -> int:
        """The window of one of its features; without one of its own, the longest."""
        return (self.longest or LIFETIME) if feature.window is None else feature.window

    def category(self, feature: Windowed) -> Category | None:
        """The category whose code is the value of one of its features; None for one that is a number."""
        column = None if feature.column is None else self.column(feature.column)
        picks = feature.function in {"top", "first", "last"}
        return column if picks and isinstance(column, Category) else None

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
            **({"slot": self.slot} if self.slot is not None else {}),
        }


@dataclass(frozen=True, eq=False)
class Request:
    """Features of the request itself, and ratios and crosses of what is known at that moment."""

    name: str
    features: tuple[RequestFeature, ...]

    def __init__(self, name: str, *features: RequestFeature) -> None:
        named(name, where="Request(name)")
        for feature in features:
            if not isinstance(feature, RequestFeature):
                raise DeclarationError(
                    f"{feature!r} is no feature of the request",
                    where=f"Request({name!r})",
                    allowed='features one after another, such as hour(), ratio("amount", spend["mean_amount_7d"])',
                )
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


def _slot(slot: str | int | None, edge: str, where: str) -> int | None:
    if edge == "exact":
        if slot is not None:
            raise DeclarationError(f"slot={slot!r} with exact edges", where=where, allowed='slot= beside edge="slot"')
        return None
    length = duration(slot, where=f"{where}.slot") if slot is not None else None
    if length not in _EDGES.values():
        raise DeclarationError(
            f"slot={slot!r}",
            where=where,
            allowed=list(_EDGES),
            next_step='say how long a slot is, such as slot="1h"',
        )
    return length
