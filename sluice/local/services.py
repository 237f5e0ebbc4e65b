"""Starts, stops and shows the embedded services; every one is found again by what is written below the home."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.local.plan import plan, with_dependents, with_needs
from sluice.local.records import Records
from sluice.local.supervisor import Progress, Status, Up, bring_up, look, take_down
from sluice.settings import settings

__all__ = ["Progress", "Status", "Up", "down", "status", "up"]


def _silent(_name: str, _what: str) -> None:
    """Nobody watches."""


def up(names: Sequence[str] | None = None, *, progress: Progress = _silent) -> list[Up]:
    """Make the services run and answer (all, or the named and those they need); what already runs is left alone.

    UserError for a taken port, ServiceDown for a service that ends or does not answer; what had started stays, and
    the next `up` goes on from there.
    """
    return bring_up(with_needs(plan(settings()), names), _records(), progress)


def down(names: Sequence[str] | None = None, *, progress: Progress = _silent) -> list[str]:
    """Stop what `up` started (all, or the named and those that need them) and nothing else; the names stopped."""
    services = plan(settings())
    chosen = with_dependents(services, names) if names else None
    return take_down(services, _records(), progress, chosen)


def status() -> list[Status]:
    """Every service as it is now; one that needs an unhealthy one is not healthy either."""
    return look(plan(settings()), _records())


def _records() -> Records:
    return Records(settings().places.home)
