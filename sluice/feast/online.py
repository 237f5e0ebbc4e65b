"""Feast's door to the online store: a view's values at the clock's moment, and the state its `_at` view works on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _populate_response_from_feature_data

from sluice.clock import open_clock, to_datetime
from sluice.declare.views import Windows
from sluice.engine.batch import Column
from sluice.engine.read import Moment, view_values
from sluice.engine.sqlite import open_store
from sluice.engine.store import TileStore, Wanted
from sluice.engine.tiles import Id, Tile
from sluice.errors import UserError
from sluice.feast.declared import Declared, declared_by
from sluice.feast.fields import tiles_name
from sluice.feast.place import online_uri_of, places_of
from sluice.feast.state import pack_tiles, wanted

Row = tuple[Any, dict[str, Value]]


class SluiceOnlineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc] # feast has no types
    """`online_store:` in feature_store.yaml; the settings (`SLUICE_ONLINE`, `SLUICE_CLOCK`) say what it does not."""

    type: Literal["sluice.feast.online.SluiceOnlineStore"] = "sluice.feast.online.SluiceOnlineStore"
    uri: str | None = None
    clock: str | None = None


@dataclass(frozen=True)
class _Ask:
    """What is wanted of one view: for these keys (null: the empty state), these features."""

    made_from: Declared
    keys: Sequence[Id | None]
    features: Sequence[str]


class SluiceOnlineStore(OnlineStore):  # type: ignore[misc] # feast has no types
    """Answers Feast from the tile store; every view of one call is read in one atomic read, so that they agree.

    A read's moment is the clock's, after every event; a null key reads the empty state. Nothing is written here.
    """

    def __init__(self) -> None:
        self._stores: dict[tuple[str, str], TileStore] = {}
        self._lock = threading.Lock()

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        """Reads may be awaited."""
        return SupportedAsyncMethods(read=True, write=False)

    def online_read(
        self, config: Any, table: Any, entity_keys: list[Any], requested_features: list[str] | None = None
    ) -> list[Row]:
        """One row per entity: the moment, and the values by feature; null values are empty protos."""
        names = requested_features or [feature.name for feature in table.features]
        keys = [_key(proto.entity_values[0]) for proto in entity_keys]
        return self._rows(config, [_Ask(_made_from(table), keys, names)])[0]

    async def online_read_async(
        self, config: Any, table: Any, entity_keys: list[Any], requested_features: list[str] | None = None
    ) -> list[Row]:
        """`online_read` in a thread."""
        return await asyncio.to_thread(self.online_read, config, table, entity_keys, requested_features)

    def online_write_batch(self, _config: Any, table: Any, *_: Any) -> None:
        """Refused: values come from the stream, through one writer."""
        raise UserError(
            f"values of {table.name!r} are not written through Feast",
            where="SluiceOnlineStore",
            next_step="send events to the stream, or run the flow `features` to start from history",
        )

    async def online_write_batch_async(self, _config: Any, table: Any, *_: Any) -> None:
        """Refused as `online_write_batch` is."""
        self.online_write_batch(_config, table)

    def update(self, *, tables_to_keep: Sequence[Any], **_: Any) -> None:
        """Nothing is made or dropped in the tile store; UserError for a view that does not come from a declaration."""
        for table in tables_to_keep:
            _made_from(table)

    def teardown(self, *_: Any) -> None:
        """Let go of the files; tiles belong to the stream, and stay."""
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
        asks = [_ask(table, names, join_key_values) for table, names in grouped_refs]
        for (table, names), ask, rows in zip(grouped_refs, asks, self._rows(config, asks), strict=True):
            _populate_response_from_feature_data(
                names,
                rows,
                [[index] for index in range(len(rows))],
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
        chosen, places = config.online_store, places_of(config)
        at = open_clock(chosen.clock or places.clock).now()
        found: dict[int, list[Row]] = {}
        for pipeline in dict.fromkeys(ask.made_from.pipeline for ask in asks):
            mine = [index for index, ask in enumerate(asks) if ask.made_from.pipeline == pipeline]
            ranges = [place for index in mine for place in _wanted(asks[index], at)]
            with self._lock:
                tiles = iter(self._store(chosen.uri or online_uri_of(config), pipeline).read(ranges).tiles)
            for index in mine:
                found[index] = _answer(asks[index], [next(tiles) for _ in asks[index].keys], at)
        return [found[index] for index in range(len(asks))]

    def _store(self, uri: str, pipeline: str) -> TileStore:
        if (uri, pipeline) not in self._stores:
            self._stores[uri, pipeline] = open_store(uri, pipeline, read_only=True)
        return self._stores[uri, pipeline]


def _ask(table: Any, names: Sequence[str], join_keys: Mapping[str, Sequence[Any]]) -> _Ask:
    made_from = _made_from(table)
    key = made_from.windows().of
    values = join_keys.get(table.projection.join_key_map.get(key, key))
    if values is None:
        raise UserError(f"no entity key {key!r} came with the request", where=table.name, allowed=sorted(join_keys))
    return _Ask(made_from, [_key(value) for value in values], names)


def _wanted(ask: _Ask, at: int) -> list[Wanted]:
    view = ask.made_from.windows()
    moment = None if tiles_name(view) in ask.features else at
    return [wanted(view, key, moment) for key in ask.keys]


def _made_from(table: Any) -> Declared:
    made_from = declared_by(table)
    if made_from is None:
        raise UserError(
            f"view {table.name!r} is not declared in a pipeline",
            where="SluiceOnlineStore",
            next_step="declare it as Windows(…), or keep it in a feature repository with a store of its own",
        )
    return made_from


def _key(value: Any) -> Id | None:
    kind = value.WhichOneof("val")
    found: Id | None = None if kind is None else getattr(value, kind)
    return found


def _answer(ask: _Ask, tiles: Sequence[list[Tile]], at: int) -> list[Row]:
    view = ask.made_from.windows()
    state, values = tiles_name(view), _values(view, ask, tiles, at)
    moment = to_datetime(at)
    return [
        (
            moment,
            {
                name: _proto(values[name], row) if name != state else Value(bytes_val=pack_tiles(held))
                for name in ask.features
            },
        )
        for row, held in enumerate(tiles)
    ]


def _values(view: Windows, ask: _Ask, tiles: Sequence[list[Tile]], at: int) -> Mapping[str, Column]:
    if set(ask.features) <= {tiles_name(view)}:
        return {}
    return view_values(view, tiles, [Moment(at, None)] * len(ask.keys), None)


def _proto(column: Column, row: int) -> Value:
    values, valid = column
    return Value(double_val=float(values[row])) if valid[row] else Value()
