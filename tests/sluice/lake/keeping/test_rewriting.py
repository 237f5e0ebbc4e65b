"""Rows go out of a table beside a writer that never rests, and no file is looked at twice for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sluice.engine.encode import Mask, integers
from sluice.lake.keeping.rewriting import drop
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit


def rows(*numbers: int) -> pa.Table:
    return pa.table({"number": pa.array(numbers, pa.int64())})


class Odd:
    """Odd numbers go; and whoever looks at a small one is slow enough for another process to append a great one."""

    def __init__(self, lake: Lake) -> None:
        self.lake, self.columns, self.asked = lake, ["number"], list[list[int]]()

    def mask(self, found: pa.Table) -> Mask:
        numbers, _ = integers(found.column("number"))
        self.asked.append(numbers.tolist())
        if numbers.max() < 100:
            self.lake.append("t", rows(100 + 2 * len(self.asked)))
        return np.asarray(numbers % 2 == 1, bool)


def test_a_writer_that_commits_all_the_time_costs_only_the_files_that_it_adds(tmp_path: Path) -> None:
    lake, which = Lake(str(tmp_path), "p"), Odd(Lake(str(tmp_path), "p"))
    for mine in (rows(1, 2), rows(3), rows(4)):
        lake.append("t", mine)
    assert drop(lake, "t", which).rows == 2
    assert sorted(which.asked) == [[1, 2], [3], [4], [102], [104], [106]]
    assert sorted(lake.read("t").column("number").to_pylist()) == [2, 4, 102, 104, 106]
