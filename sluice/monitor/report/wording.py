"""Numbers and times as a reader wants them."""

from __future__ import annotations

from sluice.clock import to_datetime

NONE = "\u2013"
"""What stands where there is nothing: a dash."""
TIMES = "\u00d7"
"""The sign of a multiple."""

MEASURES = {
    "AUC": "auc",
    "average precision": "average_precision",
    "card precision@100": "card_precision_at_100",
    "log loss": "log_loss",
}
"""The measures of quality: what people call them, and the columns that hold them."""


def of_all(good: int, whole: int, noun: str) -> str:
    """How many of a whole: `11 of 12 events`."""
    return f"{good:,} of {whole:,} {noun}s"


def milliseconds(value: float) -> str:
    """A latency to about three digits: `0.731 ms`, `12.4 ms`, `1,250 ms`."""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f} ms"


def elapsed(seconds: float) -> str:
    """How long something took: `4.2 s`, `58 s`, `7 min 12 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def memory(megabytes: float) -> str:
    """Memory in the unit that fits: `640 MB`, `6.2 GB`."""
    return f"{megabytes:,.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:,.1f} GB"


def measure(value: float | None) -> str:
    """A quality to three digits after the point, or a dash for one that is not defined."""
    return NONE if value is None else f"{value:.3f}"


def share(value: float) -> str:
    """A share of the whole, finer near its ends: `0.4 %`, `12 %`, `99.6 %`."""
    digits = 1 if 0 < value < 0.1 or 0.9 < value < 1 else 0
    return f"{100 * value:.{digits}f} %"


def minute(instant: int) -> str:
    """An event time in microseconds to the minute, UTC: `2018-07-25 08:30`."""
    return f"{to_datetime(instant):%Y-%m-%d %H:%M}"


def segment_name(segment: str) -> str:
    """A segment as people call it: `*` is all traffic."""
    return "all traffic (*)" if segment == "*" else segment


def version_name(model: str) -> str:
    """A model's version as people call it: `fraud-pos/3` is `v3`."""
    return f"v{model.rpartition('/')[2]}"
