"""Values computed from files to a file: every event's, of a file of one stream and of a folder with several."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import deltalake
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.engine.vectors import vectors
from sluice.engine.versions import settled
from sluice.errors import DataError, UserError
from sluice.lake.computing import compute, request
from sluice.lake.event_tables import enter_all
from sluice.lake.pieces import Piece
from sluice.lake.workers import Here
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
    done = compute(Here(), request(str(FILE), folder, out, str(folder / "lake")))

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

    done = compute(Here(), request(str(FILE), folder, folder / "values.parquet", str(folder / "lake")))

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
        compute(Here(), request(str(FILE), folder, folder / "out.parquet", "lake"))
    assert not (folder / "out.parquet").exists()


def test_what_is_computed_in_slices_is_what_is_computed_at_once(folder: Path) -> None:
    """Events of all sorts: some sent twice, some with two payloads, with disputes in a file of their own."""
    payments = pq.read_table(folder / "payments.parquet")
    dearer = payments.column("amount").to_pylist()[30:90]
    other = payments.slice(30, 60).set_column(
        payments.schema.get_field_index("amount"), "amount", pa.array(dearer[::-1])
    )
    everything = pa.concat_tables([payments, payments.slice(50, 60), other])
    pq.write_table(everything, folder / "payments.parquet", row_group_size=40)
    whole = compute(Here(), request(str(FILE), folder, folder / "whole.parquet", "lake"))

    dealt = compute(Here(), request(str(FILE), folder, folder / "dealt.parquet", "lake"), at_once=0, size=70)

    written = pq.read_table(folder / "dealt.parquet")
    assert written.equals(pq.read_table(folder / "whole.parquet"))
    assert (dealt.rows, dealt.events, dealt.refused) == (whole.rows, whole.events, whole.refused)
    refused = [pq.read_table(folder / f"{name}.refused.parquet") for name in ("whole", "dealt")]
    assert refused[0].equals(refused[1])
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_delta_table_with_the_label_inside_is_computed_in_slices_to_a_delta_table(tmp_path: Path) -> None:
    rows = cards(900)
    pq.write_table(rows, tmp_path / "all.parquet")
    for begin in (300, 0, 600):
        deltalake.write_deltalake(tmp_path / "cards", rows.slice(begin, 300), mode="append")
    compute(Here(), request("handbook", tmp_path / "all.parquet", tmp_path / "whole.parquet", "lake"))

    for _ in range(2):
        done = compute(Here(), request("handbook", tmp_path / "cards", tmp_path / "out", "lake"), at_once=0, size=250)

    found = deltalake.DeltaTable(tmp_path / "out").to_pyarrow_table().sort_by("transaction_id")
    assert found.equals(pq.read_table(tmp_path / "whole.parquet"))
    assert done.events == 899
    assert done.refused == {"transactions": {"range amount": 1}}


def test_an_entity_with_more_rows_than_a_task_holds_is_computed_by_spans_of_time(tmp_path: Path) -> None:
    rows = cards(900, customers=1)
    pq.write_table(rows, tmp_path / "cards.parquet", row_group_size=100)
    compute(Here(), request("handbook", tmp_path / "cards.parquet", tmp_path / "whole.parquet", "lake"))
    workers = Counting()

    done = compute(
        workers, request("handbook", tmp_path / "cards.parquet", tmp_path / "cut.parquet", "lake"), at_once=0, size=100
    )

    assert pq.read_table(tmp_path / "cut.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert done.events == 899
    spans = [piece for piece in workers.work if isinstance(piece, Piece) and piece.number]
    assert [piece.number for piece in spans if piece.view == "customer"] == [1, 2, 3, 4]


class Counting(Here):
    """Keeps what it was given to do."""

    def __init__(self) -> None:
        self.work: list[Any] = []

    def each(self, task, work, *, rows):
        self.work += work
        return super().each(task, work, rows=rows)


def cards(count: int, customers: int = 9) -> pa.Table:
    """Transactions as in the Handbook, one of them with an amount that nobody can have paid."""
    chance = random.Random(3)
    moments = sorted(chance.randrange(60 * 86_400) for _ in range(count))
    return pa.table(
        {
            "TRANSACTION_ID": pa.array(range(count)),
            "TX_DATETIME": pa.array([1_522_540_800_000_000 + one * 1_000_000 for one in moments], pa.timestamp("us")),
            "CUSTOMER_ID": pa.array([chance.randrange(customers) for _ in moments]),
            "TERMINAL_ID": pa.array([chance.randrange(5) for _ in moments]),
            "TX_AMOUNT": pa.array([chance.randrange(10_000) / 100 if place != 77 else -1.0 for place in range(count)]),
            "TX_FRAUD": pa.array([int(chance.random() < 0.1) for _ in moments]),
        }
    )
