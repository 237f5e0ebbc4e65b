"""Rows of plain views in Redis: a string for each entity, below a prefix of the project's own.

key     sluice:{<project>}:rows:<view>:<entity key>; project and view are percent-encoded
value   event time, creation (16 bytes that sort as they follow each other), and the values

The braces put a project's rows into one slot of a cluster, so that one MGET reads all views of a call.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from redis import Redis
from redis.exceptions import RedisError

from sluice.errors import Outage
from sluice.feast.plain.rows import Row, View, forgotten_from

_HEAD = struct.Struct(">QQ")
_ZERO = 2**63
_AT_ONCE = 1_000
_PUT = """
local function older(fresh, held)
    local f, h = {struct.unpack('>I4I4I4I4', fresh)}, {struct.unpack('>I4I4I4I4', held)}
    for i = 1, 4 do
        if f[i] ~= h[i] then return f[i] < h[i] end
    end
    return false
end
for i, key in ipairs(KEYS) do
    local row, forget = ARGV[2 * i - 1], ARGV[2 * i]
    local held = redis.call('GETRANGE', key, 0, 15)
    if #held < 16 or not older(row, held) then
        if forget == '' then redis.call('SET', key, row) else redis.call('SET', key, row, 'PXAT', forget) end
    end
end
"""


class RedisRows:
    """A row store in Redis; each row is compared and replaced in one step, so that writers may overlap."""

    def __init__(self, uri: str, project: str) -> None:
        self._where = urlsplit(uri)._replace(netloc=urlsplit(uri).netloc.rpartition("@")[2]).geturl()
        self._prefix = f"sluice:{{{quote(project, safe='')}}}:rows:"
        self._client: Any = Redis.from_url(uri)
        self._put = self._client.register_script(_PUT)

    def write(self, view: View, rows: Sequence[Row], *, at: int, lasting: int | None = None) -> None:
        """Put rows, in their order; Redis forgets each by itself when it may."""
        waiting = iter(rows)
        with self._speaking():
            while some := list(itertools.islice(waiting, _AT_ONCE)):
                arguments: list[bytes | str] = []
                for row in some:
                    forget = forgotten_from(row, at=at, lasting=lasting)
                    arguments += [_packed(row), "" if forget is None else str(forget // 1_000 + 1)]
                self._put(keys=[self._key(view, row.key) for row in some], args=arguments)

    def read(self, wanted: Sequence[tuple[View, Sequence[bytes]]]) -> list[list[Row | None]]:
        """For each view its rows of the given keys, None where there is none."""
        places = [(self._key(view, key), key) for view, keys in wanted for key in keys]
        if not places:
            return [[] for _ in wanted]
        with self._speaking():
            found = iter(zip(self._client.mget([place for place, _ in places]), places, strict=True))
        return [[_unpacked(key, value) for value, (_, key) in itertools.islice(found, len(keys))] for _, keys in wanted]

    def drop(self, views: Sequence[View] | None) -> None:
        """Forget every row of these views and of their versions; of all views for None."""
        names = [quote(view, safe="") for view in views or ()]
        patterns = ["*"] if views is None else [f"{name}{rest}" for name in names for rest in (":*", "%40*")]
        with self._speaking():
            for pattern in patterns:
                held = iter(self._client.scan_iter(match=self._prefix + pattern, count=_AT_ONCE))
                while some := list(itertools.islice(held, _AT_ONCE)):
                    self._client.unlink(*some)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _key(self, view: View, key: bytes) -> bytes:
        return f"{self._prefix}{quote(view, safe='')}:".encode() + key

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise Outage(
                f"Redis does not do what it is asked: {error}", where=self._where, next_step="sluice up redis"
            ) from error


def _packed(row: Row) -> bytes:
    return _HEAD.pack(row.time + _ZERO, 0 if row.created is None else row.created + _ZERO) + row.values


def _unpacked(key: bytes, value: bytes | None) -> Row | None:
    if value is None:
        return None
    time, created = _HEAD.unpack_from(value)
    return Row(key, time - _ZERO, created - _ZERO if created else None, value[_HEAD.size :])
