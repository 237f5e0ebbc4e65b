"""The table `rollbacks`: who took a step back by hand, and why.

The moves are a chain in which no row can be changed, so no person is named there: a move names its row of this table,
and a name can be taken out of this one without the chain being broken.
"""

from __future__ import annotations

import uuid

import pyarrow as pa

from sluice.lake.tables import Lake

TABLE = "rollbacks"
ROLLBACKS = pa.schema(
    {
        "rollback": pa.string(),
        "segment": pa.string(),
        "by": pa.string(),
        "because": pa.string(),
        "at": pa.int64(),
    }
)


def record(lake: Lake, segment: str, *, by: str, because: str, at: int) -> str:
    """Keep who takes a segment's newest step back, and why, and return what the move names it by.

    Written before the move: a row that no move names is one of a process that died, or was overtaken, in between.
    """
    name = uuid.uuid4().hex
    row = {"rollback": name, "segment": segment, "by": by, "because": because, "at": at}
    lake.append_rows(TABLE, [row], ROLLBACKS)
    return name
