"""Whole days of the event clock: the blocks that drift is replayed by and quality is measured by."""

from __future__ import annotations

import datetime as dt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sluice.clock import MICROSECONDS

_DAY = 86_400 * MICROSECONDS


def day_numbers(times: ArrayLike) -> NDArray[np.int64]:
    """Days since 1970-01-01 UTC of event times in microseconds."""
    return np.asarray(times, dtype=np.int64) // _DAY


def date_of(day: int) -> dt.date:
    """The date of a day number."""
    return dt.date(1970, 1, 1) + dt.timedelta(days=int(day))
