"""HTML from Python values: whatever is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML and is not escaped again."""

    __slots__ = ()


def escaped(text: object) -> Markup:
    """Anything as HTML text; markup stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(str(text)))


def joined(parts: Iterable[object]) -> Markup:
    """Parts one after another."""
    return Markup("".join(escaped(part) for part in parts))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element; `class_` is the attribute `class`, `aria_label` is `aria-label`, and None leaves one out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str, words: Sequence[int] = (0,)
) -> Markup:
    """A table in a box that scrolls on a narrow screen; columns of `words` are set left, numbers right.

    The first cell of a row names the row.
    """
    head = tag("tr", *(tag("th", text, scope="col", class_=_side(place, words)) for place, text in enumerate(header)))
    body = (
        tag(
            "tr",
            *(
                tag("td" if place else "th", cell, scope=None if place else "row", class_=_side(place, words))
                for place, cell in enumerate(row)
            ),
        )
        for row in rows
    )
    parts = [tag("caption", caption), tag("thead", head), tag("tbody", *body)]
    return tag("div", tag("table", *parts), class_="scroll", tabindex="0", role="region", aria_label=caption)


def folded(summary: str, *children: object) -> Markup:
    """What only some readers want, behind a line to click."""
    return tag("details", tag("summary", summary), *children)


def _side(place: int, words: Sequence[int]) -> str | None:
    return "words" if place in words else None
