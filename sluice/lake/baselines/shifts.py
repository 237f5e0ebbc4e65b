"""How far the columns of a batch have moved from what they were like on the days before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sluice.lake.baselines.distances import Distance, distance
from sluice.lake.baselines.shapes import Shape, by_column, by_day
from sluice.lake.tables import Lake
from sluice.lake.within import between


class Shift(NamedTuple):
    """How far one column has moved; None where that cannot be said of so few rows."""

    column: str
    moved: Distance | None
    rows: int = 0
    """Those of the batch."""
    before: int = 0
    """Those of the days before, while the column was declared as it is."""


def shifts(lake: Lake, stream: str, days: Mapping[tuple[int, str], Shape], over: int) -> list[Shift]:
    """Each column of a batch beside the published days before the batch's first one, `over` microseconds of them."""
    table, now = f"baselines/{stream}", by_column(days)
    if not days or lake.open(table) is None:
        return [Shift(name, None, shape.rows) for name, shape in now.items()]
    first = min(day for day, _ in days)
    kinds = {name: shape.kind for name, shape in now.items()}
    before = by_column(by_day(lake.read(table, within=between(day=(first - over, first - 1))), kinds))
    return [
        Shift(name, distance(held, shape), shape.rows, held.rows)
        for name, shape in now.items()
        for held in [before.get(name, Shape())]
    ]
