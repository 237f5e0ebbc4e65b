"""A schema registry on a free loopback port that speaks the paths of Confluent's REST interface that we ask for."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]
NO_SCHEMA: Answer = (404, {"error_code": 40403, "message": "Schema not found"})


@dataclass
class RegistryServer:
    """What it answers, by path and the format that is asked for; every other path has no schema."""

    url: str = ""
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Paths, in order."""
    authorised: str | None = None
    """The last `Authorization` header."""

    def put(self, path: str, body: Mapping[str, Any] | list[Any], *, form: str = "", status: int = 200) -> None:
        """What is answered at a path."""
        self.answers[path, form] = (status, body)


@contextmanager
def registry_server() -> Iterator[RegistryServer]:
    """The server, in threads of this process."""
    registry = RegistryServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            form = parse_qs(place.query).get("format", [""])[0]
            registry.asked.append(place.path)
            registry.authorised = self.headers.get("Authorization")
            status, body = registry.answers.get((place.path, form), NO_SCHEMA)
            told = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: Any) -> None:
            """Nothing: what was asked is kept."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
