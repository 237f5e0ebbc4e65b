"""Plain views online: what Feast writes as rows, and rows as Feast's answers within their time to live."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feast.feature_view import DUMMY_ENTITY_ID
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.Value_pb2 import Map, Value
from feast.utils import _populate_response_from_feature_data

from sluice.clock import from_datetime, to_datetime
from sluice.errors import UserError
from sluice.feast.plain.rows import Row, RowStore, View

Written = tuple[Any, Mapping[str, Value], dt.datetime, dt.datetime | None]
"""What Feast writes of one entity: its key, the values by feature, event time and creation."""
Read = tuple[dt.datetime | None, dict[str, Value] | None]
"""What Feast wants to be told of one entity."""
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class PlainAsk:
    """What is wanted of one plain view: these features, of the entities with these keys (None: of nobody)."""

    table: Any
    features: Sequence[str]
    keys: Sequence[bytes | None]


def entity_key(names: Sequence[str], values: Sequence[Value]) -> bytes | None:
    """A composite key as bytes, whatever order its parts come in; None when a part is null, since null is nobody."""
    parts: list[bytes] = []
    for name, value in sorted(zip(names, values, strict=True), key=lambda part: part[0]):
        if name == DUMMY_ENTITY_ID:
            continue
        if value.WhichOneof("val") is None:
            return None
        parts += [name.encode(), value.SerializeToString(deterministic=True)]
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def stored_view(table: Any) -> View:
    """The name that rows are kept under: the view's own, or that of a version which was asked for by number."""
    version = table.projection.version_tag
    return str(table.name) if version is None else f"{table.name}@v{version}"


def lasting(table: Any) -> int | None:
    """A view's time to live in microseconds; None for ever, which Feast also writes as 0."""
    ttl = getattr(table, "ttl", None)
    return ttl // dt.timedelta(microseconds=1) if ttl else None


def rows_of(view: View, data: Sequence[Written]) -> list[Row]:
    """Rows as they are stored; one without a whole key belongs to nobody, and nobody can ask for it.

    UserError when one is without an event time: it would be true at no moment.
    """
    lost = sum(_instant(time) is None for _, _, time, _ in data)
    if lost:
        raise UserError(
            f"{lost:,} of {len(data):,} rows have no event time; nothing is written",
            where=f"view {view!r}",
            next_step="mend the rows, and write all of them again",
        )
    rows = []
    for proto, values, time, created in data:
        key = entity_key(proto.join_keys, proto.entity_values)
        if key is not None:
            body = Value(map_val=Map(val=values)).SerializeToString()
            rows.append(Row(key, from_datetime(time), _instant(created), body))
    return rows


def _instant(moment: dt.datetime | None) -> int | None:
    """Microseconds of a time; None for none, which pandas writes as a time that is not equal to itself."""
    return None if moment is None or moment != moment else from_datetime(moment)  # noqa: PLR0124


def asked(table: Any, features: Sequence[str], join_keys: Mapping[str, Sequence[Value]]) -> PlainAsk:
    """An ask from the columns of an online request."""
    names = [column.name for column in table.entity_columns if column.name != DUMMY_ENTITY_ID]
    called = [table.projection.join_key_map.get(name, name) for name in names]
    missing = [name for name in called if name not in join_keys]
    if missing:
        raise UserError(f"no entity key {missing[0]!r} came with the request", where=table.name, allowed=join_keys)
    columns = [join_keys[name] for name in called] or [[Value()] * len(values) for values in join_keys.values()][:1]
    return PlainAsk(table, features, [entity_key(names, row[: len(names)]) for row in zip(*columns, strict=True)])


def read(rows: RowStore, asks: Sequence[PlainAsk]) -> list[list[Row | None]]:
    """The rows of all asks, read at one moment.

    Of a version that was asked for by number, rows that were written for it alone come before the view's own.
    """
    places = [dict.fromkeys([stored_view(ask.table), str(ask.table.name)]) for ask in asks]
    wanted = [
        (view, [key for key in ask.keys if key is not None])
        for ask, views in zip(asks, places, strict=True)
        for view in views
    ]
    found = iter(rows.read(wanted))
    return [_first(ask, [iter(next(found)) for _ in views]) for ask, views in zip(asks, places, strict=True)]


def told(ask: PlainAsk, row: Row | None, at: int) -> Read:
    """A row as Feast wants it: nothing, only its time once it has outlived the view's time to live, or its values."""
    if row is None:
        return None, None
    if has_expired(ask, row, at):
        return to_datetime(row.time), None
    held = Value.FromString(row.values).map_val.val
    return to_datetime(row.time), {name: held[name] for name in ask.features if name in held}


def _first(ask: PlainAsk, parts: Sequence[Iterator[Row | None]]) -> list[Row | None]:
    """For each key the first row that one of the parts has."""
    return [
        None if key is None else next((row for row in [next(part) for part in parts] if row is not None), None)
        for key in ask.keys
    ]


def has_expired(ask: PlainAsk, row: Row, at: int) -> bool:
    """Whether a row is older than its view's time to live; one of exactly that age is not, as in history."""
    ttl = lasting(ask.table)
    return ttl is not None and row.time < at - ttl


def answer(
    ask: PlainAsk, rows: Sequence[Row | None], at: int, response: Any, *, full_names: bool, with_versions: bool
) -> None:
    """Append a view's values to Feast's response, with their statuses and event times."""
    before = len(response.results)
    places = [[row] for row in range(len(rows))]
    _populate_response_from_feature_data(
        ask.features,
        [told(ask, row, at) for row in rows],
        places,
        response,
        full_names,
        ask.table,
        len(rows),
        with_versions,
    )
    expired = [place for place, row in enumerate(rows) if row is not None and has_expired(ask, row, at)]
    for vector in response.results[before:]:
        for place in expired:
            vector.statuses[place] = FieldStatus.OUTSIDE_MAX_AGE
