"""A Redis server for loopback that holds the online store: appended to a file, made durable every second."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from sluice.errors import UserError
from sluice.local.health import reachable, tcp
from sluice.local.service import Service
from sluice.settings import Settings

OLDEST = 7
"""The first version whose append-only file survives a crash while it is being rewritten."""
_PACKAGE = "apt-get install redis-server"


def redis_server(settings: Settings) -> Service | None:
    """The embedded server, or the one that the settings name; None when the online store is elsewhere."""
    online = settings.online_uri
    address = online if _is_redis(online) else settings.redis if settings.engines.redis_url else None
    if address is None:
        return None
    embedded = (urlsplit(address).hostname, urlsplit(address).port) == ("127.0.0.1", settings.ports.redis_port)
    return Service(
        name="redis",
        address=address.rsplit("@", 1)[-1].removeprefix("redis://"),
        healthy=lambda _since: _answers(settings.ports.redis_port) if embedded else reachable(address),
        command=lambda: _command(settings),
        ports={"SLUICE_REDIS_PORT": settings.ports.redis_port},
        external=not embedded,
    )


def options(settings: Settings, data: Path) -> dict[str, str]:
    """The server's whole configuration, given on its command line, so that no client can have it written anywhere."""
    return {
        "bind": "127.0.0.1",
        "port": str(settings.ports.redis_port),
        "protected-mode": "yes",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "enable-protected-configs": "no",
        "enable-debug-command": "no",
        "enable-module-command": "no",
    }


def program() -> Path:
    """The redis-server on PATH; UserError says what is missing and the one command that helps."""
    found = shutil.which("redis-server")
    if found is None:
        raise UserError("no redis-server was found", where="PATH", allowed=f">= {OLDEST}", next_step=_PACKAGE)
    done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, check=False)
    version = re.search(r"v=(\d+)\.", done.stdout)
    if version is None:
        raise UserError(f"it does not say its version: {done.stdout[:200]!r}", where=found, next_step=_PACKAGE)
    if int(version[1]) < OLDEST:
        raise UserError(f"Redis {version[1]} is too old", where=found, allowed=f">= {OLDEST}", next_step=_PACKAGE)
    return Path(found)


def _command(settings: Settings) -> list[str]:
    data = settings.places.at("redis")
    data.mkdir(parents=True, exist_ok=True)
    given = options(settings, data).items()
    return [str(program()), *(word for name, value in given for word in (f"--{name}", value))]


def _is_redis(uri: str) -> bool:
    return urlsplit(uri).scheme in {"redis", "rediss"}


def _answers(port: int) -> bool:
    """A server accepts connections while it still loads its file, so it is asked for an answer."""
    if not tcp("127.0.0.1", port):
        return False
    from redis import Redis
    from redis.exceptions import RedisError

    client = Redis("127.0.0.1", port, socket_timeout=2)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


if __name__ == "__main__":
    try:
        program()
    except UserError as error:
        sys.exit(str(error))
