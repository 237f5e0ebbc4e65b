"""Feast's door to the online store: declared views from their tiles, plain ones from the rows written of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _populate_response_from_feature_data

from sluice.clock import open_clock, to_datetime
from sluice.declare.asof import AsOf
from sluice.declare.views import Windows
from sluice.engine.batch import Column
from sluice.engine.read import Held, read_tiles, view_values
from sluice.engine.requests import Moment
from sluice.engine.shards import open_online
from sluice.engine.store import TileReader
from sluice.engine.tiles import Id
from sluice.errors import UserError
from sluice.feast.declared import Declared, declared_by
from sluice.feast.fields import tiles_name
from sluice.feast.place import clock_of, online_uri_of, places_of
from sluice.feast.plain.door import PlainViews
from sluice.feast.plain.online import Read, Written
from sluice.feast.state import pack_tiles
from sluice.feast.tables import named
from sluice.feast.versions import served_as

Row = Read


class SluiceOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc] # feast has no types
    """`online_store:` in feature_store.yaml; the settings (`SLUICE_ONLINE`, …) say what it does not."""

    type: Literal["sluice.feast.online.SluiceOnlineStore"] = "sluice.feast.online.SluiceOnlineStore"
    uri: str | None = None
    clock: str | None = None
    lake: str | None = None


@dataclass(frozen=True)
class _Ask:
    """What is wanted of one view: for these keys (null: the empty state, or a table's version), these features."""

    made_from: Declared
    keys: Sequence[Id | None]
    features: Sequence[str]


class SluiceOnlineStore(OnlineStore):  # type: ignore[misc] # feast has no types
    """Answers Feast at the clock's moment; the views of a call are read in one atomic read, so that they agree.

    Declared views (their values, and the state that an `_at` view works on) are computed from tiles: a null key reads
    the empty state, and nothing is written to them here. Plain views are rows that Feast writes: the newest of each
    entity stands, until it has outlived its view's time to live.
    """

    _versioned_read_supported = True

    def __init__(self) -> None:
        self._plain = PlainViews()
        self._stores: dict[tuple[str, str], TileReader] = {}
        self._lock = threading.Lock()

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads and writes may be awaited."""
        return SupportedAsyncMethods(read=True, write=True)

    def online_read(
        self, config: Any, table: Any, entity_keys: list[Any], requested_features: list[str] | None = None
    ) -> list[Row]:
        """One row per entity: the moment, and the values by feature; null values are empty protos."""
        names = requested_features or [feature.name for feature in table.features]
        if declared_by(table) is None:
            return self._plain.read(config, table, entity_keys, names)
        keys = [_key(proto.entity_values[0]) for proto in entity_keys]
        return self._rows(config, [_Ask(_made_from(table), keys, names)])[0]

    async def online_read_async(
        self, config: Any, table: Any, entity_keys: list[Any], requested_features: list[str] | None = None
    ) -> list[Row]:
        """`online_read` in a thread."""
        return await asyncio.to_thread(self.online_read, config, table, entity_keys, requested_features)

    def online_write_batch(
        self, config: Any, table: Any, data: Sequence[Written], progress: Callable[[int], Any] | None = None
    ) -> None:
        """Write rows of a plain view; refused for a declared one, whose values come from the stream by one writer."""
        if declared_by(table) is not None:
            raise UserError(
                f"values of {table.name!r} are not written through Feast",
                where="SluiceOnlineStore",
                next_step="send events to the stream, or run the flow `features` to start from history",
            )
        self._plain.write(config, table, data)
        if progress is not None:
            progress(len(data))

    async def online_write_batch_async(self, *arguments: Any, **named: Any) -> None:
        """`online_write_batch` in a thread."""
        await asyncio.to_thread(self.online_write_batch, *arguments, **named)

    def update(self, *, config: Any, tables_to_delete: Sequence[Any], **_: Any) -> None:
        """Rows of plain views that are no longer there go; tiles belong to the stream, and stay."""
        self._plain.drop(config, [table for table in tables_to_delete if declared_by(table) is None])

    def teardown(self, config: Any, *_: Any) -> None:
        """Rows of the project's plain views go; tiles belong to the stream, and stay."""
        self._plain.drop(config, None)
        self._plain.close()
        with self._lock:
            for store in self._stores.values():
                store.close()
            self._stores.clear()

    def _read_features_per_fv(
        self,
        config: Any,
        grouped_refs: list[Any],
        join_key_values: dict[str, Any],
        _join_keys_of_entities: dict[str, str],
        online_features_response: Any,
        full_feature_names: bool,
        include_feature_view_version_metadata: bool,
    ) -> None:
        """Feast's hook for stores that read several views at once."""
        self._plain.answer(
            config,
            [(table, names) for table, names in grouped_refs if declared_by(table) is None],
            join_key_values,
            online_features_response,
            full_names=full_feature_names,
            with_versions=include_feature_view_version_metadata,
        )
        grouped_refs = [(table, names) for table, names in grouped_refs if declared_by(table) is not None]
        # the request's columns are in the response by now; of join keys there may be none
        rows = max((len(column.values) for column in online_features_response.results), default=0)
        asks = [_ask(table, names, join_key_values, rows) for table, names in grouped_refs]
        for (table, names), ask, found in zip(grouped_refs, asks, self._rows(config, asks), strict=True):
            _populate_response_from_feature_data(
                names,
                found,
                [[index] for index in range(len(found))],
                online_features_response,
                full_feature_names,
                table,
                len(ask.keys),
                include_feature_view_version_metadata,
            )

    async def _read_features_per_fv_async(self, *arguments: Any, **named: Any) -> None:
        await asyncio.to_thread(self._read_features_per_fv, *arguments, **named)

    def _rows(self, config: Any, asks: Sequence[_Ask]) -> list[list[Row]]:
        """The rows of every ask, at one moment and one knowledge for each pipeline."""
        at = open_clock(clock_of(config)).now()
        found: dict[int, list[Row]] = {}
        for index, ask in enumerate(asks):
            if (view := ask.made_from.lookup()) is not None:
                found[index] = _versions(ask, view, config.online_store.lake or places_of(config).lake_uri, at)
        windowed = {index: ask for index, ask in enumerate(asks) if index not in found}
        for pipeline in dict.fromkeys(ask.made_from.pipeline for ask in windowed.values()):
            mine = [index for index, ask in windowed.items() if ask.made_from.pipeline == pipeline]
            wanted = [one for index in mine for one in _wanted(asks[index], at)]
            with self._lock:
                held = iter(read_tiles(self._store(online_uri_of(config), pipeline), wanted)[0])
            for index in mine:
                found[index] = _answer(asks[index], [next(held) for _ in asks[index].keys], at)
        return [found[index] for index in range(len(asks))]

    def _store(self, uri: str, pipeline: str) -> TileReader:
        if (uri, pipeline) not in self._stores:
            self._stores[uri, pipeline] = open_online(uri, pipeline)
        return self._stores[uri, pipeline]


def _ask(table: Any, names: Sequence[str], join_keys: Mapping[str, Sequence[Any]], rows: int) -> _Ask:
    made_from = _made_from(table)
    if made_from.lookup() is not None:
        return _Ask(made_from, [None] * rows, names)
    key = made_from.windows().of
    values = join_keys.get(table.projection.join_key_map.get(key, key))
    if values is None:
        raise UserError(f"no entity key {key!r} came with the request", where=table.name, allowed=sorted(join_keys))
    return _Ask(made_from, [_key(value) for value in values], names)


def _wanted(ask: _Ask, at: int) -> list[tuple[Windows, Id | None, Moment | None]]:
    view = ask.made_from.windows()
    moment = None if tiles_name(view) in ask.features else Moment(at, None)
    return [(view, key, moment) for key in ask.keys]


def _made_from(table: Any) -> Declared:
    made_from = declared_by(table)
    if made_from is None:
        raise AssertionError(f"{table.name} is a plain view")
    return served_as(table, made_from)


def _key(value: Any) -> Id | None:
    kind = value.WhichOneof("val")
    found: Id | None = None if kind is None else getattr(value, kind)
    return found


def _answer(ask: _Ask, tiles: Sequence[Held], at: int) -> list[Row]:
    view = ask.made_from.windows()
    state, values = tiles_name(view), _values(view, ask, tiles, at)
    moment = to_datetime(at)
    return [
        (
            moment,
            {
                name: _proto(*values[name], row) if name != state else Value(bytes_val=pack_tiles(held))
                for name in ask.features
            },
        )
        for row, held in enumerate(tiles)
    ]


def _versions(ask: _Ask, view: AsOf, lake: str, at: int) -> list[Row]:
    """A row that names the table's newest version for each of the rows."""
    value = Value(string_val=named(lake, ask.made_from.load(), view))
    return [(to_datetime(at), dict.fromkeys(ask.features, value))] * len(ask.keys)


def _values(view: Windows, ask: _Ask, tiles: Sequence[Held], at: int) -> Mapping[str, Column]:
    if set(ask.features) <= {tiles_name(view)}:
        return {}
    return view_values(view, tiles, [Moment(at, None)] * len(ask.keys), None)


def _proto(values: np.ndarray, valid: np.ndarray, row: int) -> Value:
    if not valid[row]:
        return Value()
    number = values[row].item()
    return Value(int64_val=number) if isinstance(number, int) else Value(double_val=number)
