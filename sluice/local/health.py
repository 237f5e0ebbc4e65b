"""Questions that a healthy service answers, each within two seconds unless told otherwise, and without a word."""

from __future__ import annotations

import json
import socket
import sqlite3
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 2.0
"""Seconds."""


def tcp(host: str, port: int) -> bool:
    """Whether something accepts a connection."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT):
            return True
    except OSError:
        return False


def reachable(address: str) -> bool:
    """Whether the first host of `host:port,…` or a URL accepts a connection; True for an address without a port."""
    parts = urlsplit(address if "://" in address else f"tcp://{address.split(',', maxsplit=1)[0]}")
    port = parts.port or {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}.get(parts.scheme)
    return tcp(parts.hostname, port) if parts.hostname and port else True


def http(url: str, *, post: object = None, timeout: float = TIMEOUT) -> tuple[int, object]:
    """Status and JSON body of a plain HTTP answer (None when it is not JSON); (0, None) without one."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=timeout)
    body = None if post is None else json.dumps(post)
    try:
        connection.request("POST" if body else "GET", parts.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.status, json.loads(said) if is_json else None
    except (OSError, HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()


def grpc_serving(host: str, port: int) -> bool:
    """Whether the standard gRPC health service says SERVING."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    options = [("grpc.enable_http_proxy", 0)]
    try:
        with grpc.insecure_channel(f"{host}:{port}", options=options) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def sqlite_has(path: Path, query: str) -> bool:
    """Whether a query on a SQLite file gives a row; False when the file or the table is missing."""
    if not path.exists():
        return False
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=TIMEOUT)
    except sqlite3.OperationalError:
        return False
    try:
        return connection.execute(query).fetchone() is not None
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.close()
