"""Revision and operation: one rule, whatever kind of file says them and whoever reads it."""

from __future__ import annotations

import decimal
from typing import Any

import pyarrow as pa
import pytest

from sluice.engine.versions import DELETE, PUT
from sluice.lake.control import control_column, operation, revision

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((None, 0), (3, 3), (3.0, 3), ("3", 3), (2**31 - 1, 2**31 - 1)),
        *((value, None) for value in (2**31, -1, "new", True, "", 1.5, [])),
    ],
)
def test_a_revision_is_a_whole_number_from_0_and_nothing_means_0(value: Any, number: int | None) -> None:
    assert revision(value) == number


@pytest.mark.parametrize(
    ("value", "done"),
    [
        *((None, PUT), ("put", PUT), ("delete", DELETE), (0, PUT), (1, DELETE), ("1", DELETE), (1.0, DELETE)),
        *((value, None) for value in ("Delete", "drop", "", 2, False, [], {"a": 1})),
    ],
)
def test_an_operation_is_put_or_delete_and_nothing_means_put(value: Any, done: int | None) -> None:
    assert operation(value) == done


@pytest.mark.parametrize(
    ("column", "revisions"),
    [
        (pa.array([None, 0, 7], pa.int64()), [0, 0, 7]),
        (pa.array([0, 2**63], pa.uint64()), [0, None]),
        (pa.array(["1", "x", None]), [1, None, 0]),
        (pa.array(["1", "1"]).dictionary_encode(), [1, 1]),
        (pa.array([2.0, float("nan"), None]), [2, None, 0]),
        (pa.array([decimal.Decimal(4)]), [4]),
        (pa.array([True, None]), [None, 0]),
        (pa.nulls(2), [0, 0]),
        (pa.array([[1], None]), [None, 0]),
    ],
    ids=lambda item: str(item.type) if isinstance(item, pa.Array) else "",
)
def test_a_column_of_any_type_is_read_value_by_value(column: pa.Array, revisions: list[int | None]) -> None:
    found = control_column("_revision", column)
    assert (found.type, found.to_pylist()) == (pa.int32(), revisions)


def test_operations_in_a_column_are_texts_or_numbers() -> None:
    assert control_column("_op", pa.array(["put", "delete", "drop", None])).to_pylist() == [PUT, DELETE, None, PUT]
    assert control_column("_op", pa.array([0, 1, 2], pa.int8())).to_pylist() == [PUT, DELETE, None]
