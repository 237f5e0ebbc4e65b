"""Files that are cut off, damaged, or written otherwise than is read: a clear word, and nothing of them stays."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import DataError
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import controlled, shown
from tests.spark_jobs.deliveries import AT, Shop, orders
from tests.spark_jobs.test_fuzz import refusal

pytestmark = pytest.mark.integration

HEADER = b"order_id,ordered_at,customer,amount,channel\n"
LINE = b"1,2026-01-01 10:01:00,c1,1.25,web\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def written(shop: Shop, content: bytes, name: str = "bad.parquet") -> Path:
    path = shop.folder / name
    path.write_bytes(content)
    return path


def parquet(*, checksums: bool) -> tuple[bytes, int]:
    """Thirty orders in two row groups, and where their pages end."""
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(orders(1, 30)), file, row_group_size=15, write_page_checksum=checksums)
    content = file.getvalue()
    return content, len(content) - 8 - int.from_bytes(content[-8:-4], "little")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_what_is_no_parquet_file_leaves_nothing_of_the_delivery(shop: Shop, content: bytes) -> None:
    with pytest.raises(DataError, match=r"bad\.parquet: not a readable parquet file"):
        shop.deliver("a", orders=(shop.file("good", orders(31, 34)), written(shop, content)))
    assert shop.lake.version("events/orders") == -1


def test_a_parquet_file_that_is_cut_off_anywhere_leaves_nothing_of_the_delivery_and_is_taken_whole(shop: Shop) -> None:
    content, pages = parquet(checksums=False)
    for length in (4, 5, 400, pages // 2, pages - 1, pages, pages + 1, len(content) - 9, len(content) - 8, -4, -1):
        with pytest.raises(DataError, match=r"bad\.parquet: not a readable parquet file"):
            shop.deliver("a", orders=(shop.file("good", orders(31, 34)), written(shop, content[:length])))
        assert shop.lake.version("events/orders") == -1
    assert shop.deliver("a", orders=(shop.file("good", orders(31, 34)), written(shop, content))) is None
    assert shop.accounts().silver == 34


def test_a_parquet_file_with_pages_overwritten_leaves_nothing_of_its_stream(shop: Shop) -> None:
    content, _ = parquet(checksums=False)
    with pytest.raises(DataError, match=r"bad\.parquet: not a readable parquet file"):
        shop.deliver("a", orders=written(shop, content[:4] + bytes(596) + content[600:]))
    assert shop.lake.version("events/orders") == -1


def test_no_changed_byte_of_a_page_with_a_checksum_becomes_another_value(shop: Shop) -> None:
    """Where the byte says nothing that is read, the file is what it was: all of its rows are duplicates."""
    content, pages = parquet(checksums=True)
    shop.deliver("whole", orders=written(shop, content, "whole.parquet"))
    landed, changed = 0, range(4, pages, 67)
    for number, place in enumerate(changed):
        path = written(shop, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :], f"f{number}.parquet")
        told = refusal(shop, f"b{number}", AT, path)
        landed += told is None
        assert told is None or f"{path.name}: not a readable parquet file" in str(told)
    found = shop.accounts()
    assert (found.silver, found.duplicates, found.conflicts, found.quarantined) == (30, 30 * landed, 0, {})
    assert 0 < landed < len(changed) // 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ((HEADER + LINE).replace(b",", b";"), "is it separated by semicolons\\?.*\n.*\n.*with commas"),
        ((HEADER + LINE).replace(b",", b"\t"), "is it separated by tabs"),
        ((HEADER + LINE.replace(b"c1", "Käthe".encode("cp1252"))), "decode byte 0xe4 .*\n  next: write it as UTF-8"),
        (HEADER + LINE.replace(b"c1", b'"c1'), "not a readable csv file"),
    ],
    ids=["semicolons", "tabs", "not UTF-8", "broken off inside quotes"],
)
def test_a_csv_file_of_another_kind_leaves_nothing_and_says_how_to_write_it(
    shop: Shop, content: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        shop.deliver("a", orders=written(shop, content, "bad.csv"))
    assert shop.lake.version("events/orders") == -1


def test_a_csv_row_of_another_length_is_refused_with_both_numbers_and_shown_under_its_names(shop: Shop) -> None:
    good = b"".join(LINE.replace(b"1,", b"%d," % number, 1) for number in range(1, 10))
    content = HEADER + good + LINE.replace(b"web", b"web,DE") + b"7,2026-01-01 10:07:00\n"
    assert shop.deliver("a", orders=written(shop, content, "a.csv")) is None
    assert (shop.accounts().silver, shop.accounts().quarantined) == (9, {"json": 2})
    rows = controlled(shop.lake, "orders", sorted(refused(shop.lake, "orders", Wanted()), key=lambda row: row.place))
    longer, shorter = (shown(row, control) for row, control in rows)
    assert longer["_allowed"] == "5 fields, as the header has, and not 6"
    assert (longer["customer"], longer["channel"]) == ("c1", "web")
    assert shorter["_allowed"] == "5 fields, as the header has, and not 2"
    assert (shorter["order_id"], "customer" in shorter) == ("7", False)
