"""Draws the history of the frozen pipelines and writes down the vectors that they give for it.

python -m tests.golden.freeze bits       what is computed now is right from now on
python -m tests.golden.freeze history    another history too
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from sluice.declare.asof import AsOfTable
from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Key
from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.asof import NOTHING, Lookups
from sluice.engine.vectors import Values, as_values, vectors
from tests.golden.frozen import ALL
from tests.sluice.engine.lookups import lookups_of
from tests.sluice.engine.oracle import DELETE, PUT, Asked, Version
from tests.sluice.engine.worlds import START, asked_table, digest, tables

HISTORY, BITS = (Path(__file__).with_name(f"{name}.json") for name in ("history", "bits"))
Bits = dict[str, list[str | None]]
"""The words of each feature for every request as hexadecimal digits, None where it is null."""
_BEGIN = START + 118 * DAY + 21 * HOUR
"""A Friday evening; the history goes on into the weekend, June and summer."""
_SPAN = 4 * HOUR
_KEYS: dict[str, list[Any]] = {
    "integer": [1, 1, 1, 1, 1, 2, 2, 2, 3, None],
    "text": ["x", "x", "x", "x", "y", "y", "", None],
}


def versions(pipeline: Pipeline) -> list[Version]:
    """The stored history in its order of arrival."""
    return [_read(pipeline, row) for row in _stored(pipeline)["versions"]]


def requests(pipeline: Pipeline) -> list[Asked]:
    """The stored requests."""
    columns = list(pipeline.events.columns)
    rows = _stored(pipeline)["requests"]
    return [Asked(START + time, id_, dict(zip(columns, values, strict=True))) for time, id_, values in rows]


def lookups(pipeline: Pipeline) -> Lookups:
    """The stored tables."""
    return lookups_of(pipeline, table_rows(pipeline)) if pipeline.lookups else NOTHING


def table_rows(pipeline: Pipeline) -> dict[str, list[dict[str, Any]]]:
    """The rows of the stored tables."""
    rows = _stored(pipeline)["tables"]
    return {
        name: [dict(zip(["valid_from", *table.columns], row, strict=True)) for row in rows[name]]
        for name, table in pipeline.tables.items()
    }


def bits(values: Values) -> Bits:
    """Computed values as they are stored."""
    return {
        name: [
            f"{word % 2**64:016x}" if there else None
            for word, there in zip(column.view("int64").tolist(), valid, strict=True)
        ]
        for name, (column, valid) in values.items()
    }


def computed(pipeline: Pipeline) -> Values:
    """The values of every stored request, computed at once."""
    events, asked = tables(pipeline, versions(pipeline)), asked_table(pipeline, requests(pipeline))
    return as_values(pipeline, vectors(pipeline, events, asked, lookups(pipeline)))


def _read(pipeline: Pipeline, row: list[Any]) -> Version:
    name, id_, after, revision, op, known, watermark, listed = row
    time, values = START + after, dict(zip(pipeline.stream(name).columns, listed, strict=True))
    mark = None if watermark is None else time + watermark
    return Version(name, id_, time, values, digest(time, values), revision, op, time + known, mark)


def _written(one: Version) -> list[Any]:
    mark = None if one.watermark is None else one.watermark - one.time
    known = one.known - one.time
    return [one.stream, one.id, one.time - START, one.revision, one.op, known, mark, list(one.values.values())]


def _stored(pipeline: Pipeline) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(HISTORY.read_text())[pipeline.name]
    return found


def drawn(pipeline: Pipeline, chance: random.Random, size: int = 500, asked: int = 24) -> dict[str, Any]:
    """Events as they arrive: out of order, twice, corrected, deleted, at one moment, and some too late."""
    made: list[Version] = []
    for number in range(size):
        stream = chance.choice([pipeline.events, *pipeline.streams])
        time = _BEGIN + number * _SPAN // size + chance.choice([0, chance.randrange(-10 * MINUTE, 10 * MINUTE)])
        made.append(_version(chance, stream, number, time // MINUTE * MINUTE if chance.random() < 0.3 else time, made))
        if chance.random() < 0.1:
            made.append(chance.choice(made))
    own = [one for one in made if one.stream == pipeline.events.name and one.op == PUT]
    own = [one for one in own if chance.random() < 0.2 or None not in (one.values[key] for key in pipeline.keys)]
    edges = [0, 0, 0, MINUTE, 7 * MINUTE, 20 * MINUTE, 25 * MINUTE - 1, 45 * MINUTE, 2 * HOUR]
    questions = [
        Asked(one.time + chance.choice(edges), chance.choice([one.id, one.id, None]), one.values)
        for one in chance.choices(own[len(own) // 8 :], k=asked)
    ]
    return {
        "versions": [_written(one) for one in made],
        "requests": [[one.time - START, one.id, list(one.values.values())] for one in questions],
        "tables": {name: _table(chance, table) for name, table in pipeline.tables.items()},
    }


def _version(chance: random.Random, stream: Stream, number: int, time: int, before: list[Version]) -> Version:
    values = {name: _value(chance, column, before) for name, column in stream.columns.items()}
    number -= chance.choice([0] * 6 + [1, 2])
    texts = stream.id_type == "text" or not stream.id_columns
    return Version(
        stream.name,
        f"{stream.name} {number}" if texts else number,
        time,
        values,
        digest(time, values),
        revision=chance.choice([0] * 5 + [1]),
        op=chance.choice([PUT] * 15 + [DELETE]),
        known=time + chance.choice([0, 0, MINUTE, chance.randrange(15 * MINUTE)]),
        watermark=chance.choice(
            [None, time, time, time + MINUTE, time + chance.randrange(30 * MINUTE), time + chance.randrange(2 * HOUR)]
        ),
    )


def _value(chance: random.Random, column: Column, before: list[Version]) -> Any:
    if column.nullable and chance.random() < 0.15:
        return None
    if isinstance(column, Key):
        return chance.choice(_KEYS[column.type])
    if isinstance(column, ForeignKey):
        own = [one.id for one in before[-60:] if one.stream == column.to.name]
        return chance.choice(own) if own else (None if column.nullable else "visits 0")
    if isinstance(column, Category):
        return chance.choice(range(len(column.categories)) or [7, -(2**63), 2**63 - 1])
    if isinstance(column, Flag):
        return chance.randrange(2)
    step = 10**column.scale if isinstance(column, Decimal) else 1
    low, high = (int(bound * step) for bound in column.bounds or (0, 0))
    some = [chance.randint(low, high), min(high, max(low, chance.randint(-3, 12) * step))]
    return chance.choice([*some * 8, low, high])


def _table(chance: random.Random, table: AsOfTable) -> list[list[Any]]:
    moments = sorted(chance.sample(range(0, _SPAN, MINUTE), 24))
    return [[_BEGIN + moment, *(_value(chance, column, []) for column in table.columns.values())] for moment in moments]


def _lines(parts: dict[str, Any]) -> str:
    """JSON with a line for each row or feature."""
    blocks = [
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {_rows(held)}" for key, held in part.items())
        + "\n }"
        for name, part in parts.items()
    ]
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _rows(held: Any) -> str:
    if isinstance(held, list) and held and isinstance(held[0], list):
        return "[\n" + ",\n".join(f"   {_compact(row)}" for row in held) + "\n  ]"
    return _compact(held)


def _compact(held: Any) -> str:
    return json.dumps(held, separators=(",", ":"), ensure_ascii=False)


def main(what: str) -> None:
    """Write the bits, and with `history` the history before them."""
    if what == "history":
        HISTORY.write_text(_lines({one.name: drawn(one, random.Random(one.name)) for one in ALL}))
    BITS.write_text(_lines({one.name: bits(computed(one)) for one in ALL}))


if __name__ == "__main__":
    main(*sys.argv[1:])
