"""What an online store does for plain views: rows in, values out at the clock's moment, all views of a call at once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.clock import WallClock, open_clock
from sluice.feast.place import clock_of, online_uri_of
from sluice.feast.plain.online import (
    PlainAsk,
    Read,
    Written,
    answer,
    asked,
    entity_key,
    lasting,
    rows_of,
    stored_view,
    told,
)
from sluice.feast.plain.online import read as read_rows
from sluice.feast.plain.places import open_rows
from sluice.feast.plain.rows import RowStore


class PlainViews:
    """The rows of plain views, wherever a Feast `RepoConfig` says they are."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], RowStore] = {}
        self._lock = threading.Lock()

    def write(self, config: Any, table: Any, data: Sequence[Written]) -> None:
        """Write rows of a view."""
        # a clock that a replay moves says nothing about when Redis, which has only the machine's, may forget
        ttl = lasting(table) if clock_of(config) == "wall" else None
        view = stored_view(table)
        self._rows(config).write(view, rows_of(view, data), at=WallClock().now(), lasting=ttl)

    def read(self, config: Any, table: Any, entity_keys: Sequence[Any], features: Sequence[str]) -> list[Read]:
        """The rows of some entities of one view."""
        keys = [entity_key(proto.join_keys, proto.entity_values) for proto in entity_keys]
        ask, at = PlainAsk(table, features, keys), open_clock(clock_of(config)).now()
        [found] = read_rows(self._rows(config), [ask])
        return [told(ask, row, at) for row in found]

    def answer(
        self,
        config: Any,
        wanted: Sequence[tuple[Any, Sequence[str]]],
        join_keys: Mapping[str, Sequence[Any]],
        response: Any,
        *,
        full_names: bool,
        with_versions: bool,
    ) -> None:
        """Append the features of several views to Feast's response, read at one moment."""
        asks = [asked(table, names, join_keys) for table, names in wanted]
        if not asks:
            return
        at = open_clock(clock_of(config)).now()
        found = read_rows(self._rows(config), asks)
        for ask, rows in zip(asks, found, strict=True):
            answer(ask, rows, at, response, full_names=full_names, with_versions=with_versions)

    def drop(self, config: Any, tables: Sequence[Any] | None) -> None:
        """Forget the rows of these views and of their versions; of all views of the project for None."""
        if tables is None or tables:
            self._rows(config).drop(None if tables is None else [str(table.name) for table in tables])

    def close(self) -> None:
        """Let go of files and connections."""
        with self._lock:
            for rows in self._held.values():
                rows.close()
            self._held.clear()

    def _rows(self, config: Any) -> RowStore:
        place = (online_uri_of(config), config.project)
        with self._lock:
            if place not in self._held:
                self._held[place] = open_rows(*place)
            return self._held[place]
