"""The meaning of a vector, written as its definition reads: slow, on plain lists and exact fractions, with no engine.

    value(feature, request) = F(the entity's events that the view may see, inside the window)

Nothing here is shared with the code under test but the declaration itself.
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import itertools
import math
import operator
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import xxhash

from sluice.declare.asof import AsOf
from sluice.declare.columns import Category, Decimal, Key
from sluice.declare.conditions import Condition
from sluice.declare.functions import LIFETIME, Windowed
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import Operand, RequestFeature, ViewFeature
from sluice.declare.streams import Stream
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
    about: dict[str, Any] | None = field(default=None, hash=False)
    """Of a label, the columns of the event it is about."""
    last: bool = False


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
    kept = max(longest(view) + view.lag + view.stream.micros("accept_late") for view in pipeline.windows)
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
    if view.slot is not None:
        near = near - near % int(view.slot) - 1
    far = near - (feature.window or longest(view) or LIFETIME)
    seen = visible(view, versions, request.time, kept) if key is not None else []
    inside = [e for e in seen if e.key == key and far < e.time <= near and before(e, request)]
    own = view.include_request and key is not None
    if own and feature.function not in {"first", "last", "since_first", "since_last"}:
        inside.append(Counted(key, request.time, 0, request.values, last=True))
    if feature.where is not None:
        inside = [event for event in inside if true_of(feature.where, view.stream, event.about or event.values)]
    if feature.column is not None:
        inside = [event for event in inside if event.values[feature.column] is not None]
    return value_of(view, feature, sorted(inside, key=place), request.time)


def longest(view: Windows) -> int:
    return max((feature.window or 0 for feature in view.functions if feature.window != LIFETIME), default=0)


def place(event: Counted) -> tuple[int, bool, int, bytes]:
    """Where an event stands in its entity's history; the request's own comes last."""
    number = event.id if isinstance(event.id, int) else 0
    return event.time, event.last, number, str(event.id).encode() if isinstance(event.id, str) else b""


def value_of(view: Windows, feature: Windowed, inside: list[Counted], at: int) -> Value:  # noqa: PLR0911 a line for each kind
    """The value of a function over the events of a window, in order."""
    if feature.function == "count":
        return float(len(inside))
    if feature.function.startswith("decayed"):
        return decayed(view, feature, inside, at)
    if feature.function == "distinct":
        return distinct(feature, {word_of(view, feature, event) for event in inside})
    if not inside:
        return None if feature.fill is None else float(feature.fill)
    if feature.function in {"since_first", "since_last", "first", "last"}:
        return end_of(view, feature, inside[0 if "first" in feature.function else -1], at)
    steps = [event.values[str(feature.column)] for event in inside]
    if feature.function in {"top", "top_share"}:
        return commonest(feature, Counter(steps))
    if feature.function == "percentile":
        return one(view, feature, percentile(feature, sorted(steps)))
    return amount_of(feature, [Fraction(step, unit(view, feature)) for step in steps])


def end_of(view: Windows, feature: Windowed, event: Counted, at: int) -> Value:
    """The first or last event: what it says, or how long ago it was."""
    if feature.column is None:
        return float(Fraction(at - event.time, 1_000_000))
    return one(view, feature, event.values[feature.column])


def unit(view: Windows, feature: Windowed) -> int:
    return 10 ** getattr(view.column(str(feature.column)), "scale", 0)


def one(view: Windows, feature: Windowed, step: int) -> Value:
    """A single value: the code of a category, or a number."""
    if isinstance(view.column(str(feature.column)), Category):
        return step
    return float(Fraction(step, unit(view, feature)))


def amount_of(feature: Windowed, amounts: list[Fraction]) -> Value:
    total, count = sum(amounts, Fraction(0)), len(amounts)
    if feature.function == "std":
        return root(sum((amount**2 for amount in amounts), Fraction(0)) / count - (total / count) ** 2)
    chosen = {"sum": total, "min": min(amounts), "max": max(amounts)}
    return float(chosen.get(feature.function, total / count))


def root(square: Fraction) -> float:
    """The float nearest to a square root: of two neighbours the one on whose side of their middle it lies."""
    guess = math.sqrt(square)
    if guess == 0:
        return 0.0
    candidates = [math.nextafter(guess, 0), guess, math.nextafter(guess, math.inf)]
    for low, high in itertools.pairwise(candidates):
        middle = (Fraction(low) + Fraction(high)) / 2
        if middle**2 > square:
            return low
    return candidates[-1]


def percentile(feature: Windowed, steps: list[int]) -> int:
    """The least value that a share of the values do not exceed; of many, the middle of its bucket."""
    over, under, bits, exact = feature.parameters
    found = next(step for i, step in enumerate(steps, 1) if i * under >= over * len(steps))
    return found if len(steps) <= exact else bucket_middle(found, bits)


def bucket_middle(step: int, bits: int) -> int:
    """Values with the same first bits + 1 binary digits share a bucket; small ones have one each."""
    size = abs(step)
    if size < 2 ** (bits + 1):
        return step
    wide = 2 ** (len(f"{size:b}") - bits - 1)
    middle = size - size % wide + wide // 2
    return middle if step > 0 else -middle


def word_of(view: Windows, feature: Windowed, event: Counted) -> int:
    """What stands for a value among different ones: a whole number, or the hash of a text."""
    column, found = view.column(str(feature.column)), event.values[str(feature.column)]
    if isinstance(column, Key) and column.type == "text":
        found = xxhash.xxh3_64_intdigest(str(found).encode())
    return int(found) % 2**64


def distinct(feature: Windowed, words: set[int]) -> float:
    """How many words; of many, as many as the k-th smallest of their hashes lets expect."""
    (most,) = feature.parameters
    if len(words) <= most:
        return float(len(words))
    smallest = sorted(finalised(word) for word in words)[most - 1]
    return float(Fraction((most - 1) * 2**53, (smallest >> 11) + 1))


def commonest(feature: Windowed, counts: Counter[int]) -> Value:
    (most,) = feature.parameters
    if len(counts) > most:
        return None
    code = min(code for code, count in counts.items() if count == max(counts.values()))
    return code if feature.function == "top" else float(Fraction(counts[code], counts.total()))


@functools.cache
def weight_table() -> list[int]:
    """2^16 times the powers of the 4096th root of two, rounded."""
    with decimal.localcontext(prec=60):
        step = decimal.Decimal(2) ** (decimal.Decimal(1) / 4096)
        steps = itertools.accumulate(itertools.repeat(step, 4095), operator.mul, initial=decimal.Decimal(2**16))
        return [int(step.to_integral_value(decimal.ROUND_HALF_EVEN)) for step in steps]


def weigh(time: int, half: int) -> tuple[int, int]:
    """In which half-life since the epoch a moment lies, and its weight there."""
    return time // half, weight_table()[time % half * 4096 // half]


def decayed(view: Windows, feature: Windowed, inside: list[Counted], at: int) -> Value:
    """What each half-life adds up to, halved for each half-life that it is old, over the weight of the request."""
    (half,) = feature.parameters
    now, last = weigh(at, half)
    sums: Counter[int] = Counter()
    ones: Counter[int] = Counter()
    for event in inside:
        mark, weight = weigh(event.time, half)
        sums[mark] += weight * (1 if feature.column is None else event.values[feature.column])
        ones[mark] += weight
    scale = 1 if feature.column is None else unit(view, feature)
    amount, one_ = (sum(part >> (now - mark) for mark, part in of.items() if now - mark < 64) for of in (sums, ones))
    empty = None if feature.fill is None else float(feature.fill)
    if feature.function == "decayed_count":
        return float(Fraction(amount, last))
    if not inside:
        return empty
    if feature.function == "decayed_mean":
        return float(Fraction(amount, one_ * scale)) if one_ else empty
    return float(Fraction(amount, last * scale))


def true_of(condition: Condition, stream: Stream, values: dict[str, Any]) -> bool:
    return truth(condition, stream, values) is True


def truth(condition: Condition, stream: Stream, values: dict[str, Any]) -> bool | None:
    """True, false, or None for unknown."""
    if condition.parts:
        return joined(condition.operator, [truth(part, stream, values) for part in condition.parts])
    found = values[condition.column]
    if condition.operator == "is_null":
        return found is None
    if found is None:
        return None
    constants = [encoded(constant, stream.columns[condition.column]) for constant in condition.constants]
    if condition.operator in {"<", "<="}:
        return bool(found < constants[0] or (condition.operator == "<=" and found == constants[0]))
    return found in constants


def joined(operator: str, parts: list[bool | None]) -> bool | None:
    """`&` is false when one part is, `|` true when one part is; otherwise an unknown part makes the whole unknown."""
    if operator == "~":
        return None if parts[0] is None else not parts[0]
    decisive = operator == "|"
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def encoded(constant: Any, column: Any) -> Any:
    """A constant as the column holds it."""
    if isinstance(column, Category):
        return column.values.index(constant)
    return int(Fraction(str(constant)) * 10**column.scale) if isinstance(column, Decimal) else constant


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
    parents = [v for v in everything if v.stream == parent_stream.name]
    related = [
        (v, p)
        for v in mine
        for p in standing(p for p in parents if p.id == v.values[link] and not expired(view, p, v.time))
    ]
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
            found.append(Counted(event.values[view.of], event.time, event.id, {label.name: flag}, event.values))
    return found


def flag_of(view: Windows, event: Version, told: list[Version], kept: int) -> int | None:
    """What the label says of an event: the latest of the standing versions that speak of it, or nothing."""
    link, _ = view.label.told_by.parent
    about = [v for v in standing(told) if v.values[link] == event.id and abs(event.time - v.time) <= kept]
    latest = max(about, key=lambda v: (v.time, v.id), default=None)
    return None if latest is None else latest.values[view.label.name]


def expired(view: Windows, version: Version, time: int) -> bool:
    """Whether a version came too late for a view: its row's time is past the horizon behind its watermark."""
    horizon = longest(view) + view.lag + view.stream.micros("accept_late")
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
