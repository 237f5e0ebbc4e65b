"""Runs a flow and tells how it ended, for callers that know nothing of Prefect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sluice.errors import SluiceError


@dataclass(frozen=True)
class Attempt:
    """How a run ended: its result, or the error that failed it."""

    result: Any = None
    error: SluiceError | None = None

    @property
    def failed(self) -> bool:
        """Whether an error of ours ended it."""
        return self.error is not None


def attempt(flow: Callable[..., Any], **parameters: Any) -> Attempt:
    """Run a flow to its end; an error of ours is an answer, anything else is raised."""
    try:
        return Attempt(result=flow(**parameters))
    except SluiceError as error:
        return Attempt(error=error)
