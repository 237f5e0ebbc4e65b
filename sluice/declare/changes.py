"""What changed between two descriptions of a pipeline, in the words of its declaration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.declare.durations import duration_text

Description = Mapping[str, Any]
"""`Pipeline.describe()`, also when it was read from JSON."""
_DURATIONS = {"window", "delay", "known_after", "max_skew", "accept_late", "after"}
_ABSENT = object()


class _Order(list[str]):
    """Names whose order matters."""


@dataclass(frozen=True)
class Change:
    """One part of a declaration that is another than before."""

    place: str
    """Such as `view spend, feature count_7d, window`."""
    before: str | None
    after: str | None
    """None for a part that was not there before, or is not any more."""

    def __str__(self) -> str:
        """One line, such as `view spend, delay: 0s → 1d`."""
        if self.before is None:
            return f"{self.place}: added"
        return f"{self.place}: {f'{self.before} → {self.after}' if self.after is not None else 'removed'}"


def changes(before: Description, after: Description) -> list[Change]:
    """Every part that is another, each once, in the order of the declaration; none when both mean the same."""
    return list(_compared("", _parts(before), _parts(after)))


def _compared(place: str, before: Any, after: Any) -> list[Change]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = []
        for name in dict.fromkeys([*before, *after]):
            where = f"{place}, {name}" if place else name
            found += _compared(where, before.get(name, _ABSENT), after.get(name, _ABSENT))
        return found
    if before == after or _only_grown(before, after):
        return []
    return [Change(place, _text(place, before), _text(place, after))]


def _only_grown(before: Any, after: Any) -> bool:
    """Whether two orders of names agree on what both have; what is new or gone is told by itself."""
    if not isinstance(before, _Order) or not isinstance(after, _Order):
        return False
    both = set(before) & set(after)
    return [name for name in before if name in both] == [name for name in after if name in both]


def _parts(description: Description) -> dict[str, Any]:
    """A description by the names of its parts, so that a moved or inserted part is not taken for a changed one."""
    streams = {stream["name"]: stream for stream in _streams(description)}
    return {
        **{f"stream {name}": _stream(stream) for name, stream in streams.items()},
        f"label {description['label']['name']}": _label(description["label"]),
        **{f"view {view['name']}": _view(view, description["label"]) for view in description["views"]},
        "order of the views": _Order(view["name"] for view in description["views"]),
    }


def _streams(description: Description) -> list[Description]:
    over = [view["over"] for view in description["views"] if "over" in view]
    tellers = [item["told_by"] for item in [description["label"], *over] if "told_by" in item]
    return [description["events"], *tellers, *(item for item in over if "told_by" not in item)]


def _stream(stream: Description) -> dict[str, Any]:
    own = {name: value for name, value in stream.items() if name not in {"name", "columns"}}
    columns = {f"column {name}": column for name, column in stream["columns"].items()}
    return {**own, **columns, "order of the columns": _Order(stream["columns"])}


def _label(label: Description) -> dict[str, Any]:
    return {**label, "told_by": label["told_by"]["name"]}


def _view(view: Description, target: Description) -> dict[str, Any]:
    own = {name: value for name, value in view.items() if name not in {"name", "features", "over"}}
    if "over" in view:
        over = view["over"]
        own["over"] = over["name"] if "told_by" not in over or over == target else _label(over)
    features = {f"feature {feature['name']}": feature for feature in view["features"]}
    return {**own, **features, "order of the features": _Order(feature["name"] for feature in view["features"])}


def _text(place: str, value: Any) -> str | None:
    if value is _ABSENT:
        return None
    if place.rpartition(", ")[2] in _DURATIONS and isinstance(value, int):
        return duration_text(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "(" + ", ".join(map(str, value)) + ")"
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
