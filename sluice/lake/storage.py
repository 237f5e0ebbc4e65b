"""Where tables lie: a folder, or a bucket behind an S3 interface. The only place that knows one from the other.

An S3 service is named by the environment that its other clients read too: `AWS_ENDPOINT_URL` (or `AWS_ENDPOINT_URL_S3`;
AWS itself without either), `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`. Commits are conditional writes
(`If-None-Match`), so that of two writers of one version one loses; a service without them must not be used.
Workers in other processes are sent what the job was told (`told`, `adopt`), as Spark does it for its own S3 client.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

import pyarrow.fs

_S3 = "s3://"
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SERVICE = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION")


def place(uri: str) -> tuple[pyarrow.fs.FileSystem, str]:
    """Arrow's file system of a URI, and the path in it.

    Arrow's own one: with the file system that delta-rs brings, processes abort at their end more often than not.
    """
    if uri.startswith(_S3):
        return _s3(_endpoint(), _region()), uri.removeprefix(_S3)
    if "://" not in uri:
        return pyarrow.fs.LocalFileSystem(), str(Path(uri).absolute())
    filesystem, path = pyarrow.fs.FileSystem.from_uri(uri)
    return filesystem, str(path)


def below(uri: str) -> pyarrow.fs.FileSystem:
    """A file system whose paths are those below a URI."""
    filesystem, path = place(uri)
    return pyarrow.fs.SubTreeFileSystem(path, filesystem)


def options(uri: str) -> dict[str, str]:
    """What delta-rs has to be told to open the same; none for a folder."""
    if not uri.startswith(_S3):
        return {}
    found = {"AWS_REGION": _region(), "conditional_put": "etag"}
    if endpoint := _endpoint():
        found |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ALLOW_HTTP": str(endpoint.startswith("http://")).lower()}
    return found


def told() -> dict[str, str]:
    """What the environment of this process says of the S3 service; nothing where keys come from the machine's role."""
    return {name: os.environ[name] for name in (*_KEYS, *_SERVICE) if name in os.environ}


def adopt(told: Mapping[str, str]) -> None:
    """Read and write in this process as the one does that was told so; its own environment counts for the rest."""
    os.environ.update(told)


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@functools.cache
def _s3(endpoint: str | None, region: str) -> pyarrow.fs.FileSystem:
    # Arrow knows AWS's variables for keys, and not the one for the address
    if endpoint is None:
        return pyarrow.fs.S3FileSystem(region=region)
    scheme, _, host = endpoint.partition("://")
    return pyarrow.fs.S3FileSystem(endpoint_override=host.rstrip("/"), scheme=scheme, region=region)
