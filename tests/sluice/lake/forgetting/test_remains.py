"""What writers that died have left goes with an entity: whole files and half ones, where a table is and where not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow.parquet as pq
import pytest

from sluice.lake.workers import Here
from tests.sluice.lake.forgetting.lakes import FIRST, Market, mentions, order, zebra
from tests.sluice.lake.forgetting.test_forget import NOW, gone, ids
from tests.sluice.lake.test_publish import Killed

pytestmark = pytest.mark.integration

T = TypeVar("T")


def left(shop: Market, table: str, name: str, age_s: float = 0) -> Path:
    """A file of a writer that died so many seconds ago; half written, unless its name is a whole one's."""
    path = Path(shop.lake.uri(f"{table}/staged-dead/{name}"))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(shop.lake.read("silver/orders"), path)
    if not name.endswith(".parquet"):
        path.write_bytes(path.read_bytes()[:-8])
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_half_written_files_go_when_nobody_has_written_to_them_for_a_while(small: Market) -> None:
    old, young = (left(small, "silver/orders", f"0.parquet.{age}.part", age) for age in (3600, 60))
    gone(small)
    assert (old.exists(), young.exists()) == (False, True)
    assert mentions(small.folder / "lake", [FIRST]) == [str(young.relative_to(small.folder / "lake"))]


def test_whole_files_go_where_no_table_is_yet(small: Market) -> None:
    left(small, "late/orders", "0.parquet")
    assert small.lake.open("late/orders") is None
    gone(small)
    assert mentions(small.folder / "lake", [FIRST]) == []


class Dying(Here):
    """Workers of a job that dies when they have landed a file."""

    def each(self, task: Callable[[Any], T], work: Sequence[Any], *, rows: int) -> list[T]:
        super().each(task, work, rows=rows)
        raise Killed


@pytest.mark.parametrize("names", [{}, {"customer": "client"}], ids=["as declared", "otherwise"])
def test_rows_that_never_landed_go(small: Market, tmp_path: Path, names: dict[str, str]) -> None:
    rows = [{names.get(name, name): value for name, value in row.items()} for row in (zebra(30), order(40))]
    for shop in (small, Market(tmp_path / "new")):
        shop.workers = Dying()
        with pytest.raises(Killed):
            shop.deliver("b", orders=rows)
        assert mentions(shop.folder / "lake", [FIRST + 30])
        gone(shop)
        assert mentions(shop.folder / "lake", [FIRST, FIRST + 30]) == []
        shop.workers = Here()
        assert shop.deliver("b", at=NOW, orders=rows, renamed={"orders": names} if names else {}) is None
        assert shop.ailments() == []
    assert (ids(small), ids(shop)) == ([1, 2, 40], [40])
    assert (small.accounts().erased, shop.accounts().erased) == (4, 1)
