"""Which version of an event a row of a file is, and whether it deletes it: one rule for the lake and for `compute`.

    _revision    a whole number from 0, however it is written; absent or null: 0
    _op          put or delete, or 0 and 1 as in silver; absent or null: put

What cannot be read is null, and the contract refuses its row.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from sluice.engine.versions import DELETE, PUT
from sluice.lake.rowfiles import plain_values
from sluice.lake.typing import integer

CONTROL = ("_revision", "_op")
GREATEST_REVISION = 2**31 - 1
_OPERATIONS = {"put": PUT, "delete": DELETE}


def revision(value: Any) -> int | None:
    """The revision that one raw value says; None for one that says none."""
    number = 0 if value is None else integer(value)
    return number if number is not None and 0 <= number <= GREATEST_REVISION else None


def operation(value: Any) -> int | None:
    """The operation that one raw value says; None for one that says none."""
    if value is None:
        return PUT
    found = _OPERATIONS.get(value) if isinstance(value, str) else None
    number = integer(value) if found is None else found
    return number if number in (PUT, DELETE) else None


def control_column(name: str, values: pa.Array) -> pa.Array:
    """One of the control columns of a table, read as landing reads it row by row."""
    read, kind = (revision, pa.int32()) if name == "_revision" else (operation, pa.int8())
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_nested(values.type):
        return pa.array([read(value) for value in plain_values(values)], kind)
    # a few values stand in many rows, and each is read once
    distinct = values.dictionary_encode("encode")
    return pa.array([read(value) for value in plain_values(distinct.dictionary)], kind).take(distinct.indices)
