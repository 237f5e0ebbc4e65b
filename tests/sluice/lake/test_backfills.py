"""Which history the tables of a backfill show."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from sluice.errors import Outage
from sluice.lake.backfills import base_of
from sluice.lake.plan import Plan
from sluice.lake.tables import Lake

pytestmark = pytest.mark.integration

ROWS = pa.table({"n": [1]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake in which the backfill `first` was of version 3, and `second` of version 5."""
    lake = Lake(str(tmp_path), "shop")
    noted = [{"number": number, "name": name, "base": base, "at": base} for number, name, base in NOTED]
    lake.append("backfills", pa.Table.from_pylist(noted))
    return lake


NOTED = ((0, "first", 3), (1, "second", 5))


def written(lake: Lake, table: str, *backfills: str) -> int:
    for name in backfills:
        marks = deltalake.CommitProperties(app_transactions=[deltalake.Transaction(name, 1)])
        deltalake.write_deltalake(lake.uri(table), ROWS, mode="append", commit_properties=marks)
    return lake.version(table)


def test_tables_show_the_history_of_the_backfill_that_wrote_them_last(lake: Lake) -> None:
    versions = {table: written(lake, table, "first", "second") for table in ("tiles/a", "tiles/b")}

    assert base_of(lake, versions, 9) == 5
    assert base_of(lake, {"tiles/a": 0, "tiles/b": 0}, 9) == 3


def test_tables_that_no_backfill_wrote_show_what_is_told(lake: Lake) -> None:
    lake.append("tiles/a", ROWS)

    assert base_of(lake, {"tiles/a": 0}, 9) == 9


def test_tables_of_which_some_are_still_to_be_published_are_not_taken_together(lake: Lake) -> None:
    versions = {"tiles/a": written(lake, "tiles/a", "first", "second"), "tiles/b": written(lake, "tiles/b", "first")}

    with pytest.raises(Outage, match="a backfill is publishing"):
        base_of(lake, versions, 9)


def test_what_is_computed_is_another_thing_when_tiles_are_laid_out_otherwise(tmp_path: Path) -> None:
    """One goes on from the tiles of the other: entities would be laid out by both numbers."""
    declared = (Path(__file__).parent / "shop.py").read_text()
    file, names = tmp_path / "shop_of_leaves.py", list[str]()
    for leaf in ("", ", leaf=2", ", leaf=512"):
        file.write_text(declared.replace('of="customer", over=orders', f'of="customer", over=orders{leaf}'))
        names.append(Plan(str(file), str(tmp_path), base=0, at=0).meaning)
    assert names[0] == names[2] != names[1]
