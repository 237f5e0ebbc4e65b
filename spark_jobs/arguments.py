"""How jobs are called, and how they end: exit 0 done, 2 the caller's mistake, 3 a gate stopped it, 4 an outage."""

from __future__ import annotations

import sys
from collections.abc import Callable

from sluice.errors import DataError, SluiceError, UserError

EXIT_USER, EXIT_STOPPED, EXIT_OUTAGE = 2, 3, 4


def run(main: Callable[[], None]) -> None:
    """Run a job; an error of ours is one message on stderr, not a traceback."""
    try:
        main()
    except SluiceError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 a job's last word goes to its caller
        code = EXIT_OUTAGE
        if isinstance(error, UserError):
            code = EXIT_USER
        elif isinstance(error, DataError):
            code = EXIT_STOPPED
        sys.exit(code)
