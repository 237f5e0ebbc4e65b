"""A first declaration for a file of events: what each column seems to be, from its first rows.

A guess is a beginning that a person edits. It never refuses a row that it was made from: bounds and scales leave room,
and what does not look alike in every row is free text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sluice.declare.columns import Decimal
from sluice.errors import DataError, UserError
from sluice.lake.landing import parsed
from sluice.lake.rowfiles import groups, read
from sluice.lake.typing import Typed, exact, flags, texts, times, whole

ROWS = 20_000
"""How many rows are looked at."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABELS = ("label", "target", "fraud", "is_fraud", "churn", "default", "outcome", "y")
_LARGEST, _MOST_DIGITS = 2**53, 6


@dataclass(frozen=True)
class Guess:
    """The columns of a file by the part that each seems to play; the rest by the declaration of each."""

    rows: int
    id: str
    id_type: str
    time: str
    label: str | None
    columns: Mapping[str, str]
    """Column of the file → how it is declared, such as `Decimal(scale=2, min=0, max=10_000)`; not those of no kind."""

    @property
    def key(self) -> str | None:
        """The first column that names something which has more than one event."""
        return next((name for name, declared in self.columns.items() if declared.startswith("Key")), None)


def guess(path: Path, *, identity: str | None = None, time: str | None = None, label: str | None = None) -> Guess:
    """What the columns of a file seem to be; UserError when nothing can be an id or a time, and none is named."""
    rows = _first(path)
    values = {name: [row.get(name) for row in rows] for name in dict.fromkeys(key for row in rows for key in row)}
    for option, given in (("--id", identity), ("--time", time), ("--label", label)):
        if given is not None and given not in values:
            raise UserError.unknown("column", given, values, where=option)
    moment = time or _chosen("--time", "a time", [name for name, found in values.items() if _is_time(found)], values)
    unique = [name for name, found in values.items() if name != moment and _is_unique(found)]
    named = identity or _chosen("--id", "another value in every row", _by_name(unique), values)
    told = label or next((name for name in values if name.lower() in _LABELS and _is_flag(values[name])), None)
    rest = {name: _declared(name, found) for name, found in values.items() if name not in {named, moment, told}}
    declared = {name: text for name, text in rest.items() if text is not None}
    kind = "integer" if _takes(whole(values[named])) else "text"
    return Guess(len(rows), named, kind, moment, told, declared)


def plain(name: str) -> str:
    """A column's name as a declaration may have it: small letters, digits and underscores."""
    found = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
    return found if _NAME.fullmatch(found) else f"column_{found}".rstrip("_")


def _first(path: Path) -> list[dict[str, Any]]:
    pieces = (rows for group, first in groups(path) for _, rows in read(path, group, first))
    objects = (row for rows in pieces for row in map(parsed, rows) if isinstance(row, dict))
    found = list(islice(objects, ROWS))
    if not found:
        raise DataError("there is no row to guess from", where=str(path), next_step="deliver a file that has some")
    return found


def _chosen(option: str, what: str, found: Sequence[str], values: Mapping[str, object]) -> str:
    if not found:
        raise UserError(f"no column has {what}", where=option, allowed=list(values), next_step=f"name one: {option} …")
    return found[0]


def _by_name(names: Sequence[str]) -> list[str]:
    """Those first that are called an id."""
    return sorted(names, key=lambda name: not plain(name).endswith("id"))


def _present(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None]


def _is_unique(values: Sequence[Any]) -> bool:
    texts = [str(value) for value in values if isinstance(value, (str, int)) and not isinstance(value, bool)]
    return len(texts) == len(values) == len(set(texts))


def _is_time(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and _takes(times(list(values)))


def _is_flag(values: Sequence[Any]) -> bool:
    typed = flags(list(values))
    return _takes(typed) and {None} < {*typed.values.to_pylist(), None} <= {0, 1, None}


def _declared(name: str, values: Sequence[Any]) -> str | None:
    """How a column is declared: as the narrowest kind that takes every value; None for one that no kind takes."""
    found = _present(values)
    told = len({str(value) for value in found})
    nullable = ", nullable=True" if len(found) < len(values) else ""
    if plain(name).endswith("_id") and told < len(found):
        kinds = [("Key()", whole), ('Key("text")', texts)]
        return next((text for text, typed in kinds if _takes(typed(values))), None)
    if _is_flag(values):
        return f"Flag({nullable.removeprefix(', ')})"
    if found and _takes(whole(values)):
        return _number("Integer(", whole(values), 1, nullable)
    for scale in range(1, _MOST_DIGITS + 1):
        typed = exact(values, Decimal(scale=scale, min=0, max=0))
        if found and _takes(typed):
            return _number(f"Decimal(scale={scale}, ", typed, 10**scale, nullable)
    return f"Category({nullable.removeprefix(', ')})" if _takes(texts(values)) else None


def _takes(typed: Typed) -> bool:
    """Whether no value is of another type, or has more digits than there is room for."""
    return not (typed.wrong.any() or typed.inexact.any())


def _number(begin: str, typed: Typed, unit: int, nullable: str) -> str:
    """A number with room: ten times the greatest magnitude, and below zero only where something is."""
    found = [float(value) for value in typed.values.to_pylist() if value is not None]
    most = (_LARGEST - 1) // unit
    high = min(10 ** (len(str(int(max(map(abs, found))))) + 1), most)
    low = -high if min(found) < 0 else 0
    return f"{begin}min={low:_}, max={high:_}{nullable})"
