"""Small checks that every word of the vocabulary shares."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sluice.errors import DeclarationError, UserError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def named(name: str, *, where: str) -> str:
    """A name that every engine accepts: lower case letters, digits and underscores, with a letter first."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "__" in name:
        raise DeclarationError(
            f"{name!r} cannot be a name",
            where=where,
            allowed="lower case letters, digits and single underscores, a letter first",
        )
    return name


def distinct(values: Iterable[str], *, where: str, kind: str) -> None:
    """DeclarationError unless every value is there once."""
    listed = list(values)
    twice = sorted({value for value in listed if listed.count(value) > 1})
    if twice:
        raise DeclarationError(
            f"{kind} {', '.join(map(repr, twice))} is declared twice",
            where=where,
            allowed="each once",
            next_step="give one another name",
        )


def one_of(value: str, allowed: Iterable[str], *, where: str, kind: str = "value") -> str:
    """`value` if it is among the allowed ones, else an error with the nearest one."""
    known = list(allowed)
    if value not in known:
        raised = UserError.unknown(kind, value, known, where=where)
        raise DeclarationError(raised.what, where=where, allowed=sorted(known), next_step=raised.next_step)
    return value
