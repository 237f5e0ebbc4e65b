"""A graph as lines of text, each below what it is made into; a node that was told above is not told again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.lake.lineage.graph import Node

MANY = 12
"""Of more things than so many that something is made of, the last ones are listed; never is only one left out."""


def lines(node: Node, *, most: int | None = MANY) -> Iterator[str]:
    """The node, and what it was made of, further in with every step."""
    yield from _lines(node, "", "", set(), most)


def _lines(node: Node, first: str, rest: str, told: set[Node], most: int | None) -> Iterator[str]:
    again = " (as above)" if node in told and node.made_of else ""
    yield f"{first}{node.kind} {node.name}{f': {node.about}' if node.about else ''}{again}"
    if again:
        return
    told.add(node)
    left_out = max(0, len(node.made_of) - most) if most else 0
    left_out = 0 if left_out == 1 else left_out  # the line that says so would take its place
    shown = node.made_of[left_out:]
    if left_out:
        yield f"{rest}├─ … and {left_out:,} more before (--all)"
    for place, part in enumerate(shown):
        last = place == len(shown) - 1
        yield from _lines(part, f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}", told, most)
