"""A first declaration for a file of events: which part each column seems to play, from its first rows.

A guess is a beginning that a person edits. It never refuses a row that it was made from: bounds and scales leave room,
and what does not look alike in every row is free text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sluice.errors import DataError, UserError
from sluice.lake.control import CONTROL
from sluice.lake.kinds import TIMES, as_key, declared, is_flag, is_like_time, is_time, is_unique, present
from sluice.lake.landing import parsed
from sluice.lake.rowfiles import groups, read
from sluice.lake.typing import whole

ROWS = 20_000
"""How many rows are looked at."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABELS = ("label", "target", "fraud", "is_fraud", "churn", "default", "outcome", "y")
_IDS = {"id", "no", "nr", "num", "number", "uuid", "guid", "key", "iban", "vin", "imei", "sku"}
_NAMED = (
    "account bike car card client customer device driver employee host household item konto kunde kunden machine"
    " maschine member merchant patient product rider sensor shop site station store terminal user vehicle"
)
_THINGS = frozenset(_NAMED.split())
_LISTED, _SHOWN = 12, 5

Values = Mapping[str, Sequence[Any]]
"""The values of each column."""


@dataclass(frozen=True)
class Asked:
    """What a person says of a file's columns, in place of a guess."""

    identity: str | None = None
    time: str | None = None
    label: str | None = None
    keys: Sequence[str] = ()

    def check(self, values: Values) -> None:
        """UserError for a column that is not there, or that cannot be what it is said to be."""
        options = [("--id", self.identity), ("--time", self.time), ("--label", self.label)]
        for option, named in [*options, *(("--key", key) for key in self.keys)]:
            if named is not None and named not in values:
                raise UserError.unknown("column", named, values, where=option)
        if self.time is not None and not is_time(values[self.time]):
            raise UserError(
                f"{self.time!r} has {_some(values[self.time], is_time)}",
                where="--time",
                allowed=f"times such as {TIMES}",
            )
        if self.label is not None and not is_flag(values[self.label]):
            raise UserError(
                f"{self.label!r} has {_some(values[self.label], is_flag)}",
                where="--label",
                allowed=[name for name, found in values.items() if is_flag(found)] or "a column of 0 and 1",
                next_step="write it as 0 and 1, or leave --label out: what is told later can be declared as a stream",
            )


_NOTHING = Asked()


@dataclass(frozen=True)
class Guess:
    """The columns of a file by the part that each seems to play; the rest by the declaration of each."""

    rows: int
    id: str
    id_type: str
    time: str
    label: str | None
    keys: Sequence[str]
    """What has several events each, and so gets a view; none where nothing repeats."""
    candidates: Mapping[str, int]
    """Every column that could be a key, and how many values it has."""
    columns: Mapping[str, str]
    """Column of the file → how it is declared, such as `Decimal(scale=2, min=0, max=10_000)`; not those of no kind."""

    @property
    def names(self) -> dict[str, str]:
        """Column of the file → what the declaration calls it, each something else."""
        found: dict[str, str] = {}
        for column in (self.id, self.time, *self.columns):
            found[column] = free(plain(column), found.values())
        return found


def guess(path: Path, asked: Asked = _NOTHING) -> Guess:
    """What the columns of a file seem to be; UserError when one has to be named, with those that would do."""
    rows = _first(path)
    names = [name for name in dict.fromkeys(key for row in rows for key in row) if name not in CONTROL]
    values = {name: [row.get(name) for row in rows] for name in names}
    asked.check(values)
    moment = asked.time or next((name for name, found in values.items() if is_time(found)), None) or _no_time(values)
    identity = asked.identity or _identity(values, moment)
    if identity == moment:
        raise UserError(
            f"{moment!r} is the time, and cannot be the id too", where="--id", next_step="name another column"
        )
    told = asked.label or next((name for name in values if name.lower() in _LABELS and is_flag(values[name])), None)
    rest = {name: found for name, found in values.items() if name not in {identity, moment, told}}
    candidates = _candidates(rest)
    keys = _asked_keys(asked.keys, rest, candidates) or _key(rest, candidates)
    called = {name for name in candidates if _is_id(name)}
    known = {name: as_key(found) if name in {*keys, *called} else declared(found) for name, found in rest.items()}
    columns = {name: text for name, text in known.items() if text is not None}
    kind = "text" if whole(values[identity]).wrong.any() else "integer"
    return Guess(len(rows), identity, kind, moment, told, keys, candidates, columns)


def plain(name: str) -> str:
    """A column's name as a declaration may have it: small letters, digits and underscores."""
    found = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()).strip("_")
    return found if _NAME.fullmatch(found) else f"column_{found}".rstrip("_")


def free(name: str, taken: Iterable[str]) -> str:
    """A name, or with a number behind it the next one that nothing else has."""
    others, number = set(taken), 1
    while (name if number == 1 else f"{name}_{number}") in others:
        number += 1
    return name if number == 1 else f"{name}_{number}"


def listed(counts: Mapping[str, int]) -> str:
    """Columns with how many values each has, those with the most first."""
    most = sorted(counts.items(), key=lambda item: -item[1])
    more = [f"and {len(most) - _LISTED} more"] if len(most) > _LISTED else []
    return ", ".join([*(f"`{name}` {count:,} value{'s' * (count != 1)}" for name, count in most[:_LISTED]), *more])


def _first(path: Path) -> list[dict[str, Any]]:
    pieces = (rows for group, first in groups(path) for _, rows in read(path, group, first))
    objects = (row for rows in pieces for row in map(parsed, rows) if isinstance(row, dict))
    found = list(islice(objects, ROWS))
    if not found:
        raise DataError("there is no row to guess from", where=str(path), next_step="deliver a file that has some")
    return found


def _no_time(values: Values) -> str:
    like = [name for name, found in values.items() if is_like_time(_words(name), found)]
    seen = f"; {like[0]!r} has {_some(values[like[0]], is_time)}" if like else ""
    raise UserError(
        f"no column has a time in every row{seen}",
        where="--time",
        allowed=f"times such as {TIMES}",
        next_step=f"write one so: {', '.join(values)}",
    )


def _identity(values: Values, moment: str) -> str:
    unique = [name for name, found in values.items() if name != moment and is_unique(found) and not is_time(found)]
    if unique:
        return min(unique, key=lambda name: not _is_id(name))
    has = listed({name: _count(found) for name, found in values.items() if name != moment and as_key(found)})
    together = next((name for name in values if name != moment and _are_unique(values[moment], values[name])), None)
    joined = f"{moment!r} and {together!r} have together: join them in a column of the file" if together else None
    raise UserError(
        "no column has another value in every row, by which events are told apart",
        where="--id",
        allowed=f"texts or whole numbers; of {len(values[moment]):,} rows {has or 'no column has any'}",
        next_step=f"{joined or 'add a column to the file that does'}, and name it: --id COLUMN",
    )


def _are_unique(moments: Sequence[Any], values: Sequence[Any]) -> bool:
    pairs = {(moment, str(value)) for moment, value in zip(moments, values, strict=True)}
    return as_key(values) is not None and len(pairs) == len(moments)


def _candidates(values: Values) -> dict[str, int]:
    """What could be a key: whole numbers or texts that repeat."""
    counts = {name: _count(found) for name, found in values.items() if as_key(found) is not None}
    return {name: count for name, count in counts.items() if count < len(present(values[name]))}


def _key(values: Values, candidates: Mapping[str, int]) -> list[str]:
    """The one that is called like a key, or the only text; none where only numbers repeat, which may well be measures.

    UserError where it could be one text or another.
    """
    best = min(candidates, key=lambda name: (not _is_id(name), not _is_thing(name)), default=None)
    if best is not None and (_is_id(best) or _is_thing(best)):
        return [best]
    named = [name for name in candidates if whole(values[name]).wrong.any()]
    if len(named) <= 1:
        return named
    raise UserError(
        "which column names what has several events, such as a customer or a machine?",
        where="--key",
        allowed=listed(candidates),
        next_step="name it: --key COLUMN",
    )


def _asked_keys(keys: Sequence[str], values: Values, candidates: Mapping[str, int]) -> list[str]:
    for key in keys:
        if key not in values:
            raise UserError(f"{key!r} is the id, the time or the label", where="--key", allowed=listed(candidates))
        if as_key(values[key]) is None:
            raise UserError(
                f"{key!r} has {_some(values[key])}, and a key is a whole number or a text that names something",
                where="--key",
                allowed=listed(candidates) or None,
            )
    return list(dict.fromkeys(keys))


def _is_id(name: str) -> bool:
    return "#" in name or _words(name)[-1] in _IDS


def _is_thing(name: str) -> bool:
    return any({word, word.removesuffix("s"), word.removesuffix("id")} & _THINGS for word in _words(name))


def _words(name: str) -> list[str]:
    return plain(name).split("_")


def _count(values: Sequence[Any]) -> int:
    return len({str(value) for value in present(values)})


def _some(values: Sequence[Any], accepted: Any = None) -> str:
    """A few of the values, of those first that are not accepted."""
    found = dict.fromkeys(map(str, present(values)))
    wrong = [value for value in found if accepted is None or not accepted([value])]
    told = [*map(repr, (wrong or list(found))[:_SHOWN])]
    told += ["no value in some rows"] if len(present(values)) < len(values) and not wrong else []
    return ", ".join(told) or "no value"
