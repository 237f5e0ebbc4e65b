"""How far the columns of a batch have moved from what they were like on the days before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sluice.lake.baselines.distances import Distance, distance
from sluice.lake.baselines.shapes import Shape, by_column, by_day
from sluice.lake.tables import Lake
from sluice.lake.within import between


class Shift(NamedTuple):
    """How far one column has moved."""

    column: str
    moved: Distance


def shifts(lake: Lake, stream: str, days: Mapping[tuple[int, str], Shape], over: int) -> list[Shift]:
    """Each column of a batch beside the published days before the batch's first one, `over` microseconds of them.

    None of a column of which either has too few rows.
    """
    table = f"baselines/{stream}"
    if not days or lake.open(table) is None:
        return []
    first = min(day for day, _ in days)
    before = by_column(by_day(lake.read(table, within=between(day=(first - over, first - 1)))))
    now = by_column(days)
    found = {name: distance(before[name], shape) for name, shape in now.items() if name in before}
    return [Shift(name, moved) for name, moved in found.items() if moved is not None]
