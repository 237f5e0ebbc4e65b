"""Events of one's own: what happened before is history, what happens after is produced, each event once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.fraud import pipeline as fraud
from feature_repo.handbook import pipeline as handbook
from sluice.clock import from_datetime
from sluice.declare.durations import DAY
from sluice.errors import DataError
from sluice.local.own_files import LiveDays, event_times, find_files, first_live_moment, write_history_file

pytestmark = pytest.mark.unit

FIRST = dt.datetime(2018, 4, 1, 6, tzinfo=dt.UTC).replace(tzinfo=None)
"""When transaction 0 happens, as the Handbook has it: without zone; number n happens n half days later."""


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "TRANSACTION_ID": number,
            "TX_DATETIME": FIRST + number * dt.timedelta(hours=12),
            "CUSTOMER_ID": number % 3,
            "TERMINAL_ID": 7,
            "TX_AMOUNT": 44.77 * 5,
            "TX_FRAUD": number % 2,
            "TX_FRAUD_SCENARIO": 3,
        }
        for number in range(count)
    ]


def file_of(folder: Path, listed: Sequence[dict[str, Any]]) -> Path:
    file = folder / "transactions.parquet"
    pq.write_table(pa.Table.from_pylist(list(listed)), file, row_group_size=7)
    return file


def live(file: Path, start: int) -> LiveDays:
    return LiveDays("handbook", (("transactions", str(file)),), start)


def midnight(day: int) -> int:
    return from_datetime(dt.datetime(2018, 4, 1, tzinfo=dt.UTC)) + day * DAY


def test_the_last_days_of_the_file_are_live(tmp_path: Path) -> None:
    files = {"transactions": file_of(tmp_path, rows(40))}
    assert first_live_moment(handbook, files, 14) == midnight(6)
    with pytest.raises(DataError, match="no history before the last 20 days"):
        first_live_moment(handbook, files, 20)


def test_history_and_live_days_hold_every_event_once(tmp_path: Path) -> None:
    file = file_of(tmp_path, reversed(rows(40)))
    kept = write_history_file(handbook.stream("transactions"), file, midnight(6), tmp_path / "history" / "a.parquet")
    before = pq.read_table(kept).column("TRANSACTION_ID").to_pylist()
    after = [message.id for message in live(file, midnight(6)).between(0, 14) if message.stream == "transactions"]
    assert before == list(reversed(range(12)))
    assert after == list(range(12, 40))


def test_a_live_event_has_the_declared_columns_and_nothing_of_its_label(tmp_path: Path) -> None:
    first = next(iter(live(file_of(tmp_path, rows(40)), midnight(6)).between(0, 1)))
    assert orjson.loads(first.payload) == {
        "TRANSACTION_ID": 12,
        "TX_DATETIME": "2018-04-07T06:00:00.000000Z",
        "CUSTOMER_ID": 0,
        "TERMINAL_ID": 7,
        "TX_AMOUNT": 44.77 * 5,
    }
    assert (first.stream, first.arrival, first.id) == ("transactions", midnight(6) + DAY // 4, 12)


def test_the_label_of_a_live_event_comes_when_it_is_known_and_those_of_history_do_not_come_again(
    tmp_path: Path,
) -> None:
    told = [
        message
        for message in live(file_of(tmp_path, rows(40)), midnight(6)).between(0, 14)
        if message.stream == "transactions_is_fraud"
    ]
    assert [message.id for message in told] == list(range(12, 26))
    assert orjson.loads(told[1].payload) == {
        "TRANSACTION_ID": 13,
        "is_fraud_time": "2018-04-14T18:00:00.000000Z",
        "TX_FRAUD": 1,
    }
    assert told[1].arrival == midnight(13) + 3 * DAY // 4


def test_days_follow_each_other_without_gap_or_overlap_in_order_of_arrival(tmp_path: Path) -> None:
    days = live(file_of(tmp_path, rows(40)), midnight(6))
    pieces = [message for first in range(14) for message in days.between(first, first + 1)]
    assert pieces == list(days.between(0, 14))
    assert [message.arrival for message in pieces] == sorted(message.arrival for message in pieces)


def test_a_label_that_is_not_there_is_not_told(tmp_path: Path) -> None:
    listed = [{**row, "TX_FRAUD": None if row["TRANSACTION_ID"] == 12 else 0} for row in rows(40)]
    told = [message.id for message in live(file_of(tmp_path, listed), midnight(6)).between(0, 14)]
    assert told.count(12) == 1
    assert told.count(13) == 2


def test_times_as_text_without_zone_are_utc_and_those_that_are_none_are_history(tmp_path: Path) -> None:
    column = pa.chunked_array([["2018-04-07 06:00:00", "2018-04-07T08:00:00+02:00", "soon", None]])
    least = -(2**63)
    assert event_times(column).tolist() == [midnight(6) + DAY // 4] * 2 + [least] * 2


def test_a_folder_has_a_file_of_each_stream(tmp_path: Path) -> None:
    for stream in fraud.streams:
        table = {stream.source(name): ["1"] for name in stream.all_columns}
        pq.write_table(pa.table(table), tmp_path / f"{stream.name}.parquet")
    assert find_files(fraud, tmp_path) == {
        "transactions": tmp_path / "transactions.parquet",
        "chargebacks": tmp_path / "chargebacks.parquet",
    }


def test_decimals_and_bytes_go_out_as_the_text_that_a_file_of_them_is_ingested_as(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(rows(40))
    exact = pa.array([f"{number}.25" for number in range(40)]).cast(pa.decimal128(10, 2))
    file = tmp_path / "transactions.parquet"
    pq.write_table(table.set_column(table.schema.get_field_index("TX_AMOUNT"), "TX_AMOUNT", exact), file)
    first = next(iter(live(file, midnight(6)).between(0, 1)))
    assert orjson.loads(first.payload)["TX_AMOUNT"] == "12.25"
