"""Who does the work of a job: a port, so that the same tasks run on a cluster and in this very process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

W = TypeVar("W")
R = TypeVar("R")


class Workers(Protocol):
    """Calls a task for each piece of work, in any order and anywhere; a task may be called again for the same piece.

    Tasks and work must be picklable. A DataError that a task raises is raised here as one.
    """

    def each(self, task: Callable[[W], R], work: Sequence[W], *, rows: int) -> list[R]:
        """The results in the order of the work; `rows` says about how much there is to do in all."""
        ...


class Here:
    """Does everything in this process, one piece after the other."""

    def each(self, task: Callable[[W], R], work: Sequence[W], *, rows: int) -> list[R]:  # noqa: ARG002 the port's
        """The results in the order of the work."""
        return [task(item) for item in work]
