"""What runs read and write, by the names that the OpenLineage specification gives to such things (its Naming page)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sluice.lake.tables import Lake

_DATABASE = {"postgresql": "postgres"}
"""Kinds of databases that the specification calls otherwise than their JDBC addresses do."""


@dataclass(frozen=True)
class Dataset:
    """A table, a file, a topic or a model, by the names that OpenLineage gives to such things."""

    namespace: str
    name: str
    version: str | None = None
    rows: int | None = None
    """How many rows a run wrote of it."""
    checks: Mapping[str, bool] = field(default_factory=dict)
    """What gates found: name, and whether it may pass."""


@dataclass(frozen=True)
class Run:
    """What a run has read and written."""

    reads: Sequence[Dataset] = ()
    writes: Sequence[Dataset] = ()


def table_of(lake: Lake, name: str, *, version: int | None = None, rows: int | None = None) -> Dataset:
    """A table of the lake as it is now, or in a version."""
    number = lake.version(name) if version is None else version
    return _at(lake.uri(name), str(number), rows)


def file_of(path: str) -> Dataset:
    """A file, wherever it lies."""
    return _at(path)


def topic_of(bootstrap: str, name: str) -> Dataset:
    """A topic of a broker."""
    return Dataset(f"kafka://{bootstrap}", name)


def model_of(registry: str, name: str, version: str) -> Dataset:
    """A registered model."""
    return Dataset(registry, name, version)


def tables_of(lake: Lake, names: Iterable[str]) -> list[Dataset]:
    """The tables of a lake that there are, as they are now."""
    return [table_of(lake, name) for name in names if lake.version(name) >= 0]


def store_of(uri: str, pipeline: str) -> Dataset:
    """A pipeline's online store; its address may hold a password, which is not told."""
    parts = urlsplit(uri)
    if parts.scheme == "sqlite":
        return _at(f"{uri.partition('://')[2].replace('//', '/', 1)}/{pipeline}.db")
    return Dataset(f"{parts.scheme}://{_host(parts.netloc)}", f"{parts.path.strip('/')}/{pipeline}".lstrip("/"))


def warehouse_of(url: str, table: str, rows: int | None = None) -> Dataset:
    """A table of the warehouse at a JDBC address, which may hold a password that is not told."""
    parts = urlsplit(url.removeprefix("jdbc:"))
    database = re.split(r"[;?]", parts.path.strip("/"))[0]
    name = table if "." in table else f"public.{table}"
    return Dataset(
        f"{_DATABASE.get(parts.scheme, parts.scheme)}://{_host(parts.netloc)}", f"{database}.{name}", rows=rows
    )


def _at(uri: str, version: str | None = None, rows: int | None = None) -> Dataset:
    """By the specification's rule for file systems: scheme and host name the space, the path names the thing."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return Dataset("file", str(Path(parts.path or uri).absolute()), version, rows)
    return Dataset(f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/"), version, rows)


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]
