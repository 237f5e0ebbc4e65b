"""A pipeline: one declared use case, from its streams to the policy that retrains its models."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluice.declare.arguments import check_fields
from sluice.declare.asof import AsOf, AsOfTable, tables_of
from sluice.declare.checks import distinct, named, one_of
from sluice.declare.columns import Column, Key
from sluice.declare.functions import Windowed
from sluice.declare.keeping import Keeping, check_keeping
from sluice.declare.operands import Feature, Operands, column_feature
from sluice.declare.operate import Gates, Rollout, Training
from sluice.declare.retraining import HybridRetraining
from sluice.declare.streams import Label, Stream
from sluice.declare.views import Request, Windows
from sluice.errors import DeclarationError

ALL = "*"
"""The segment that stands for all traffic: the fallback model's."""


@dataclass(frozen=True, eq=False)
class Pipeline:
    """One declared use case; everything else (schemas, topics, jobs, model inputs, request schema) follows from it."""

    name: str
    views: Sequence[Windows | AsOf | Request] = field(kw_only=True)
    """The features of a vector: of the windows, then the looked up ones, then the request's, each in this order.

    None at all is a pipeline that brings events into history and computes nothing.
    """
    label: Label = field(kw_only=True)
    """What is predicted; the stream it is about is the one that is scored."""
    segment_by: str | None = field(default=None, kw_only=True)
    """The closed category whose values have a model each; one model for all by default."""
    card: str | None = field(default=None, kw_only=True)
    """The key whose top 100 a day the metric card_precision_at_100 ranks; the first view's by default."""
    gates: Gates = field(default_factory=Gates, kw_only=True)
    training: Training = field(default_factory=Training, kw_only=True)
    rollout: Rollout = field(default_factory=Rollout, kw_only=True)
    retraining: HybridRetraining = field(default_factory=HybridRetraining, kw_only=True)
    keeping: Keeping = field(default_factory=Keeping, kw_only=True)
    tables: Mapping[str, AsOfTable] = field(init=False, repr=False)
    reference: str = field(init=False, repr=False)
    """What the command line calls it: its name, or the path of the file that it was loaded from."""

    def __post_init__(self) -> None:
        where = f"Pipeline({self.name!r})"
        named(self.name, where="Pipeline(name)")
        object.__setattr__(self, "reference", self.name)
        self._check_parts(where)
        self._check_streams(where)
        for view in self.windows:
            self._check_view(view, where)
        object.__setattr__(self, "tables", tables_of(self.lookups, self.events.columns, where))
        for request in self.requests:
            for feature in request.features:
                self._operands.check(feature, f"{where}.{request.name}.{feature.name}")
        self._check_running(where)
        check_keeping(self, where)

    @property
    def events(self) -> Stream:
        """The stream whose events are scored."""
        return self.label.of

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream: the scored events first, then those that tell about them."""
        told = [view.label.told_by for view in self.windows if view.label]
        return tuple(dict.fromkeys([self.events, self.label.told_by, *told, *(view.stream for view in self.windows)]))

    @functools.cached_property
    def windows(self) -> tuple[Windows, ...]:
        """The windowed views in declared order."""
        return tuple(view for view in self.views if isinstance(view, Windows))

    @functools.cached_property
    def lookups(self) -> tuple[AsOf, ...]:
        """The as-of views in declared order."""
        return tuple(view for view in self.views if isinstance(view, AsOf))

    @functools.cached_property
    def requests(self) -> tuple[Request, ...]:
        """The request views in declared order."""
        return tuple(view for view in self.views if isinstance(view, Request))

    @property
    def keys(self) -> tuple[str, ...]:
        """The entity keys that the views use, in order of first use."""
        return tuple(dict.fromkeys(view.of for view in self.windows))

    @property
    def card_key(self) -> str:
        """The key that stands for the card in daily rankings."""
        self.check_computes()
        return self.windows[0].of if self.card is None else self.card

    @property
    def segments(self) -> tuple[str, ...]:
        """The declared segments; only `*` when the traffic is not divided."""
        if self.segment_by is None:
            return (ALL,)
        return self.events.columns[self.segment_by].categories

    @functools.cached_property
    def features(self) -> tuple[Feature, ...]:
        """The places of a vector: of the windows, of the as-of views, of the request, each in declared order."""
        self.check_computes()
        found = [feature for features in self._operands.views.values() for feature in features.values()]
        asked = [self._operands.feature(view.name, item) for view in self.requests for item in view.features]
        return (*found, *asked)

    @functools.cached_property
    def definition(self) -> str:
        """The hash of everything that changes a feature's value, 16 hexadecimal digits."""
        described = self.describe()
        return hash_of({part: described[part] for part in ("views", "events")})

    def describe(self) -> dict[str, object]:
        """Everything that changes a feature's value or the label's, as JSON holds it."""
        return {
            "events": self.events.meaning(),
            "views": [view.describe() for view in self.views],
            "label": self.label.describe(),
        }

    def stream(self, name: str) -> Stream:
        """The stream of that name."""
        by_name = {stream.name: stream for stream in self.streams}
        return by_name[one_of(name, by_name, where=f"Pipeline({self.name!r})", kind="stream")]

    def view(self, name: str) -> Windows:
        """The windowed view of that name."""
        by_name = {view.name: view for view in self.windows}
        return by_name[one_of(name, by_name, where=f"Pipeline({self.name!r})", kind="view")]

    def check_computes(self) -> None:
        """DeclarationError for a pipeline without views: there is nothing to compute."""
        if not self.windows:
            raise DeclarationError(
                "no Windows is declared, so that there are no features",
                where=f"Pipeline({self.name!r}).views",
                allowed="ingest, and what looks after the lake",
                next_step='declare a column as Key() and a view of it: Windows("activity", of=…, over=…, features=[…])',
            )

    def request_columns(self) -> Mapping[str, Column]:
        """The declared columns of a request besides id and time."""
        return self.events.columns

    @functools.cached_property
    def _operands(self) -> Operands:
        """What request features may be made from."""
        views = {
            view.name: {item.name: _windowed_feature(view, item) for item in view.functions} for view in self.windows
        }
        looked_up = {view.name: dict(zip(view.features, view.places, strict=True)) for view in self.lookups}
        return Operands(self.events.columns, {**views, **looked_up})

    def _check_parts(self, where: str) -> None:
        check_fields(self, where=where)
        for view in self.views:
            if not isinstance(view, Windows | AsOf | Request):
                raise DeclarationError(
                    f"{view!r} is no view", where=f"{where}.views", allowed="Windows, AsOf and Request"
                )
        distinct([view.name for view in self.views], where=where, kind="view")
        if self.views and not self.windows:
            raise DeclarationError("no Windows is declared", where=f"{where}.views", allowed="at least one Windows")

    def _check_running(self, where: str) -> None:
        """Names that the other parts take from the streams and views."""
        if self.card is not None:
            one_of(self.card, self.keys, where=f"{where}.card", kind="key")
        if self.segment_by is not None:
            closed = [name for name, column in self.events.columns.items() if column.categories]
            one_of(self.segment_by, closed, where=f"{where}.segment_by", kind="closed category")
        for name in self.training.exclude:
            one_of(name, [item.name for item in self.features], where=f"{where}.training.exclude", kind="feature")
        for segment in self.retraining.overrides:
            one_of(segment, {*self.segments, ALL}, where=f"{where}.retraining.overrides", kind="segment")

    def _check_streams(self, where: str) -> None:
        distinct([stream.name for stream in self.streams], where=where, kind="stream")
        for stream in self.streams:
            if stream.parent is not None and stream.parent[1] is not self.events:
                raise DeclarationError(
                    f"{stream} points at {stream.parent[1]}",
                    where=f"{where}.{stream.parent[0]}",
                    allowed=f"ForeignKey({self.events.name}), the scored events",
                )

    def _check_view(self, view: Windows, where: str) -> None:
        at = f"{where}.{view.name}"
        keys = {name: column for name, column in self.events.columns.items() if isinstance(column, Key)}
        one_of(view.of, keys, where=f"{at}.of", kind="key of the scored events")
        if keys[view.of].type != view.key.type:
            raise DeclarationError(
                f"key {view.of!r} is {view.key.type} in {view.stream}", where=f"{at}.of", allowed=keys[view.of].type
            )
        if _texts(self.events) and not _texts(view.stream):
            raise DeclarationError(
                f"ids of {view.stream} are whole numbers, and those of {self.events} texts",
                where=f"{at}.over",
                next_step=f'declare id_type="text" in {view.stream}: at one moment they are compared',
            )
        if view.label is not None and view.stream is not self.events:
            raise DeclarationError(f"a label of {view.stream}", where=f"{at}.over", allowed=f"labels of {self.events}")
        if view.include_request and view.stream is not self.events:
            raise DeclarationError(
                f"a request is no event of {view.stream}", where=f"{at}.include_request", allowed="False"
            )


def _texts(stream: Stream) -> bool:
    return stream.id_type == "text" or not stream.id_columns


def _windowed_feature(view: Windows, feature: Windowed) -> Feature:
    name, category = f"{view.name}__{feature.name}", view.category(feature)
    return Feature(name, "number") if category is None else column_feature(name, category)


def hash_of(description: Mapping[str, object]) -> str:
    """Sixteen hexadecimal digits of SHA-256 over the canonical JSON of a description."""
    text = json.dumps(description, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
