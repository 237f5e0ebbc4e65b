"""Delta tables as deliveries: a version once, a later one for what is new in it, and lineage back to both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import DataError, UserError
from sluice.lake.delivered import repeated
from sluice.lake.delivery import Delivery
from sluice.lake.lineage.graph import Lineage
from sluice.lake.lineage.words import lines
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest
from tests.spark_jobs.deliveries import AT, Shop, order, orders

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def write(shop: Shop, rows: list[dict[str, Any]], **how: Any) -> Path:
    """One more version of a table of orders."""
    path = shop.folder / "warehouse"
    deltalake.write_deltalake(str(path), pa.Table.from_pylist(rows), mode=how.pop("mode", "append"), **how)
    return path


def at(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}@{version}")


def sources(shop: Shop) -> set[str]:
    return {source for (source,) in shop.silver("_source")}


def test_a_table_is_the_events_that_a_file_of_it_is(shop: Shop, tmp_path: Path) -> None:
    path = write(shop, orders(1, 10), partition_by=["channel"])
    assert shop.deliver("table", orders=path) is None
    assert shop.accounts().silver == 10
    (tmp_path / "other").mkdir()
    other = Shop(tmp_path / "other")
    other.deliver("file", orders=orders(1, 10))
    columns = ("order_id", "amount", "channel", "country", "_hash", "_time", "_known")
    assert sorted(shop.silver(*columns)) == sorted(other.silver(*columns))


def test_the_same_version_again_adds_nothing_in_any_batch(shop: Shop) -> None:
    path = write(shop, orders(1, 10))
    shop.deliver("one", orders=path)
    shop.deliver("one", orders=at(path, 0))
    shop.deliver("two", orders=at(path, 0))
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (10, 10, 0)
    assert list(repeated(shop.lake, "two")) == [
        f"{path}@0: landed already, with batch 'one'; nothing of it is added",
    ]


def test_a_later_version_adds_what_is_new_in_it_whatever_lies_between(shop: Shop) -> None:
    path = write(shop, orders(1, 4))
    write(shop, orders(5, 6))
    write(shop, orders(7, 9))
    shop.deliver("first", orders=at(path, 0))
    assert shop.deliver("third", orders=at(path, 2)) is None
    found = shop.accounts()
    assert (found.produced_bronze, found.silver) == (9, 9)
    assert [batch["rows"] for batch in shop.lake.published("orders")] == [4, 5]
    assert list(repeated(shop.lake, "third")) == [
        f"{path}@2: 1 of its 3 data files landed already, with batch 'first'; the others are added",
    ]


def test_an_older_version_after_a_newer_one_adds_nothing(shop: Shop) -> None:
    path = write(shop, orders(1, 4))
    write(shop, orders(5, 6))
    shop.deliver("new", orders=path)
    shop.deliver("old", orders=at(path, 0))
    assert shop.accounts().produced_bronze == 6


def test_rows_of_a_rewritten_file_are_the_same_events(shop: Shop) -> None:
    path = write(shop, orders(1, 4))
    write(shop, orders(5, 6))
    shop.deliver("one", orders=path)
    deltalake.DeltaTable(str(path)).optimize.compact()
    assert shop.deliver("compacted", orders=path) is None
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (12, 6, 6)


def test_what_a_table_corrects_comes_as_a_higher_revision(shop: Shop) -> None:
    path = write(shop, [{**one, "_revision": 0} for one in orders(1, 4)])
    write(shop, [{**order(2, amount=5.0), "_revision": 1}])
    shop.deliver("one", orders=at(path, 0))
    shop.waive("orders:count", "two")
    shop.deliver("two", orders=at(path, 1))
    assert [str(amount) for number, amount in shop.silver("order_id", "amount") if number == 2] == ["2.25", "5.00"]


def test_a_stopped_version_is_repaired_by_a_rename_and_then_is_history(shop: Shop) -> None:
    rows = [{**{name: value for name, value in one.items() if name != "amount"}, "total": 1.5} for one in orders(1, 4)]
    path = write(shop, rows)
    assert shop.deliver("a", orders=path) is not None
    with pytest.raises(UserError, match="the same bytes were delivered as batch 'a', which readers do not see"):
        shop.deliver("b", orders=path)
    assert shop.deliver("a", renamed={"orders": {"amount": "total"}}) is None
    assert shop.accounts().silver == 4


def test_a_damaged_data_file_leaves_nothing_of_the_delivery(shop: Shop) -> None:
    path = write(shop, orders(1, 4))
    write(shop, orders(5, 6))
    next(path.glob("*.parquet")).write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"data file .* cannot be read"):
        shop.deliver("a", orders=path)
    assert shop.lake.count("events/orders") == 0


def test_a_changed_byte_of_a_data_file_with_checksums_leaves_nothing_of_the_delivery(shop: Shop) -> None:
    path = write(shop, orders(1, 4))
    file = next(path.glob("*.parquet"))
    pq.write_table(pq.read_table(file), file, write_page_checksum=True, compression=None, use_dictionary=False)
    content, value = file.read_bytes(), b"\x03\x00\x00\x00web"
    assert content.count(value) == 4
    file.write_bytes(content.replace(value, value[:-1] + b"c", 1))
    with pytest.raises(DataError, match=r"data file .* cannot be read"):
        shop.deliver("a", orders=path)
    assert shop.lake.count("events/orders") == 0


def test_lineage_leads_to_the_table_and_the_version(shop: Shop) -> None:
    path = write(shop, orders(1, 4))
    shop.deliver("one", orders=path)
    write(shop, orders(5, 6))
    shop.waive("orders:count", "two")
    shop.deliver("two", orders=path)
    told = list(lines(Lineage(shop.lake).table("silver/orders")))
    tables = [line.partition(": data file ")[0].lstrip("├└│─ ") for line in told if "Delta table" in line]
    assert tables == [f"Delta table {path}@0", f"Delta table {path}@1"]
    assert ", rows up to 3, " in told[2]
    raw = list(lines(Lineage(shop.lake).table("events/orders")))
    assert [line for line in raw if f"{path}@1" in line]


def test_a_label_inside_the_rows_of_a_table_is_split_off(tmp_path: Path) -> None:
    uri = str(tmp_path / "lake")
    path = tmp_path / "table"
    rows = {
        "TRANSACTION_ID": [1, 2],
        "TX_DATETIME": ["2026-01-01 10:00:00", "2026-01-01 10:10:00"],
        "CUSTOMER_ID": [1, 1],
        "TERMINAL_ID": [1, 2],
        "TX_AMOUNT": [1.0, 2.5],
        "TX_FRAUD": [0, 1],
    }
    deltalake.write_deltalake(str(path), pa.table(rows))
    ingest(Here(), Delivery("handbook", uri, "one", AT, files=[("transactions", path)]))
    lake = Lake(uri, "handbook")
    assert lake.count("silver/transactions") == 2
    told = sorted((row["transaction_id"], row["is_fraud"]) for row in lake.rows("silver/transactions_is_fraud"))
    assert told == [(1, 0), (2, 1)]
    assert all(b"TX_FRAUD" not in row["payload"] for row in lake.rows("events/transactions"))


def test_a_table_without_the_column_of_its_label_is_refused(tmp_path: Path) -> None:
    deltalake.write_deltalake(str(tmp_path / "table"), pa.table({"TRANSACTION_ID": [1]}))
    delivery = Delivery("handbook", str(tmp_path / "lake"), "one", AT, files=[("transactions", tmp_path / "table")])
    with pytest.raises(DataError, match="from which the label 'is_fraud' is told"):
        ingest(Here(), delivery)
