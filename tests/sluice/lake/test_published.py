"""What a backfill reads to go on from another: files of other batches and other times are not looked at."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from sluice.engine.encode import integers
from sluice.lake.published import Published
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import History
from tests.sluice.stream.payments import payments, pipeline

pytestmark = pytest.mark.integration


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Two batches, of which the files of the first have been taken away behind the log's back."""
    made, messages = History(tmp_path, pipeline), feed(seed=3, size=400)
    made.deliver("older", messages[:200])
    made.deliver("newer", messages[200:])
    for stream in pipeline.streams:
        held = deltalake.DeltaTable(made.lake.uri(f"silver/{stream.name}"))
        for row in pa.table(held.get_add_actions(flatten=True)).to_pylist():
            if row["max._batch"] == "older":
                (Path(made.lake.uri(f"silver/{stream.name}")) / row["path"]).unlink()
    return made


def test_what_has_arrived_is_read_from_its_own_files(history: History) -> None:
    first = next(row for row in history.lake.rows("batches") if row["batch"] == "newer")["silver_version"]
    assert first > 0
    arrived = Published(history.lake, pipeline, history.lake.version("batches"), after=1).all()
    assert {name: len(table) > 0 for name, table in arrived.items()} == {"payments": True, "disputes": True}


def test_a_span_of_time_is_read_from_the_files_that_have_some_of_it(history: History) -> None:
    everything = Published(history.lake, pipeline, history.lake.version("batches"))
    with pytest.raises(FileNotFoundError):
        everything.read(payments)
    held = deltalake.DeltaTable(history.lake.uri("silver/payments"))
    files = pa.table(held.get_add_actions(flatten=True)).to_pylist()
    last = max(row["max._time"] for row in files if row["max._batch"] == "older")

    found = everything.read(payments, _time=(last + 1, None))

    assert 0 < len(found) < 200
    assert integers(found.column("_time"))[0].min() > last
