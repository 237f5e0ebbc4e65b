"""What the caller of a demo asked for, checked before anything is started or removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sluice.declare.loading import load_pipeline
from sluice.errors import UserError

_SIMULATED_DAYS, _OWN_DAYS = 60, 14


@dataclass(frozen=True)
class Options:
    """A demo: of simulated payments, or of `events` of one's own."""

    pipeline: str
    """A registered name, or the absolute path of a file."""
    events: Path | None
    report: Path | None
    seed: int
    customers: int
    days: int
    live_days: int
    quiet: bool

    @classmethod
    def checked(
        cls,
        pipeline: str,
        events: Path | None,
        report: Path | None,
        seed: int,
        customers: int,
        days: int,
        live_days: int | None,
        quiet: bool,
    ) -> Self:
        """The options, when they go together and what they name is there; UserError or DataError otherwise."""
        from sluice.cli.demo.events import check_simulated
        from sluice.local.own_files import find_files, first_live_moment

        reference = str(Path(pipeline).absolute()) if pipeline.endswith(".py") else pipeline
        declared = load_pipeline(reference)
        live = live_days or (_OWN_DAYS if events else _SIMULATED_DAYS)
        if events is not None:
            first_live_moment(declared, find_files(declared, events), live)
        else:
            check_simulated(declared)
            if live >= days:
                raise UserError(f"{live} live days of {days}", where="--live-days", allowed="fewer than --days")
        return cls(reference, events, report, seed, customers, days, live, quiet)
