"""Requests in canonical form: typed by the same code as history, encoded for the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import encode_column
from sluice.engine.facts import id_type
from sluice.lake.typing import id_of, type_columns


def encode_requests(pipeline: Pipeline, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The encoded request table (`_id`, `_time` and the declared columns) of rows under their declared names.

    A request has the id that its event gets in history; without one it is null, which comes after every other.
    """
    stream = replace(pipeline.events, sources={})
    typed = type_columns(stream, [dict(row) for row in rows])
    nothing = np.empty(0, np.int64)  # the hashes and positions that make an id where no column does
    ids = id_of(stream, typed, nothing, nothing).cast(id_type(stream))
    values = {name: encode_column(typed[name].values, column) for name, column in stream.columns.items()}
    return pa.table({"_id": ids, "_time": typed[stream.time].values.cast(pa.int64()), **values})
