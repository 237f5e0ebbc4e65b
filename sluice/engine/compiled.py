"""Loops over rows are compiled by numba: whole numbers only, so that machine and version change no bit."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core.caching import InTreeCacheLocator, UserWideCacheLocator

P = ParamSpec("P")
R = TypeVar("R")
SOURCES = (
    "amend",
    "arrange",
    "decay",
    "evaluate",
    "finalise",
    "layout",
    "loops",
    "merge",
    "order",
    "ranges",
    "sketches",
    "told",
    "versions",
)
"""The modules that loops are made from; a test keeps the list whole."""


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function as machine code, kept for the next process until a loop changes; it runs without the GIL."""
    before = numba.config.CACHE_LOCATOR_CLASSES
    numba.config.CACHE_LOCATOR_CLASSES = ",".join(f"{__name__}.{place.__name__}" for place in (Beside, Elsewhere))
    try:
        return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))
    finally:
        numba.config.CACHE_LOCATOR_CLASSES = before


@functools.cache
def _stamp() -> str:
    """What all of the loops say.

    Machine code holds what it calls, but numba asks only whether the caller's own file has changed: a loop changed in
    another module would go on running as it was.
    """
    # by the loader, and below the very folder that it knows: in an archive that was sent to a worker they are no files
    loader, folder = cast("Any", sys.modules[__name__].__loader__), __file__.rpartition(os.sep)[0]
    files = [f"{folder}{os.sep}{name}.py" for name in SOURCES]
    return hashlib.sha256(b"".join(loader.get_data(file) for file in files)).hexdigest()


class Beside(InTreeCacheLocator):  # type: ignore[misc] # numba has no types
    """Machine code in the folder of its source."""

    def get_source_stamp(self) -> str:
        """What has to be the same for it to be taken."""
        return _stamp()


class Elsewhere(UserWideCacheLocator):  # type: ignore[misc] # numba has no types
    """Machine code in the person's own cache, where the folder of its source cannot be written to.

    It lies there by what the loops say and not by where they are: an archive lies in another folder for every job.
    """

    @classmethod
    def get_suitable_cache_subpath(cls, py_file: str) -> str:  # noqa: ARG003 numba's
        """The folder in the cache."""
        return f"sluice_{_stamp()[:16]}"

    @classmethod
    def from_function(cls, py_func: Callable[..., object], py_file: str) -> Elsewhere | None:
        """The place of a function, be its source a file or not; None where nothing can be written."""
        found = cls(py_func, py_file)
        try:
            found.ensure_cache_path()
        except OSError:
            return None
        return found

    def get_source_stamp(self) -> str:
        """What has to be the same for it to be taken."""
        return _stamp()
