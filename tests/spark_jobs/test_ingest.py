"""Files into history: once, whole or not at all, and every row accounted for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.engine.versions import settled
from sluice.errors import UserError
from sluice.lake.accounts import accounts
from sluice.lake.delivery import Delivery
from sluice.lake.within import between
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest
from tests.spark_jobs.deliveries import AT, FILE, HOUR, Shop, order, orders, returned

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def verdicts(shop: Shop) -> set[tuple[str, str, str, str]]:
    rows = shop.lake.rows("verdicts")
    return {(row["batch"], row["stream"], row["rule"], row["verdict"]) for row in rows}


def test_a_file_becomes_history(shop: Shop) -> None:
    assert shop.deliver("a", orders=orders(1, 5), returns=[returned(2), returned(3)]) is None
    assert shop.silver("order_id", "amount", "_time", "_known", "_watermark", "_batch")[1] == (
        2,
        pytest.approx(2.25),
        AT - 38 * 60_000_000,
        AT - 38 * 60_000_000,
        None,
        "a",
    )
    assert shop.silver("return_id", "returned", stream="returns") == [(1002, 1), (1003, 1)]
    assert shop.accounts().silver == 5
    assert shop.accounts("returns").silver == 2
    assert {verdict for *_, verdict in verdicts(shop)} == {"pass"}


def test_the_same_file_again_adds_nothing_under_any_name_and_in_any_batch(shop: Shop) -> None:
    path = shop.file("one", orders(1, 5))
    copy = shop.folder / "copy.parquet"
    copy.write_bytes(path.read_bytes())
    shop.deliver("a", orders=(path, copy))
    shop.deliver("a", orders=path)
    shop.deliver("b", orders=copy)
    assert [batch["batch"] for batch in shop.lake.published("orders")] == ["a"]
    assert shop.accounts().produced_bronze == 5


def test_a_delivery_looks_at_no_file_of_those_before_it(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 5))
    shop.deliver("b", orders=orders(6, 10))
    old = [
        path for table in ("events", "silver") for path in Path(shop.lake.uri(f"{table}/orders")).glob("*/*.parquet")
    ]
    for path in old:
        path.rename(path.with_suffix(".away"))
    assert shop.deliver("c", orders=orders(11, 15)) is None
    assert shop.lake.count("silver/orders", within=between(order_id=(11, 15))) == 5
    for path in old:
        path.with_suffix(".away").rename(path)
    assert (len(old), shop.accounts().silver, shop.accounts().missing) == (6, 15, 0)


def test_a_closed_batch_takes_no_new_file_and_nothing_of_it_lands(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 5))
    with pytest.raises(UserError, match="batch 'a' is closed, and orders would get new files"):
        shop.deliver("a", orders=orders(6, 9))
    assert shop.accounts().produced_bronze == 5
    assert shop.deliver("a", returns=[returned(1), returned(2)]) is None  # it was never delivered for this stream


def test_events_that_come_again_are_duplicates_within_and_across_batches(shop: Shop) -> None:
    shop.deliver("a", orders=[*orders(1, 5), order(2), order(3)])
    shop.deliver("b", orders=[order(3), order(9), order(9)])
    assert [batch["duplicates"] for batch in shop.lake.published("orders")] == [2, 2]
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.duplicates) == (10, 6, 4)


def test_other_bytes_under_one_id_conflict_and_the_greater_hash_stands_whatever_came_first(tmp_path: Path) -> None:
    kept = set()
    for turn in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0], [2.0, 3.0, 1.0]):
        shop = Shop(tmp_path / str(turn[0]))
        shop.folder.mkdir()
        shop.deliver("a", orders=[order(1, amount=turn[0]), order(1, amount=turn[1]), order(7)])
        shop.deliver("b", orders=[order(1, amount=turn[2]), order(8)])
        found = shop.accounts()
        assert (found.silver, found.conflicts, found.duplicates) == (3, 2, 0)
        standing = settled(shop.lake.read("silver/orders"))
        kept.add(str(standing.filter(pa.compute.equal(standing.column("_id"), 1)).column("amount").to_pylist()))
    assert len(kept) == 1


def test_a_conflict_leaves_a_row_that_names_the_hash_that_stands_and_the_one_that_was_dropped(shop: Shop) -> None:
    shop.deliver("a", orders=[order(1, amount=1.0), order(2)])
    shop.deliver("b", orders=[order(1, amount=2.0), order(1, amount=3.0)])
    rows = shop.lake.rows("conflicts/orders")
    hashes = {row[0] % 2**64 for row in shop.silver("_hash", "_id") if row[1] == 1}
    assert {(row["_id"], row["_revision"], row["_batch"]) for row in rows} == {(1, 0, "b")}
    assert {row["_dropped"] % 2**64 for row in rows} == hashes - {max(hashes)}
    assert max(row["_kept"] % 2**64 for row in rows) == max(hashes)
    assert all(row["_kept"] % 2**64 > row["_dropped"] % 2**64 for row in rows)
    assert all(row["_hash"] in {row["_kept"], row["_dropped"]} for row in rows)


def test_a_higher_revision_replaces_and_a_delete_removes(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 3))
    corrections = [
        order(1, amount=99.0, _revision=1, _op="put"),
        {"order_id": 2, "ordered_at": "2026-01-01 10:02:00", "_revision": 1, "_op": "delete"},
    ]
    shop.deliver("b", orders=corrections)
    standing = settled(shop.lake.read("silver/orders")).select(["order_id", "amount"]).to_pylist()
    assert {row["order_id"]: float(row["amount"]) for row in standing} == {1: 99.0, 3: 3.25}
    found = shop.accounts()
    assert (found.silver, found.superseded, found.conflicts) == (3, 2, 0)


def test_the_same_bytes_put_and_deleted_are_two_versions(shop: Shop) -> None:
    shop.deliver("a", orders=[order(1), order(2)])
    shop.deliver("b", orders=[order(1, _op="delete"), order(3, _op="put")])
    assert set(settled(shop.lake.read("silver/orders")).column("_id").to_pylist()) == {2, 3}
    assert shop.accounts().conflicts == 1


def test_refused_rows_are_kept_with_rule_value_and_place(shop: Shop) -> None:
    rows = [*orders(1, 7), order(8, channel="phone"), order(9, amount=-1.0)]
    shop.deliver("a", orders=rows)
    refused = sorted(shop.lake.rows("quarantine/orders"), key=lambda row: row["position"])
    assert [(row["rule"], row["column"], row["value"], row["position"], row["_batch"]) for row in refused] == [
        ("category", "channel", '"phone"', 7, "a"),
        ("range", "amount", "-1.0", 8, "a"),
    ]
    assert json.loads(refused[0]["payload"])["order_id"] == 8
    assert shop.accounts().quarantined == {"category": 1, "range": 1}


def test_a_schema_break_stops_the_batch_and_a_rename_repairs_it(shop: Shop) -> None:
    broken = [{("total" if name == "amount" else name): value for name, value in row.items()} for row in orders(1, 6)]
    stopped = shop.deliver("a", orders=broken, returns=[returned(1), returned(2)])
    assert "orders: quarantined: 100.00% of the rows refused (missing 6)" in str(stopped)
    assert "amount is null, not a value" in str(stopped)
    assert "returns: foreign_keys: 100.00% of 2 foreign keys without a parent" in str(stopped)
    assert "--rename" in str(stopped)
    for table in ("silver", "quarantine", "late", "conflicts"):
        assert shop.lake.count(f"{table}/orders") == 0
    assert shop.accounts().held == 6
    assert ("a", "orders", "quarantined", "stop") in verdicts(shop)

    assert shop.deliver("a", renamed={"orders": {"amount": "total"}}) is None
    found = shop.accounts()
    assert (found.produced_bronze, found.silver, found.held) == (6, 6, 0)
    assert shop.accounts("returns").silver == 2
    assert ("a", "orders", "quarantined", "pass") in verdicts(shop)
    assert json.loads(shop.lake.published("orders")[0]["renamed"]) == {"amount": "total"}


def columns(shop: Shop, batch: str) -> tuple[str, str]:
    """What the gate `columns` found of a batch of orders."""
    row = next(row for row in shop.lake.rows("verdicts") if (row["batch"], row["rule"]) == (batch, "columns"))
    return row["verdict"], row["message"]


def test_a_column_more_and_a_nullable_one_less_are_told_by_name(shop: Shop) -> None:
    def without_gift(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != "gift"}

    assert shop.deliver("a", orders=orders(1, 4)) is None
    assert shop.deliver("b", orders=[order(n, loyalty="gold") for n in range(5, 9)]) is None
    assert shop.deliver("c", orders=[without_gift(order(n)) for n in range(9, 13)]) is None
    gone = {"order_id": 1, "ordered_at": "2026-01-01 10:01:00", "_revision": 1, "_op": "delete"}
    assert shop.deliver("d", orders=[gone, {**gone, "order_id": 2, "ordered_at": "2026-01-01 10:02:00"}]) is None
    assert [columns(shop, name) for name in "abcd"] == [
        ("pass", "those that are declared"),
        ("warn", "nobody declared 'loyalty' (in 100.00% of the rows)"),
        ("warn", "no row has 'gift'"),
        ("pass", "those that are declared"),
    ]


def test_values_that_go_missing_stop_the_batch_and_one_that_a_person_let_in_becomes_usual(shop: Shop) -> None:
    for number in range(3):
        assert shop.deliver(str(number), orders=orders(30 * number + 1, 30 * number + 30)) is None
    empty = [order(number, gift=None) for number in range(101, 121)] + orders(121, 130)
    told = "orders: missing: 'gift' is missing in 66.67% of the rows, in 0.00% of those before"
    assert told in str(shop.deliver("3", orders=empty))
    assert shop.accounts().held == 30
    assert told in str(shop.deliver("4", orders=[{**row, "order_id": row["order_id"] + 100} for row in empty]))
    shop.waive("orders:missing", "3")
    assert shop.deliver("3") is None
    few = [order(number, gift=None) for number in range(301, 308)] + orders(308, 330)
    assert shop.deliver("5", orders=few) is None  # 23 % after 17 %


def test_a_renamed_column_is_both_until_the_delivery_says_so(shop: Shop) -> None:
    called = [{("present" if name == "gift" else name): value for name, value in row.items()} for row in orders(1, 4)]
    assert shop.deliver("a", orders=called, renamed={"orders": {"gift": "present"}}) is None
    assert columns(shop, "a") == ("pass", "those that are declared")
    again = [{**row, "order_id": row["order_id"] + 10} for row in called]
    assert shop.deliver("b", orders=again) is None
    assert columns(shop, "b") == (
        "warn",
        "nobody declared 'present' (in 100.00% of the rows); no row has 'gift'",
    )


def test_a_stopped_batch_may_be_delivered_mended_as_another_and_stays_held(shop: Shop) -> None:
    shop.deliver("a", orders=[order(n, channel="phone") for n in range(1, 5)])
    assert shop.deliver("a-mended", orders=orders(1, 4)) is None
    found = shop.accounts()
    assert (found.produced_bronze, found.held, found.silver) == (8, 4, 4)


def test_a_stopped_stream_does_not_stop_the_others(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 4))
    stopped = shop.deliver("b", orders=[order(5, channel="phone"), order(6)], returns=[returned(1), returned(2)])
    assert "orders: quarantined" in str(stopped)
    assert "returns" not in str(stopped)
    assert shop.accounts("returns").silver == 2


def test_too_few_rows_old_rows_and_orphans_stop_until_a_person_waives_it(shop: Shop) -> None:
    later = AT + 25 * HOUR
    stopped = shop.deliver("a", later, orders=[order(1)], returns=[returned(1), returned(9)])
    assert "orders: count: 1 rows, at least 2 expected" in str(stopped)
    assert "orders: freshness: newest event 2026-01-01T10:01:00Z, at most 1d before 2026-01-02T11:40:00Z" in str(
        stopped
    )
    assert "returns: foreign_keys" in str(stopped)
    shop.waive("orders:count", "a", later)
    shop.waive("orders:freshness", "a", later)
    shop.waive("returns:foreign_keys", "another", later)
    assert "returns: foreign_keys" in str(shop.deliver("a", later))
    assert shop.accounts().silver == 1
    shop.waive("returns:foreign_keys", None, later)
    assert shop.deliver("a", later) is None
    assert shop.accounts("returns").silver == 2
    assert ("a", "orders", "count", "warn") in verdicts(shop)
    told = {row["message"] for row in shop.lake.rows("verdicts") if row["verdict"] == "warn"}
    assert (
        "waived by Ada until 2026-01-02T12:40:00Z (a holiday): 1 rows, at least 2 expected; "
        "fewer than 4 batches to compare with"
    ) in told


def test_a_foreign_key_finds_its_parent_in_history_and_in_the_same_delivery_and_null_needs_none(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 4))
    nameless = returned(3, return_id=1, order_id=None)
    assert shop.deliver("b", orders=orders(5, 8), returns=[returned(1), returned(5), nameless]) is None
    finding = json.loads(
        next(
            row["evidence"]
            for row in shop.lake.rows("verdicts")
            if (row["stream"], row["rule"]) == ("returns", "foreign_keys")
        )
    )
    assert finding["share"] == 0
    gone = {"return_id": 1001, "told_at": "2026-01-01 10:39:30", "_revision": 1, "_op": "delete"}
    assert shop.deliver("c", returns=[gone, {**gone, "return_id": 1005}]) is None  # a delete names no parent


def test_a_file_without_rows_is_a_batch_of_none(shop: Shop) -> None:
    path = shop.folder / "empty.parquet"
    pq.write_table(pa.Table.from_pylist(orders(1, 1)).slice(0, 0), path)
    assert "orders: count: 0 rows, at least 2 expected" in str(shop.deliver("a", orders=path))
    shop.waive("orders:count", "a")
    assert shop.deliver("a", orders=path) is None
    assert shop.lake.published("orders")[0]["rows"] == 0


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"orders": Path("/nowhere/a.parquet")}, "there is no such file"),
        ({"renamed": {"orders": {"amont": "total"}}}, "did you mean 'amount'"),
        ({"renamed": {"order": {"amount": "total"}}}, "did you mean 'orders'"),
        ({}, r"unknown batch 'b'\n  allowed: none yet\n  next: deliver it: sluice ingest \S+ STREAM=FILE --batch b$"),
        ({"batch": ""}, "a batch has a name"),
        ({"orders": Path("a.parquet"), "from_bronze": True}, "files and the archive are two deliveries"),
    ],
)
def test_a_delivery_that_says_something_impossible_is_the_callers_mistake(
    shop: Shop, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        shop.deliver(**{"batch": "b", **how})
    assert shop.lake.version("events/orders") == -1


def test_a_lake_and_a_pipeline_may_lie_anywhere(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "a folder, übrigens")
    shop.folder.mkdir()
    shop.deliver("a", orders=orders(1, 4))
    shop.deliver("b", orders=[order(1, amount=9.0), order(2), order(7)])
    found = shop.accounts()
    assert (found.silver, found.conflicts, found.duplicates) == (5, 1, 1)


def test_a_label_inside_the_row_is_as_fresh_as_its_event_however_the_pipeline_is_named(tmp_path: Path) -> None:
    rows = [
        {
            "TRANSACTION_ID": n,
            "TX_DATETIME": f"2026-01-01 10:{n:02}:00",
            "CUSTOMER_ID": 1,
            "TERMINAL_ID": 2,
            "TX_AMOUNT": 44.77 * 5,
            "TX_FRAUD": label,
        }
        for n, label in enumerate([0, 1, None])
    ]
    file = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist(rows), file)
    path = str(Path(__file__).parents[2] / "feature_repo" / "handbook.py")
    for name, reference in (("registered", "handbook"), ("path", path)):
        delivery = Delivery(reference, str(tmp_path / name), "a", AT, files=[("transactions", file)])
        ingest(Here(), delivery)
        lake = delivery.tables()
        assert {str(row["amount"]) for row in lake.rows("silver/transactions")} == {"223.85"}
        told = lake.rows("silver/transactions_is_fraud")
        assert [(row["is_fraud"], str(row["is_fraud_time"])[:16]) for row in told] == [
            (0, "2026-01-08 10:00"),
            (1, "2026-01-08 10:01"),
        ]
        assert {row["verdict"] for row in lake.rows("verdicts")} == {"pass"}
        for stream, count in (("transactions", 3), ("transactions_is_fraud", 2)):
            found = accounts(lake, stream)
            assert (found.silver, found.missing) == (count, 0)


def test_however_small_the_tasks_the_outcome_is_the_same(tmp_path: Path) -> None:
    rows = [*orders(1, 20), order(3), order(4, amount=1.0), order(30, channel="phone"), order(7)]
    told = []
    for size in (250_000, 7, 1):
        shop = Shop(tmp_path / str(size))
        shop.folder.mkdir()
        shop.deliver("a", orders=rows[:15], rows_per_task=size)
        shop.deliver("b", orders=(shop.file("x", rows[15:20]), shop.file("y", rows[20:])), rows_per_task=size)
        columns = ("_id", "_revision", "_hash", "_op", "_time", "_known", "_position", "_batch")
        batches = [
            {
                name: batch[name]
                for name in ("rows", "accepted", "duplicates", "conflicts", "late", "quarantined", "sources")
            }
            for batch in shop.lake.published("orders")
        ]
        told.append((Counter(shop.silver(*columns)), batches, shop.accounts()))
        assert not list((shop.folder / "lake" / "shop" / "work").glob("*/*"))
    assert told[0] == told[1] == told[2]


def test_the_accounts_notice_one_lost_and_one_doubled_row(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 9))
    one = shop.lake.read("silver/orders").slice(0, 1)
    shop.lake.append("silver/orders", one)
    assert accounts(shop.lake, "orders").missing == -1
    table = shop.lake.open("silver/orders")
    assert table is not None
    table.delete("order_id = 9")
    assert accounts(shop.lake, "orders").missing == 0  # one too many and one too few
    table.update_incremental()
    table.delete("order_id = 8")
    assert accounts(shop.lake, "orders").missing == 1


def graceful(folder: Path, grace: str) -> Path:
    """The shop's declaration, with time for a return to find its order."""
    path = folder / "graceful.py"
    path.write_text(FILE.read_text().replace("max_orphans=0.1", f'max_orphans=0.1, grace="{grace}"'))
    return path


def found_keys(shop: Shop, batch: str) -> str:
    """What the gate of foreign keys said of the returns of a batch."""
    rows = [row for row in shop.lake.rows("verdicts") if (row["batch"], row["stream"]) == (batch, "returns")]
    return next(str(row["message"]) for row in rows if row["rule"] == "foreign_keys")


def test_a_late_parent_has_the_grace_that_is_declared_and_no_more(tmp_path: Path) -> None:
    shop = Shop(tmp_path, file=graceful(tmp_path, "2h"))
    early = [returned(number, told_at="2026-01-01 10:30:00") for number in range(1, 11)]
    assert shop.deliver("a", orders=orders(1, 2), returns=early) is None
    assert found_keys(shop, "a") == (
        "0.00% of 2 foreign keys without a parent, at most 10.00%; 8 more have until 2h after their event"
    )
    assert shop.deliver("b", at=AT + HOUR, orders=orders(3, 10)) is None
    assert shop.deliver("c", at=AT + 3 * HOUR, orders=orders(11, 14), returns=[returned(11), returned(12)]) is None
    assert found_keys(shop, "c") == "0.00% of 12 foreign keys without a parent, at most 10.00%"


def test_an_orphan_older_than_the_grace_stops_the_next_batch(tmp_path: Path) -> None:
    shop = Shop(tmp_path, file=graceful(tmp_path, "2h"))
    early = [returned(number, told_at="2026-01-01 10:30:00") for number in range(1, 11)]
    assert shop.deliver("a", orders=orders(1, 2), returns=early) is None
    stopped = shop.deliver("c", at=AT + 3 * HOUR, orders=orders(11, 14), returns=[returned(11), returned(12)])
    assert stopped is not None
    assert "returns: foreign_keys: 66.67% of 12 foreign keys without a parent, at most 10.00%" in str(stopped)


def test_ten_times_the_rows_are_a_stop_and_no_row_is_lost(shop: Shop) -> None:
    for day in range(1, 6):
        first = 100 * day
        rows = [order(first + number, ordered_at=f"2026-01-0{day} 10:00:00") for number in range(4)]
        assert shop.deliver(f"day-{day}", at=AT + (day - 1) * 24 * HOUR, orders=rows) is None
    rows = [order(1_000 + number, ordered_at="2026-01-06 10:00:00") for number in range(40)]
    stopped = shop.deliver("day-6", at=AT + 5 * 24 * HOUR, orders=rows)
    assert "count: 40 rows, at least 2 expected; 4 are usual in a batch, 1 to 20 allowed" in str(stopped)
    assert (shop.accounts().held, shop.accounts().silver) == (40, 20)


def day_of(number: int, scale: float = 1.0) -> list[dict[str, Any]]:
    """Three hundred orders of a day of January, whose amounts are spread from nothing to ten times `scale`."""
    return [
        order(
            1_000 * number + place,
            ordered_at=f"2026-01-{number:02} {place % 24:02}:10:00",
            amount=round((place % 100 + 1) / 10 * scale, 2),
            country=("DE", "FR")[place % 3 == 0],
        )
        for place in range(300)
    ]


def test_values_that_move_stop_the_batch_and_do_not_become_what_is_usual(shop: Shop) -> None:
    later = AT + 14 * HOUR
    assert shop.deliver("first", at=later, orders=day_of(1)) is None
    assert shop.deliver("second", at=later + 24 * HOUR, orders=day_of(2)) is None
    stopped = shop.deliver("third", at=later + 48 * HOUR, orders=day_of(3, scale=20))
    assert "orders: distribution: values have moved from those of the 28d before: 'amount' (PSI" in str(stopped)
    days = {(row["day"] // (24 * HOUR), row["column"], row["rows"]) for row in shop.lake.rows("baselines/orders")}
    first = AT // (24 * HOUR)
    names = ("amount", "channel", "country", "gift", "items")
    assert days == {(first + day, name, 300) for day in (0, 1) for name in names}
    shop.waive("orders:distribution", "third", later + 48 * HOUR)
    assert shop.deliver("third", at=later + 48 * HOUR) is None
    assert shop.lake.count("baselines/orders") == 15
