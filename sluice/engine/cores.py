"""How many threads share a piece of work: Arrow, numpy and the loops run without the interpreter's lock."""

from __future__ import annotations

import os

_MANY = 50_000
"""Rows from which threads are worth their start."""


def cores(rows: int) -> int:
    """As many threads as the machine has cores for many rows, and one for few."""
    return (os.cpu_count() or 1) if rows >= _MANY else 1
