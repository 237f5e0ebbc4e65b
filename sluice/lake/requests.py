"""Requests in canonical form: typed by the same code as history, encoded for the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import encode_column
from sluice.lake.typing import type_columns


def encode_requests(pipeline: Pipeline, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The encoded request table (`_id`, `_time` and the declared columns) of rows under their declared names."""
    stream = replace(pipeline.events, sources={})
    typed = type_columns(stream, [dict(row) for row in rows])
    own = {"_id": typed[stream.id_columns[0]].values, "_time": typed[stream.time].values.cast(pa.int64())}
    values = {name: encode_column(typed[name].values, column) for name, column in stream.columns.items()}
    return pa.table({**own, **values})
