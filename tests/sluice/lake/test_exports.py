"""What goes out of a table: what is new where it has only grown, all of it otherwise."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from sluice.errors import DataError, UserError
from sluice.lake.exports import Outgoing, outgoing
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Vectors in two files, 1 and 2, then 3."""
    made = Lake(str(tmp_path), "bank")
    made.append("vectors", pa.table({"event_id": [1, 2], "event_time": [10, 20]}))
    made.append("vectors", pa.table({"event_id": [3], "event_time": [30]}))
    return made


def out(lake: Lake, sent: tuple[str, int] | None = None, *, version: int | None = None) -> Outgoing:
    return outgoing(lake.root.removesuffix("/bank"), "bank", "vectors", version, sent)


def ids(found: Outgoing, parts: int = 1) -> list[int]:
    return sorted(
        row["event_id"] for part in range(parts) for batch in found.read(part, parts) for row in batch.to_pylist()
    )


def test_all_of_a_version_goes_out_the_first_time(lake: Lake) -> None:
    assert (out(lake).rows, out(lake).replaces, out(lake).version) == (3, True, 1)
    assert ids(out(lake)) == ids(out(lake), parts=4) == [1, 2, 3]
    assert (out(lake, version=0).rows, ids(out(lake, version=0))) == (2, [1, 2])


def test_only_what_is_new_goes_out_where_the_table_has_grown(lake: Lake) -> None:
    found = out(lake, (out(lake).identity, 0))
    assert (found.rows, found.replaces, ids(found)) == (1, False, [3])


def test_a_table_that_lost_rows_goes_out_as_a_whole(lake: Lake) -> None:
    sent = out(lake).identity, 1
    deltalake.write_deltalake(lake.uri("vectors"), pa.table({"event_id": [9], "event_time": [9]}), mode="overwrite")
    found = out(lake, sent)
    assert (found.replaces, ids(found)) == (True, [9])


@pytest.mark.parametrize("sent", [("another table", 0), (None, 7)])
def test_what_was_sent_from_elsewhere_or_is_forgotten_counts_for_nothing(
    lake: Lake, sent: tuple[str | None, int]
) -> None:
    found = out(lake, (sent[0] or out(lake).identity, sent[1]))
    assert (found.replaces, ids(found)) == (True, [1, 2, 3])


def test_a_column_that_came_later_is_null_before(lake: Lake) -> None:
    lake.append("vectors", pa.table({"event_id": [4], "event_time": [40], "more": [1.5]}))
    rows = sorted((row for batch in out(lake).read(0, 1) for row in batch.to_pylist()), key=lambda row: row["event_id"])
    assert [row["more"] for row in rows] == [None, None, None, 1.5]
    assert str(out(lake).schema().field("event_time").type) == "timestamp[us, tz=UTC]"


def test_other_tables_and_versions_are_refused(lake: Lake) -> None:
    with pytest.raises(UserError, match="unknown table 'silver/orders'"):
        outgoing(lake.root, "bank", "silver/orders", None, None)
    with pytest.raises(UserError, match="there is no version 5 of 'vectors'"):
        out(lake, version=5)
    with pytest.raises(DataError, match="there is no table 'predictions'"):
        outgoing(lake.root.removesuffix("/bank"), "bank", "predictions", None, None)
