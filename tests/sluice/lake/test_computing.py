"""Values computed from files to a file: every event's, of a file of one stream and of a folder with several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.engine.history import settled
from sluice.engine.vectors import vectors
from sluice.errors import DataError, UserError
from sluice.lake.computing import compute, request
from sluice.lake.event_tables import enter_all
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import FILE
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Payments and disputes of a feed as parquet files, those that can be read at all."""
    messages = [message for message in feed(seed=5, size=300) if not message.headers]
    for stream in pipeline.streams:
        rows = [found for one in messages if one.stream == stream.name and (found := readable(one.payload))]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{stream.name}.parquet")
    return tmp_path


def readable(payload: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or any(isinstance(row.get(name), str) for name in ("card", "amount")):
        return None
    return row


def test_every_event_of_a_folder_gets_the_kernels_vector(folder: Path) -> None:
    out = folder / "deep" / "values.parquet"
    done = compute(request(str(FILE), folder, out, str(folder / "lake")))

    tables = {stream.name: pq.read_table(folder / f"{stream.name}.parquet") for stream in pipeline.streams}
    events = {name: found.events for name, found in enter_all(pipeline, tables).items()}
    scored = settled(events["payments"])
    expected = vectors(pipeline, events, scored)
    written = pq.read_table(out)
    assert written.column_names == ["payment_id", *(place.name for place in pipeline.features)]
    assert written.column("payment_id").to_pylist() == scored.column("_id").to_pylist()
    assert written.drop(["payment_id"]).equals(expected)
    assert done.events == len(written) > 150
    assert done.rows == {name: len(table) for name, table in tables.items()}


def test_refused_rows_are_written_beside_the_values_with_the_reason(folder: Path) -> None:
    payments = pq.read_table(folder / "payments.parquet")
    place = payments.schema.get_field_index("amount")
    amounts = payments.column("amount").to_pylist()
    amounts[7] = 1e9
    pq.write_table(payments.set_column(place, "amount", pa.array(amounts)), folder / "payments.parquet")

    done = compute(request(str(FILE), folder, folder / "values.parquet", str(folder / "lake")))

    refused = pq.read_table(folder / "values.refused.parquet").to_pylist()
    assert {
        "stream": "payments",
        "row": 7,
        "column": "amount",
        "rule": "range",
        "value": "1000000000.0",
        "allowed": "0 to 10000",
    } in refused
    assert done.refused["payments"]["range amount"] >= 1
    assert done.refused_file == str(folder / "values.refused.parquet")
    assert sum(sum(reasons.values()) for reasons in done.refused.values()) == len(refused)


def test_a_pipeline_of_several_streams_needs_a_folder(folder: Path) -> None:
    with pytest.raises(UserError, match=r"one file is not enough(.|\n)*name a folder with payments.parquet, disputes"):
        request(str(FILE), folder / "payments.parquet", folder / "out.parquet", "lake")
    (folder / "disputes.parquet").unlink()
    with pytest.raises(UserError, match=r"disputes.parquet: there is no such file"):
        request(str(FILE), folder, folder / "out.parquet", "lake")


def test_what_is_no_parquet_file_is_told_and_nothing_is_written(folder: Path) -> None:
    (folder / "payments.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="it is no parquet file"):
        compute(request(str(FILE), folder, folder / "out.parquet", "lake"))
    assert not (folder / "out.parquet").exists()
