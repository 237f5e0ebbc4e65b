"""Text for a person at a terminal, or for a file: wrapped for the one, never wrapped or cut for the other."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_LEAST = 30
"""Columns that a text gets, however narrow the terminal."""
_ENDLESS = 100_000


def width() -> int | None:
    """The columns of the terminal; None when what is written goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def hanging(head: str, text: str, columns: int | None) -> Iterator[str]:
    """A text behind its head, further lines below its beginning; words are never broken."""
    if columns is None:
        yield f"{head}{text}".rstrip()
        return
    room = max(_LEAST, columns - len(head))
    wrapped = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    for place, line in enumerate(wrapped):
        yield f"{head if not place else ' ' * len(head)}{line}".rstrip()


def table(*headers: str, right: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """A plain table, of which nothing is cut: what is too long for its column, unless it is `whole`, goes on below."""
    from rich.table import Column, Table

    columns = [
        Column(name, overflow="fold", justify="right" if name in right else "left", no_wrap=name in whole)
        for name in headers
    ]
    return Table(*columns, box=None, pad_edge=False)


def show(shown: Table) -> None:
    """Print a table: to a terminal as wide as that is, elsewhere as wide as it has to be."""
    from rich.console import Console

    Console(width=width() or _ENDLESS).print(shown)
