"""Loops over rows are compiled by numba: whole numbers only, so that machine and version change no bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code, kept beside its source for the next process; it runs without the GIL."""
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
