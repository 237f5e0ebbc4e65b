"""What kind of column some raw values seem to be, and how it is declared: as the narrowest that takes every value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sluice.declare.columns import Decimal
from sluice.lake.typing import Typed, exact, flags, texts, times, whole

TIMES = "2026-01-31T12:00:00Z, 2026-01-31 12:00 or 2026-01-31; one without a zone is UTC"
"""Which forms of time are read, in words."""
_LARGEST, _MOST_DIGITS, _ROOM = 2**53, 6, 2
_DATE = re.compile(r"\s*[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}\b.*")
_TIME_WORDS = {"time", "date", "ts", "timestamp", "datum", "zeit", "datetime", "at"}


def present(values: Sequence[Any]) -> list[Any]:
    """Those that are not null."""
    return [value for value in values if value is not None]


def is_unique(values: Sequence[Any]) -> bool:
    """Whether there is a text or a whole number in every row, each another; numbers with decimals measure something."""
    found = [str(value) for value in values if isinstance(value, (str, int)) and not isinstance(value, bool)]
    return len(found) == len(values) == len(set(found)) and _scale(values) is None


def is_time(values: Sequence[Any]) -> bool:
    """Whether there is a time in every row."""
    return all(isinstance(value, str) for value in values) and _takes(times(list(values)))


def is_like_time(words: Sequence[str], values: Sequence[Any]) -> bool:
    """Whether a column of such a name seems to hold times, though not in a form that is read."""
    dates = [isinstance(value, str) and _DATE.fullmatch(value) is not None for value in present(values)]
    return bool(dates) and (all(dates) or bool(_TIME_WORDS.intersection(words)))


def is_flag(values: Sequence[Any]) -> bool:
    """Whether there is nothing but 0 and 1, and nulls."""
    typed = flags(list(values))
    return _takes(typed) and {None} < {*typed.values.to_pylist(), None} <= {0, 1, None}


def as_key(values: Sequence[Any]) -> str | None:
    """How a key of such values is declared; None for what names nothing: times, flags, measures with decimals."""
    found = [value for value in values if isinstance(value, str)]
    dated = bool(found) and len(found) == len(present(values)) and is_time(found)
    if not present(values) or dated or is_flag(values) or _scale(values) is not None:
        return None
    kinds = [("Key()", whole), ('Key("text")', texts)]
    return next((text for text, typed in kinds if _takes(typed(values))), None)


def declared(values: Sequence[Any]) -> str | None:
    """How a column that is no key is declared; None for one that no kind takes."""
    found = present(values)
    nullable = ", nullable=True" if len(found) < len(values) else ""
    if is_flag(values):
        return f"Flag({nullable.removeprefix(', ')})"
    if found and _takes(whole(values)):
        return _number("Integer(", whole(values), 1, nullable)
    scale = _scale(values)
    if scale is not None:
        return _number(f"Decimal(scale={scale}, ", _decimals(values, scale), 10**scale, nullable)
    return f"Category({nullable.removeprefix(', ')})" if _takes(texts(values)) else None


def _scale(values: Sequence[Any]) -> int | None:
    """How many decimals numbers have; None where they are whole, or no numbers."""
    if not present(values) or _takes(whole(values)):
        return None
    fitting = [scale for scale in range(1, _MOST_DIGITS + 1) if _takes(_decimals(values, scale))]
    # 12.50 is money: more of its kind will have two decimals
    return next((scale for scale in fitting if scale >= _written(values)), fitting[0] if fitting else None)


def _written(values: Sequence[Any]) -> int:
    """How many digits are written after the point, zeros too."""
    ends = [value.partition(".")[2] for value in present(values) if isinstance(value, str)]
    return max((len(end) for end in ends if end.isdigit()), default=0)


def _decimals(values: Sequence[Any], scale: int) -> Typed:
    return exact(values, Decimal(scale=scale, min=0, max=0))


def _takes(typed: Typed) -> bool:
    """Whether no value is of another type, or has more digits than there is room for."""
    return not (typed.wrong.any() or typed.inexact.any())


def _number(begin: str, typed: Typed, unit: int, nullable: str) -> str:
    """A number with room for twice the greatest magnitude, and below zero only where something is."""
    found = [float(value) for value in typed.values.to_pylist() if value is not None]
    high = min(_round(_ROOM * max(map(abs, found))), (_LARGEST - 1) // unit)
    low = -high if min(found) < 0 else 0
    return f"{begin}min={low:_}, max={high:_}{nullable})"


def _round(least: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50 …: no more room than needed, so that amounts in cents do not fit into euros."""
    ten = int(10 ** (len(str(int(least))) - 1))
    return next(ten * step for step in (1, 2, 5, 10, 20) if ten * step >= least)
