from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import UserError
from sluice.local.simulator import (
    CHARGEBACKS,
    TRANSACTIONS,
    Injections,
    SchemaBreak,
    simulate,
    write_history,
    write_repair,
)

pytestmark = pytest.mark.unit

COLUMNS = TRANSACTIONS.names


@pytest.fixture(scope="module")
def history(troubled, tmp_path_factory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("history")
    return folder, write_history(troubled, folder, until_day=45)


def test_there_is_a_file_per_stream_and_day(history):
    folder, paths = history
    transactions = [path for path in paths if path.parent.name == "transactions"]
    assert transactions[0] == folder / "transactions" / "2026-01-01.parquet"
    assert transactions[-1] == folder / "transactions" / "2026-02-14.parquet"
    assert len(transactions) == 45
    assert {path.parent.name for path in paths} == {"transactions", "chargebacks"}
    assert sorted(folder.rglob("*.parquet")) == sorted(paths)


def test_the_files_hold_every_row_that_arrives_before_the_live_days(troubled, history):
    for stream in ("transactions", "chargebacks"):
        rows = sum(pq.read_metadata(path).num_rows for path in history[1] if path.parent.name == stream)
        assert rows == troubled.tally(stream, 0, 45).produced


def test_a_file_has_the_streams_own_columns_and_nothing_of_the_truth(history):
    schemas = {"transactions": TRANSACTIONS, "chargebacks": CHARGEBACKS}
    for path in history[1]:
        if (path.parent.name, path.stem) != ("transactions", "2026-01-21"):
            assert pq.read_schema(path).equals(schemas[path.parent.name])


def test_malformed_rows_survive_in_files_as_nulls_and_impossible_values(troubled, history):
    whole = [p for p in history[1] if p.parent.name == "transactions" and p.stem != "2026-01-21"]
    frame = pa.concat_tables([pq.read_table(path) for path in whole]).to_pandas()
    empty = frame.isna().all(axis=1)
    before, after = troubled.tally("transactions", 0, 20).malformed, troubled.tally("transactions", 21, 45).malformed
    expected = {kind: before[kind] + after[kind] for kind in before}
    assert expected == {
        "unparsable": empty.sum(),
        "missing_id": (frame.transaction_id.isna() & ~empty).sum(),
        "negative_amount": (frame.amount < 0).sum(),
        "unknown_channel": (frame.channel == "phone").sum(),
        "null_time": (frame.event_time.isna() & ~empty).sum(),
    }


def test_writing_again_makes_the_same_bytes(troubled, history, tmp_path):
    again = write_history(troubled, tmp_path, until_day=45)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in history[1]]


def test_the_broken_file_has_a_renamed_column_and_the_repaired_one_has_not(troubled, history, tmp_path):
    broken = pq.read_table(history[0] / "transactions" / "2026-01-21.parquet")
    assert broken.column_names == [*COLUMNS[:4], "amount_2", *COLUMNS[5:]]
    whole = pq.read_table(write_repair(troubled, tmp_path, until_day=45))
    assert whole.schema == TRANSACTIONS
    assert whole.rename_columns(broken.column_names).equals(broken)


def test_a_retyped_column_is_text(troubled, tmp_path):
    flaw = SchemaBreak(day=3, how="retype")
    simulation = simulate(troubled.world, Injections(schema_break=flaw))
    broken = pq.read_table(write_history(simulation, tmp_path, until_day=4, from_day=3)[0])
    assert broken.schema.field("amount").type == pa.string()
    assert [float(text) for text in broken["amount"].to_pylist()] == simulation.arriving("transactions", 3, 4)[
        "amount"
    ].to_pylist()


def test_a_break_of_the_second_stream_spoils_its_file_only(troubled, tmp_path):
    flaw = SchemaBreak(day=30, stream="chargebacks", column="is_fraud")
    simulation = simulate(troubled.world, replace(troubled.injections, schema_break=flaw))
    first, second = write_history(simulation, tmp_path, until_day=31, from_day=30)
    assert pq.read_schema(first) == TRANSACTIONS
    assert pq.read_schema(second).names == ["chargeback_id", "reported_time", "transaction_id", "is_fraud_2"]


def test_weekly_files_hold_seven_days_and_the_last_one_the_rest(troubled, tmp_path):
    paths = write_history(troubled, tmp_path, until_day=45, days_per_file=7)
    transactions = [path for path in paths if path.parent.name == "transactions"]
    assert [path.stem for path in transactions] == [
        "2026-01-01",
        "2026-01-08",
        "2026-01-15",
        "2026-01-22",
        "2026-01-29",
        "2026-02-05",
        "2026-02-12",
    ]
    assert pq.read_metadata(transactions[-1]).num_rows == troubled.tally("transactions", 42, 45).produced
    repaired = write_repair(troubled, tmp_path / "repair", until_day=45, days_per_file=7)
    assert repaired.name == "2026-01-15.parquet"
    assert pq.read_metadata(repaired).num_rows == troubled.tally("transactions", 14, 21).produced


def test_without_a_break_there_is_nothing_to_repair(quiet, tmp_path):
    with pytest.raises(UserError, match="there is no schema break to repair"):
        write_repair(quiet, tmp_path, until_day=45)
