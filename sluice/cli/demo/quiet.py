"""Where the engines' own chatter goes while the demo tells its story."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def engines_talk_to(log: Path) -> Iterator[None]:
    """Send this process's standard error, C++ libraries and child processes included, to a file while the block runs.

    The story is on standard output; errors that end the demo are told after the block, on the terminal.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
