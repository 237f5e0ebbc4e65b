"""Durations as people write them: `90s`, `5min`, `1h`, `7d`, kept as integer microseconds."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from sluice.declare.arguments import JUDGED
from sluice.errors import DeclarationError

MICROSECOND = 1
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LIMIT = 2**60
"""Every duration is shorter, in microseconds: three of them and a time of any calendar add up within 64 bits."""

Duration: TypeAlias = Annotated[str | int, JUDGED]
"""A duration as it is declared: a text such as `30d`, or whole microseconds."""

_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "m": MINUTE, "min": MINUTE, "h": HOUR, "d": DAY}
_TEXT = re.compile(r"(\d+)\s*(us|ms|s|min|m|h|d)")


def duration(text: str | int, *, where: str = "duration") -> int:
    """Microseconds of a text such as `30d`, `12h`, `5min` or `0s`; an integer is microseconds already."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return _limited(text, text, where)
    match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise DeclarationError(
            f"{text!r} is not a duration",
            where=where,
            allowed="a whole number and a unit: us, ms, s, min, h, d",
            next_step="write it like '30d' or '5min'",
        )
    return _limited(int(match[1]) * _UNITS[match[2]], text, where)


def duration_text(microseconds: int) -> str:
    """The shortest text of a duration: 86,400,000,000 is `1d`."""
    for unit in ("d", "h", "min", "s", "ms"):
        if microseconds and microseconds % _UNITS[unit] == 0:
            return f"{microseconds // _UNITS[unit]}{unit}"
    return f"{microseconds}us" if microseconds else "0s"


def _limited(microseconds: int, text: str | int, where: str) -> int:
    if microseconds < LIMIT:
        return microseconds
    raise DeclarationError(
        f"{text!r} is too long a duration",
        where=where,
        allowed=f"up to {LIMIT // DAY:,} days",
        next_step='nothing but a window reaches further back, as "lifetime"',
    )
