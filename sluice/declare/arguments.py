"""Whether a word of the vocabulary was given what its annotations say: one rule for all of them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

from sluice.errors import DeclarationError

JUDGED: Final = "judged where it is read"
"""The mark of an annotation, `Annotated[…, JUDGED]`, whose reader refuses what does not fit and can say more."""
_SAID = {bool: "True or False", int: "a whole number", float: "a finite number", str: "a text", NoneType: "None"}


def check_fields(declared: Any, *, where: str) -> None:
    """DeclarationError for the first field of a declared word that is not what its annotation says."""
    kind: Any = type(declared)
    hints = _hints(kind)
    for field in fields(declared):
        # a default may stand for what is made later, as a label's stream does
        if field.init and getattr(declared, field.name) is not field.default:
            check_argument(getattr(declared, field.name), hints[field.name], name=field.name, where=where)


def check_argument(value: object, hint: Any, *, name: str, where: str, allowed: str = "") -> None:
    """DeclarationError unless a value is what an annotation says; `allowed` says it in better words."""
    if _fits(value, hint):
        return
    is_quoted = isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
    raise DeclarationError(
        f"{name}={value!r}",
        where=where,
        allowed=allowed or _said(hint),
        next_step="write the number without quotes" if is_quoted else None,
    )


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _fits(value: object, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return True
    if origin in {Union, UnionType}:
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        # which of them is asked later, where the nearest one is known
        return isinstance(value, str)
    if origin is not None:
        return isinstance(value, origin) and not isinstance(value, str | bytes) and _holds(value, parts)
    if hint is float:
        return is_number(value)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _holds(values: Any, parts: tuple[Any, ...]) -> bool:
    """Whether texts and numbers in a list or a mapping are such; what else is in it is judged by those who read it."""
    columns = [list(values), list(values.values())] if isinstance(values, Mapping) else [list(values)]
    return all(
        _fits(value, part) for part, column in zip(parts, columns, strict=False) if part in _SAID for value in column
    )


def _said(hint: Any) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return " or ".join(_said(part) for part in parts)
    if origin is Literal:
        return ", ".join(map(str, parts))
    if origin is not None:
        is_mapping = issubclass(origin, Mapping)
        held = parts[1] if is_mapping else parts[0]
        said = "a mapping" if is_mapping else "a list"
        return f"{said} of {_SAID[held].removeprefix('a ')}s" if held in _SAID else said
    article = "an" if hint not in _SAID and hint.__name__[0] in "AEIOU" else "a"
    return _SAID.get(hint) or f"{article} {hint.__name__}"
