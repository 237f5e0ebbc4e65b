"""A Redis as the store speaks to it: what is asked together is answered together, waits are bounded, errors are ours.

redis-py brings the connections and the protocol. Its pipelines are not used: when a connection breaks under a watched
transaction they report a lost race, though the transaction may have been carried out, and they ask again by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from redis import ConnectionPool, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from sluice.engine.redis_words import Command
from sluice.engine.store import StoreDown
from sluice.errors import Outage, SettingsError

_NOT_NOW = (
    exceptions.OutOfMemoryError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.MasterDownError,
)
_NOT_NOW_EITHER = ("MISCONF", "NOREPLICAS", "BUSY")
"""How further refusals begin that pass by themselves or by an operator's hand."""


class Session:
    """One connection: it is asked one thing after the other, and once it has broken it is of no more use."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def ask(self, *commands: Command) -> list[Any]:
        """The replies to some commands, in one round trip; others' may come between them."""
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        return [self._connection.read_response() for _ in commands]

    def ask_one(self, command: Command) -> Any:
        """The reply to one command."""
        return self.ask(command)[0]

    def atomically(self, commands: Sequence[Command]) -> list[Any] | None:
        """The replies to commands that all happen at once; None if a watched key was touched, and nothing happened."""
        replies: list[Any] | None = self.ask(("MULTI",), *commands, ("EXEC",))[-1]
        for reply in replies or ():
            if isinstance(reply, exceptions.ResponseError):
                raise reply
        return replies


class Link:
    """The way to one Redis, for any number of threads; StoreDown when it does not answer in time."""

    def __init__(self, uri: str, *, patience_s: float) -> None:
        self.where = without_password(uri)
        bounds = {"socket_timeout": patience_s, "socket_connect_timeout": patience_s}
        try:
            self._pool: Any = ConnectionPool.from_url(uri, **bounds, retry=Retry(NoBackoff(), 0))
        except ValueError as error:
            allowed = "redis://[user:password@]host[:port][/database]"
            raise SettingsError(f"this is no address of a Redis: {error}", where=self.where, allowed=allowed) from error

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A connection of one's own for as long as the block runs."""
        with self._speaking():
            connection = self._pool.get_connection()
            try:
                yield Session(connection)
            except BaseException:
                # replies may be on their way, and keys watched
                connection.disconnect()
                raise
            finally:
                self._pool.release(connection)

    def ask(self, *commands: Command) -> list[Any]:
        """The replies to some commands, in one round trip; others' may come between them."""
        with self.session() as session:
            return session.ask(*commands)

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.AuthenticationError, exceptions.NoPermissionError) as error:
            raise Outage(
                f"Redis does not let us in: {error}", where=self.where, next_step="mend SLUICE_REDIS_URL"
            ) from error
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            raise StoreDown(
                f"Redis does not answer: {error}",
                where=self.where,
                next_step="sluice up redis; one of your own: see that it runs and can be reached",
            ) from error
        except exceptions.RedisError as error:
            if isinstance(error, _NOT_NOW) or str(error).startswith(_NOT_NOW_EITHER):
                raise StoreDown(
                    f"Redis cannot do it now: {error}",
                    where=self.where,
                    next_step="see that it has memory and disk left, and takes writes",
                ) from error
            raise Outage(f"Redis refuses what it is asked: {error}", where=self.where) from error


def without_password(uri: str) -> str:
    """A Redis URI as it may be shown."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
