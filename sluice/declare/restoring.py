"""A declaration made again from its description, so that a definition can be computed that no code says any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.declare.asof import AsOf
from sluice.declare.changes import Description
from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Integer, Key
from sluice.declare.conditions import Condition
from sluice.declare.durations import duration_text
from sluice.declare.functions import Windowed
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import Operand, RequestFeature, ViewFeature
from sluice.declare.streams import Label, Stream, position
from sluice.declare.views import Request, Windows
from sluice.errors import DataError, DeclarationError

_COLUMNS: Mapping[str, type[Column]] = {kind.kind: kind for kind in (Decimal, Flag, Integer, Key)}


def restore(name: str, description: Description) -> Pipeline:
    """A pipeline that gives the values that were described; DataError when this code no longer knows how.

    What a description does not hold, such as where events come from or what is trained, is as by default.
    """
    try:
        made = _Restored(description).pipeline(name)
    except (KeyError, TypeError, ValueError, DeclarationError) as error:
        raise _unreadable(name, f"{type(error).__name__}: {error}") from error
    lost = _lost(description, made.describe(), "")
    if lost is not None:
        raise _unreadable(name, f"{lost} means something else by now")
    return made


class _Restored:
    """The streams and labels of one description, each made once: views over one stream share it."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._events = _stream(description["events"], None)
        self._streams = {self._events.name: self._events}
        self._labels: dict[str, Label] = {}

    def pipeline(self, name: str) -> Pipeline:
        views = [self._view(view) for view in self._description["views"]]
        return Pipeline(name, views=views, label=self._label(self._description["label"]))

    def _view(self, view: Description) -> Windows | AsOf | Request:
        if "table" in view:
            return _as_of(view)
        if "over" not in view:
            return Request(view["name"], *(_request_feature(feature) for feature in view["features"]))
        over = view["over"]
        return Windows(
            view["name"],
            of=view["of"],
            over=self._label(over) if "told_by" in over else self._stream(over),
            features=[(_windowed(feature),) for feature in view["features"]],
            include_request=view["include_request"],
            delay=view["delay"],
            edge=view["edge"],
            slot=view.get("slot"),
        )

    def _stream(self, stream: Description) -> Stream:
        if stream["name"] not in self._streams:
            self._streams[stream["name"]] = _stream(stream, self._events)
        return self._streams[stream["name"]]

    def _label(self, label: Description) -> Label:
        if label["name"] not in self._labels:
            self._labels[label["name"]] = Label(
                label["name"],
                of=self._events,
                told_by=self._stream(label["told_by"]),
                known_after=label["known_after"],
                absent=label["absent"],
                after=label["after"],
            )
        return self._labels[label["name"]]


def _stream(stream: Description, events: Stream | None) -> Stream:
    ids = stream["id"]
    return Stream(
        stream["name"],
        id=tuple(ids) if len(ids) > 1 else ids[0] if ids else position,
        id_type=stream["id_type"],
        time=stream["time"],
        columns={name: _column(column, events) for name, column in stream["columns"].items()},
        known=f"event_time + {duration_text(stream['known_after'])}",
        max_skew=stream["max_skew"],
        accept_late=stream["accept_late"],
    )


def _column(column: Description, events: Stream | None) -> Column:
    given = {name: value for name, value in column.items() if name != "kind"}
    if column["kind"] == Category.kind:
        return Category(*given["values"], nullable=given["nullable"], pattern=given.get("pattern"))
    if column["kind"] == ForeignKey.kind and events is not None:
        return ForeignKey(events, nullable=given["nullable"])
    return _COLUMNS[column["kind"]](**given)


def _as_of(view: Description) -> AsOf:
    columns = {
        feature["name"]: _column({name: value for name, value in feature.items() if name != "name"}, None)
        for feature in view["features"]
    }
    given = {name: view[name] for name in ("table", "on", "known_after", "valid_for")}
    return AsOf(view["name"], features=columns, **given)


def _windowed(feature: Description) -> Windowed:
    where = feature.get("where")
    told = {"where": where and _condition(where), "parameters": tuple(feature.get("parameters", ()))}
    return Windowed(**{**feature, **told})


def _condition(described: Sequence[Any]) -> Condition:
    operator, *rest = described
    if operator in {"&", "|", "~"}:
        return Condition(operator, parts=tuple(_condition(part) for part in rest))
    column, *constants = rest
    return Condition(operator, column, tuple(constants))


def _request_feature(feature: Description) -> RequestFeature:
    operands = tuple(_operand(operand) for operand in feature["operands"])
    return RequestFeature(feature["function"], operands, feature.get("name", ""), tuple(feature["parameters"]))


def _operand(described: str | Description) -> Operand:
    if not isinstance(described, str):
        return _request_feature(described)
    view, separator, feature = described.partition("__")
    return ViewFeature(view, feature) if separator else described


def _lost(described: Any, made: Any, place: str) -> str | None:
    """The first part of a description that was made otherwise; parts that the vocabulary has grown since are fine."""
    if isinstance(described, Mapping) and isinstance(made, Mapping):
        found = (_lost(value, made.get(name), f"{place}.{name}") for name, value in described.items())
    elif _is_list(described) and _is_list(made) and len(described) == len(made):
        found = (_lost(*pair, place) for pair in zip(described, made, strict=True))
    else:
        return None if described == made else place.lstrip(".")
    return next((part for part in found if part is not None), None)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _unreadable(name: str, why: str) -> DataError:
    return DataError(
        f"a former definition of pipeline {name!r} cannot be made again: {why}",
        next_step="use the code of that definition",
    )
