"""A graph as an SVG picture: what was made on the left, what it was made of to the right of it, each thing once."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

from sluice.lake.lineage.graph import Node

MANY = 12
"""Of so many things that one thing is made of, the last ones are drawn."""
_WIDE, _HIGH, _GAP_X, _GAP_Y, _MARGIN = 250, 46, 70, 14, 20
_LETTERS, _SMALL = 31, 38
"""How many fit into a line of a box, of either size."""
_COLOURS = {
    "prediction": "#7c3aed",
    "vector": "#7c3aed",
    "model": "#0f766e",
    "training set": "#0f766e",
    "table": "#1d4ed8",
    "base": "#1d4ed8",
    "batch": "#b45309",
    "replay": "#b45309",
    "file": "#475569",
    "topic": "#475569",
}


@dataclass
class _Layout:
    """Every node once, in the column of its greatest distance from the first, and the lines between them."""

    column: dict[Node, int] = field(default_factory=dict)
    lines: list[tuple[Node, Node]] = field(default_factory=list)
    left_out: dict[Node, int] = field(default_factory=dict)

    def put(self, node: Node, column: int) -> None:
        if self.column.get(node, -1) >= column:
            return
        self.column[node] = column
        shown = node.made_of[-MANY:]
        self.left_out[node] = len(node.made_of) - len(shown)
        for part in shown:
            if (node, part) not in self.lines:
                self.lines.append((node, part))
            self.put(part, column + 1)


def drawn(node: Node) -> str:
    """The SVG text."""
    layout = _Layout()
    layout.put(node, 0)
    columns: dict[int, list[Node]] = {}
    for one, column in layout.column.items():
        columns.setdefault(column, []).append(one)
    tallest = max(map(len, columns.values()))
    height = 2 * _MARGIN + tallest * (_HIGH + _GAP_Y)
    width = 2 * _MARGIN + len(columns) * _WIDE + (len(columns) - 1) * _GAP_X
    places = {
        one: (
            _MARGIN + column * (_WIDE + _GAP_X),
            (height - len(held) * (_HIGH + _GAP_Y)) // 2 + row * (_HIGH + _GAP_Y),
        )
        for column, held in columns.items()
        for row, one in enumerate(held)
    }
    lines = "".join(_line(places[start], places[end]) for start, end in layout.lines)
    boxes = "".join(_box(one, place, layout.left_out.get(one, 0)) for one, place in places.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="system-ui, sans-serif" role="img"><title>Lineage of {escape(f"{node.kind} {node.name}")}</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{lines}{boxes}</svg>\n'
    )


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (left, top), (right, bottom) = (start[0] + _WIDE, start[1] + _HIGH // 2), (end[0], end[1] + _HIGH // 2)
    middle = (left + right) // 2
    return f'<path d="M{left},{top} C{middle},{top} {middle},{bottom} {right},{bottom}" fill="none" stroke="#94a3b8"/>'


def _box(node: Node, place: tuple[int, int], left_out: int) -> str:
    left, top = place
    about = f"{node.about}; {left_out:,} more not drawn" if left_out else node.about
    told = f"{node.kind} {node.name}: {about}" if about else f"{node.kind} {node.name}"
    colour, name = _COLOURS.get(node.kind, "#475569"), _short(node.name, _LETTERS - len(node.kind))
    below = escape(_short(about, _SMALL))
    return (
        f'<g><title>{escape(told)}</title><rect x="{left}" y="{top}" width="{_WIDE}" height="{_HIGH}" rx="6" '
        f'fill="#f8fafc" stroke="{colour}"/>'
        f'<text x="{left + 10}" y="{top + 19}" font-size="13" fill="#0f172a">'
        f'<tspan fill="{colour}">{escape(node.kind)} </tspan>{escape(name)}</text>'
        f'<text x="{left + 10}" y="{top + 36}" font-size="10.5" fill="#475569">{below}</text></g>'
    )


def _short(text: str, letters: int) -> str:
    """The beginning of a text that is too long; of a path its end, which tells more."""
    if len(text) <= letters:
        return text
    return f"…{text[1 - letters :]}" if text.startswith("/") else f"{text[: letters - 1]}…"
