"""Frames that are pushed to plain views: judged whole, before any row of them is written."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pyarrow as pa
from feast.feature_view import DUMMY_ENTITY_ID
from feast.type_map import python_values_to_proto_values

from sluice.errors import UserError
from sluice.feast.plain.sources import renamed

_NO_TABLE = (pa.ArrowInvalid, pa.ArrowTypeError)


def check_pushed(view: Any, frame: pd.DataFrame) -> None:
    """UserError unless every column of a view is in a frame, and every row has an event time."""
    table, source = _table(view, frame), view.batch_source
    created = [source.created_timestamp_column] if source.created_timestamp_column else []
    missing = [name for name in (*_types(view), source.timestamp_field, *created) if name not in table.column_names]
    if missing:
        raise _refused(view, missing[0], f"is not in the {len(table):,} rows", table.column_names)
    for name in created:
        _times(view, name, table)
    check_times(view, table)


def check_times(view: Any, table: pa.Table) -> None:
    """UserError for rows without an event time: they would be true at no moment."""
    name = view.batch_source.timestamp_field
    lost = int(pd.isna(_times(view, name, table)).sum())
    if lost:
        raise _refused(view, name, f"has no event time in {lost:,} of {len(table):,} rows", "a time in every row")


def check_values(view: Any, frame: pd.DataFrame) -> None:
    """UserError for the first column of a frame that Feast cannot write as what it is declared."""
    table = _table(view, frame)
    for name, kind in _types(view).items():
        column = table.column(name)
        try:
            python_values_to_proto_values(column.to_numpy(), kind)
        except Exception as error:  # how Feast says no depends on the type
            what = f"holds {column.type} in its {len(column):,} rows, which cannot be written as its type"
            raise _refused(view, name, what, kind.name) from error


def _types(view: Any) -> dict[str, Any]:
    """The columns of a view's rows but for their times, as Feast's value types."""
    columns = [column for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    return {column.name: column.dtype.to_value_type() for column in (*columns, *view.features)}


def _table(view: Any, frame: pd.DataFrame) -> pa.Table:
    try:
        return renamed(pa.Table.from_pandas(frame), view.batch_source.field_mapping or {})
    except _NO_TABLE as error:
        # the last of what Arrow says names the column
        raise UserError(
            f"the {len(frame):,} rows hold values of several types: {error.args[-1]}; nothing is written",
            where=f"view {view.name!r}",
            next_step="mend the rows, and push all of them again",
        ) from error


def _times(view: Any, name: str, table: pa.Table) -> Any:
    """Times as Feast reads them."""
    column = table.column(name)
    try:
        with warnings.catch_warnings():
            # pandas guesses the format of a text aloud
            warnings.simplefilter("ignore", UserWarning)
            return pd.to_datetime(column.to_numpy())
    except (ValueError, TypeError) as error:
        what = f"holds {column.type} in its {len(table):,} rows, which are no times"
        raise _refused(view, name, what, "timestamps, dates, RFC 3339") from error


def _refused(view: Any, column: str, what: str, allowed: Any) -> UserError:
    return UserError(
        f"column {column!r} {what}; nothing is written",
        where=f"view {view.name!r}",
        allowed=allowed,
        next_step="mend the rows, and push all of them again",
    )
