"""A shop's deliveries: small files and archived events, and what the lake makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.declare.loading import load_pipeline
from sluice.errors import GateStopped
from sluice.lake.accounts import Accounts, accounts
from sluice.lake.contract import BRONZE
from sluice.lake.delivery import Delivery
from sluice.lake.tables import Lake
from sluice.lake.waivers import Waiver, grant
from sluice.lake.workers import Here, Workers
from spark_jobs.ingest import ingest
from tests.doctor import ailments

FILE = Path(__file__).parents[1] / "sluice" / "lake" / "shop.py"
AT = 1_767_264_000_000_000
"""2026-01-01 10:40 UTC."""
MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = AT - 40 * MINUTE


def order(number: int, **changes: Any) -> dict[str, Any]:
    """An order of its own: number n comes n minutes after START."""
    good = {
        "order_id": number,
        "ordered_at": f"2026-01-01 10:{number % 40:02}:00",
        "customer": f"c{number % 3}",
        "amount": number + 0.25,
        "channel": "web",
        "country": "DE",
        "items": 1,
        "gift": False,
    }
    return {**good, **changes}


def orders(first: int, last: int) -> list[dict[str, Any]]:
    """The orders of some numbers, both included."""
    return [order(number) for number in range(first, last + 1)]


def returned(number: int, **changes: Any) -> dict[str, Any]:
    """The return of the order of that number."""
    return {
        "return_id": 1000 + number,
        "told_at": "2026-01-01 10:39:00",
        "order_id": number,
        "returned": True,
        **changes,
    }


class Shop:
    """A lake of its own, and how things are delivered to it."""

    def __init__(
        self, folder: Path, workers: Workers | None = None, lake: str | None = None, *, file: Path = FILE
    ) -> None:
        self.folder, self.workers, self.declaration = folder, workers or Here(), file
        self.uri = lake or str(folder / "lake")
        self.lake = Lake(self.uri, "shop")
        self._offsets: dict[tuple[str, int], int] = {}

    def file(self, name: str, rows: list[dict[str, Any]]) -> Path:
        """Rows as a parquet file of two row groups."""
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=(len(rows) + 1) // 2)
        return path

    def deliver(self, batch: str, at: int = AT, **how: Any) -> GateStopped | None:
        """Ingest; `orders` and `returns` are rows or paths. The stop, if a gate stopped it."""
        given = {name: how.pop(name) for name in ("orders", "returns") if name in how}
        files = [
            (name, path)
            for name, content in given.items()
            for path in (content if isinstance(content, tuple) else (content,))
        ]
        paths = [
            (name, content if isinstance(content, Path) else self.file(f"{batch}-{name}", content))
            for name, content in files
        ]
        try:
            ingest(self.workers, Delivery(str(self.declaration), self.uri, batch, at, files=paths, **how))
        except GateStopped as stopped:
            return stopped
        return None

    def waive(self, gate: str, batch: str | None, at: int = AT) -> None:
        """Let a gate's stop pass, for an hour."""
        stream, _, rule = gate.partition(":")
        grant(self.lake, Waiver(stream, rule, batch, "Ada", "a holiday", at, at + HOUR))

    def archive(self, stream: str, rows: Iterable[Mapping[str, Any] | bytes], *, partition: int = 0) -> None:
        """Append events of a topic to bronze as the archive does; each is known a minute after it happened."""
        listed = list(rows)
        first = self._offsets.get((stream, partition), 0)
        self._offsets[stream, partition] = first + len(listed)
        table = {
            "payload": [row if isinstance(row, bytes) else orjson.dumps(_payload(row)) for row in listed],
            "source": [f"kafka:shop.{stream}"] * len(listed),
            "partition": [partition] * len(listed),
            "position": range(first, first + len(listed)),
            "known": [AT if isinstance(row, bytes) else row.get("_known", AT) for row in listed],
            "revision": [0 if isinstance(row, bytes) else row.get("_revision", 0) for row in listed],
            "op": [0 if isinstance(row, bytes) else row.get("_op", 0) for row in listed],
            "batch": [""] * len(listed),
        }
        self.lake.append(f"events/{stream}", pa.table(table, BRONZE))

    def archived_like(self, other: Shop) -> None:
        """Go on archiving where another shop has come to, whose lake this one's is a copy of."""
        self._offsets = dict(other._offsets)

    def accounts(self, stream: str = "orders", **how: Any) -> Accounts:
        """The accounts of a stream, whose sums must close, of a lake that the doctor finds nothing wrong with."""
        found = accounts(self.lake, stream, **how)
        assert found.missing == 0, found
        assert self.ailments() == []
        return found

    def ailments(self) -> list[str]:
        """What the doctor finds wrong with the lake."""
        return ailments(self.lake, load_pipeline(str(self.declaration)))

    def silver(self, *columns: str, stream: str = "orders") -> list[tuple[Any, ...]]:
        """Some columns of every published row, sorted by position."""
        rows = sorted(
            self.lake.rows(f"silver/{stream}"), key=lambda row: (row["_batch"], row["_source"], row["_position"])
        )
        return [tuple(row[name] for name in columns) for row in rows]


def _payload(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}
