"""One event clock for all processes: `SLUICE_CLOCK` is `wall` or the URI of one microsecond value.

Lateness, freshness, label maturity, expiry, cooldown and bake times read this clock at each use; latencies use
the system's monotonic clock instead. The value never goes back, and only a replay driver writes it.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import time
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlparse

from sluice.errors import SettingsError

MICROSECONDS = 1_000_000
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Clock(Protocol):
    """Answers the present event time."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        ...


class WallClock:
    """The machine's own UTC time."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000


class HandClock:
    """The in-memory twin: stands still until a test or a replay moves it forward."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""
        return self._now

    def move_to(self, instant: int) -> None:
        """Move forward to `instant` (microseconds); an earlier one leaves the clock where it is."""
        self._now = max(self._now, instant)


class FileClock:
    """A clock in a file, shared by every process on a machine; moves are atomic and never go back."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC; SettingsError while nobody has set the clock."""
        try:
            return int(self._path.read_text())
        except FileNotFoundError:
            raise self._unusable("the shared clock has not been set") from None
        except ValueError:
            raise self._unusable("there is no number of microseconds in it") from None

    def move_to(self, instant: int) -> None:
        """Move forward to `instant` (microseconds); an earlier one leaves the clock where it is."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_name(f"{self._path.name}.lock").open("w") as lock:
            # of two drivers the slower one would put the clock back to what it had compared before
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._path.exists() and self.now() >= instant:
                return
            fresh = self._path.with_name(f"{self._path.name}.next")
            fresh.write_text(str(instant))
            fresh.replace(self._path)

    def _unusable(self, what: str) -> SettingsError:
        return SettingsError(
            what,
            where=f"SLUICE_CLOCK={self._path.as_uri()}",
            next_step="let the replay driver set it, or use SLUICE_CLOCK=wall",
        )


def open_clock(uri: str) -> Clock:
    """The clock that `SLUICE_CLOCK` names; SettingsError for anything else."""
    if uri == "wall":
        return WallClock()
    parsed = urlparse(uri)
    if parsed.scheme == "file" and not parsed.netloc and parsed.path not in {"", "/"}:
        return FileClock(Path(unquote(parsed.path)))
    raise SettingsError(f"unknown clock {uri!r}", where="SLUICE_CLOCK", allowed=["wall", "file:///path"])


def to_datetime(instant: int) -> dt.datetime:
    """Microseconds since the epoch as an aware UTC datetime, exactly."""
    return _EPOCH + dt.timedelta(microseconds=instant)


def from_datetime(moment: dt.datetime) -> int:
    """Microseconds since the epoch, exactly; a naive datetime is read as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - _EPOCH) // dt.timedelta(microseconds=1)


def to_second(instant: int) -> str:
    """An instant as `rfc3339`, of the second that it is in: for people."""
    return rfc3339(instant - instant % 1_000_000)


def rfc3339(instant: int) -> str:
    """Microseconds since the epoch as RFC 3339 text in UTC (`2026-01-31T12:00:00Z`)."""
    return to_datetime(instant).isoformat().replace("+00:00", "Z")
