"""What an embedded service is to `up`, `down` and `status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One part of the machine: an own child process, a piece of work done once, or somebody else's server."""

    name: str
    address: str
    healthy: Callable[[float], bool]
    """Whether it answers now; told when its process was created, Unix seconds (0 without one)."""
    command: Callable[[], list[str]] = list
    """Prepares what the process needs and names it; called only when it has to be started."""
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    """Setting → port, for each that must be free before it starts."""
    after: tuple[str, ...] = ()
    """Services that must be healthy first."""
    stays: bool = True
    """False: the command does its work and ends; nothing runs afterwards."""
    tidy: Callable[[], None] = field(default=lambda: None)
    """Removes what it keeps outside the home, once it is stopped."""
    external: bool = False
    """Somebody else runs it; it is shown and never started or stopped."""
