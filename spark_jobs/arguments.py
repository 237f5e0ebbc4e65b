"""How jobs are called, and how they end: exit 0 done, 2 the caller's mistake, 3 a gate stopped it, 4 an outage."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from sluice.errors import SluiceError, UserError, exit_code, kind_of, known


def pipeline(text: str) -> str:
    """A registered name as it is, the path of a .py file as one that means the same to a worker in another folder."""
    return _absolute(text) if text.endswith(".py") else text


def lake(text: str) -> str:
    """A URI as it is, a path as one that means the same to a worker in another folder."""
    return text if "://" in text else _absolute(text)


def some(text: str) -> int:
    """A number of things, one at least."""
    if not text.isdigit() or not int(text):
        raise UserError(f"{text!r} is not how many there can be", allowed="a whole number from 1 on")
    return int(text)


def teller(job: str) -> Callable[[str], None]:
    """Tells its caller how far a job is, line by line; the lines begin with its name, by which they are known."""
    return lambda line: print(f"{job}: {line}", flush=True)  # noqa: T201 a job's caller reads what it prints


def run(main: Callable[[], None]) -> None:
    """Run a job; an error of ours is one message on stderr, not a traceback."""
    try:
        main()
    except Exception as error:
        ended = known(error)
        if ended is None:
            raise
        _end(ended)


def _end(error: SluiceError) -> NoReturn:
    print(f"{kind_of(error)}: {error}", file=sys.stderr)  # noqa: T201 a job's last word goes to its caller
    sys.exit(exit_code(error))


def _absolute(path: str) -> str:
    return str(Path(path).resolve())
