"""The meaning of a vector, written as its definition reads: slow, on plain lists and exact fractions, with no engine.

    value(feature, request) = F(the entity's events that the view may see, inside the window)

Nothing here is shared with the code under test but the declaration itself.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from sluice.declare.asof import AsOf
from sluice.declare.columns import Category
from sluice.declare.functions import Windowed
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import Operand, RequestFeature, ViewFeature
from sluice.declare.views import Windows

PUT, DELETE = 0, 1
Value = float | int | None
Tables = Mapping[str, Sequence[dict[str, Any]]]
"""The rows of each as-of table: key columns, `valid_from` and values, encoded."""


@dataclass(frozen=True)
class Version:
    """One version of one event as it reached us; decimals in steps, categories as codes, times in microseconds."""

    stream: str
    id: int | str
    time: int
    values: dict[str, Any] = field(hash=False)
    hash: int
    revision: int = 0
    op: int = PUT
    known: int = 0
    watermark: int | None = None


@dataclass(frozen=True)
class Asked:
    """A request: when, which id (None comes after every other), and its columns."""

    time: int
    id: int | str | None
    values: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Counted:
    """An event that a view counts."""

    key: int | str
    time: int
    id: int | str
    values: dict[str, Any] = field(hash=False)


def packed_vector(
    pipeline: Pipeline, request: Asked, versions: Sequence[Version], tables: Tables | None = None
) -> bytes:
    """The vector as 8-byte little-endian words and a bitmap of the valid places."""
    values = vector(pipeline, request, versions, tables)
    places = zip(pipeline.features, values, strict=True)
    words = b"".join(
        struct.pack("<q" if place.kind == "category" else "<d", 0 if value is None else value)
        for place, value in places
    )
    valid = sum(1 << index for index, value in enumerate(values) if value is not None)
    return words + valid.to_bytes((len(values) + 7) // 8, "little")


def vector(
    pipeline: Pipeline, request: Asked, versions: Sequence[Version], tables: Tables | None = None
) -> list[Value]:
    kept = max(view.longest + view.lag + view.stream.micros("accept_late") for view in pipeline.windows)
    windowed = {
        f"{view.name}__{feature.name}": value(view, feature, request, versions, kept)
        for view in pipeline.windows
        for feature in view.functions
    }
    found = {
        f"{view.name}__{name}": looked_up(view, name, request, (tables or {})[view.table])
        for view in pipeline.lookups
        for name in view.features
    }
    known = {**windowed, **found}
    moment = [
        moment_value(pipeline, feature, request, known) for view in pipeline.requests for feature in view.features
    ]
    return [*known.values(), *moment]


def looked_up(view: AsOf, feature: str, request: Asked, rows: Iterable[dict[str, Any]]) -> Value:
    """One feature of the row with the greatest `valid_from` that is known and still holds."""
    key = {in_table: request.values[name] for name, in_table in view.keys.items()}
    best = None
    for row in rows:
        mine = None not in key.values() and all(row[name] == value for name, value in key.items())
        if mine and row["valid_from"] + int(view.known_after) <= request.time:
            best = row if best is None or row["valid_from"] > best["valid_from"] else best
    if best is None or best[feature] is None:
        return None
    if view.valid_for is not None and request.time >= best["valid_from"] + int(view.valid_for):
        return None
    column, step = view.features[feature], best[feature]
    return step if isinstance(column, Category) else float(Fraction(step, 10 ** getattr(column, "scale", 0)))


def value(view: Windows, feature: Windowed, request: Asked, versions: Sequence[Version], kept: int) -> Value:
    """One windowed feature of one request."""
    key = request.values[view.of]
    near = request.time - view.lag
    far = near - (feature.window or view.longest)
    seen = visible(view, versions, request.time, kept) if key is not None else []
    inside = [e for e in seen if e.key == key and far < e.time <= near and before(e, request)]
    if feature.function == "since_last":
        last = max((event.time for event in inside), default=None)
        return None if last is None else float(Fraction(request.time - last, 1_000_000))
    if view.include_request and key is not None:
        inside.append(Counted(key, request.time, 0, request.values))
    if feature.function == "count":
        return float(len(inside))
    return amount_of(view, feature, [event.values[str(feature.column)] for event in inside])


def amount_of(view: Windows, feature: Windowed, steps: list[int | None]) -> Value:
    scale = getattr(view.column(str(feature.column)), "scale", 0)
    amounts = [Fraction(step, 10**scale) for step in steps if step is not None]
    if not amounts:
        return None if feature.fill is None else float(feature.fill)
    total = sum(amounts, Fraction(0))
    return float(total if feature.function == "sum" else total / len(amounts))


def before(event: Counted, request: Asked) -> bool:
    """Whether (time, id) of an event comes before the request's own; integers by value, everything else as UTF-8."""
    if event.time != request.time or request.id is None:
        return event.time <= request.time
    if isinstance(event.id, int) and isinstance(request.id, int):
        return event.id < request.id
    return str(event.id).encode() < str(request.id).encode()


def visible(view: Windows, versions: Iterable[Version], at: int, kept: int) -> list[Counted]:
    """The events of a view that may be seen at a moment: not expired, not deleted, not replaced, with their key."""
    if view.label is not None:
        return labelled(view, list(versions), at, kept)
    everything = list(versions)
    mine = standing(v for v in everything if v.stream == view.stream.name and not expired(view, v, v.time))
    if view.of in view.stream.columns:
        return [Counted(v.values[view.of], v.time, v.id, v.values) for v in mine]
    link, parent_stream = view.stream.parent
    parents = {v.id: v for v in standing(v for v in everything if v.stream == parent_stream.name)}
    related = [(v, parents[v.values[link]]) for v in mine if v.values[link] in parents]
    return [Counted(p.values[view.of], v.time, v.id, v.values) for v, p in related if abs(p.time - v.time) <= kept]


def labelled(view: Windows, versions: list[Version], at: int, kept: int) -> list[Counted]:
    """Labels stand at the time and id of the event they are about, once they are known."""
    label = view.label
    events = standing(v for v in versions if v.stream == label.of.name and not expired(view, v, v.time))
    told = [v for v in originals(v for v in versions if v.stream == label.told_by.name) if v.known <= at]
    found = []
    for event in events:
        flag = flag_of(view, event, [v for v in told if not expired(view, v, event.time)], kept)
        if flag is None and event.time + label.after <= at:
            flag = label.absent
        if flag is not None:
            found.append(Counted(event.values[view.of], event.time, event.id, {label.name: flag}))
    return found


def flag_of(view: Windows, event: Version, told: list[Version], kept: int) -> int | None:
    """What the label says of an event: the latest of the standing versions that speak of it, or nothing."""
    link, _ = view.label.told_by.parent
    about = [v for v in standing(told) if v.values[link] == event.id and abs(event.time - v.time) <= kept]
    latest = max(about, key=lambda v: (v.time, v.id), default=None)
    return None if latest is None else latest.values[view.label.name]


def expired(view: Windows, version: Version, time: int) -> bool:
    """Whether a version came too late for a view: its row's time is past the horizon behind its watermark."""
    horizon = view.longest + view.lag + view.stream.micros("accept_late")
    return version.watermark is not None and time < version.watermark - horizon


def standing(versions: Iterable[Version]) -> list[Version]:
    """Of each id the greatest revision, then the greatest hash, then the delete; deleted ones are gone."""
    best: dict[int | str, Version] = {}
    for version in versions:
        held = best.get(version.id)
        if held is None or rank(version) > rank(held):
            best[version.id] = version
    return [version for version in best.values() if version.op == PUT]


def originals(versions: Iterable[Version]) -> list[Version]:
    """Of copies of the same bytes the one that came first: least watermark (none is least), then least known."""
    best: dict[tuple[int | str, tuple[int, int, int]], Version] = {}
    for version in versions:
        name = (version.id, rank(version))
        if name not in best or arrival(version) < arrival(best[name]):
            best[name] = version
    return list(best.values())


def rank(version: Version) -> tuple[int, int, int]:
    return version.revision, version.hash % 2**64, version.op


def arrival(version: Version) -> tuple[bool, int, int]:
    return version.watermark is not None, version.watermark or 0, version.known


def moment_value(pipeline: Pipeline, feature: RequestFeature, request: Asked, windowed: dict[str, Value]) -> Value:
    """One feature of the request itself."""
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=request.time)  # noqa: DTZ001 arithmetic in UTC
    if not feature.operands:
        whole = calendar_value(feature, moment)
        return whole if feature.function == "season" else float(whole)
    values = [operand_value(pipeline, operand, request, windowed) for operand in feature.operands]
    if feature.function == "value":
        return values[0]
    if None in values:
        return None
    if feature.function == "cross":
        return mixed([int(value) for value in values])
    return arithmetic(feature, *values)


def arithmetic(feature: RequestFeature, first: float, second: float, std: float = 1.0) -> Value:
    if feature.function == "difference":
        return first - second
    if feature.function == "zscore":
        return (first - second) / std if std else None
    return first / second if second else None


SEASON_OF_MONTH = ["winter"] * 2 + ["spring"] * 3 + ["summer"] * 3 + ["autumn"] * 3 + ["winter"]
OPPOSITE = {"winter": "summer", "spring": "autumn", "summer": "winter", "autumn": "spring"}


def calendar_value(feature: RequestFeature, moment: dt.datetime) -> int:
    if feature.function == "is_night":
        first, last = feature.parameters
        return first <= moment.hour <= last if first <= last else not last < moment.hour < first
    season = SEASON_OF_MONTH[moment.month - 1]
    return {
        "hour": moment.hour,
        "minutes_since_midnight": moment.hour * 60 + moment.minute,
        "weekday": moment.weekday(),
        "is_weekend": moment.weekday() in {5, 6},
        "month": moment.month,
        "season": list(OPPOSITE).index(season if feature.parameters in {(), (0,)} else OPPOSITE[season]),
    }[feature.function]


def operand_value(pipeline: Pipeline, operand: Operand, request: Asked, windowed: dict[str, Value]) -> Value:
    if isinstance(operand, ViewFeature):
        return windowed[operand.name]
    if isinstance(operand, RequestFeature):
        return moment_value(pipeline, operand, request, windowed)
    step, column = request.values[operand], pipeline.events.columns[operand]
    if step is None or isinstance(column, Category):
        return step
    return float(Fraction(step, 10 ** getattr(column, "scale", 0)))


def mixed(codes: Sequence[int]) -> int:
    """The frozen hash of several words: each is finalised as in MurmurHash3 and mixed into the state in order."""
    golden, mask = 0x9E3779B97F4A7C15, 2**64 - 1
    state = len(codes)
    for code in codes:
        state = finalised((state * golden + finalised((code + golden) & mask)) & mask)
    return state - 2**64 if state >= 2**63 else state


def finalised(word: int) -> int:
    mask = 2**64 - 1
    word = (word ^ (word >> 33)) * 0xFF51AFD7ED558CCD & mask
    word = (word ^ (word >> 33)) * 0xC4CEB9FE1A85EC53 & mask
    return word ^ (word >> 33)
