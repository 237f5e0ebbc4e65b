"""The newest row of each entity of each plain view, as a small port and its in-memory twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

View = str
"""A view's name; `<name>@v<number>` for rows that belong to one version of it alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entity's values in one view, whole: event time and creation in microseconds, values as bytes."""

    key: bytes
    time: int
    created: int | None
    values: bytes

    @property
    def rank(self) -> tuple[int, bool, int]:
        """What decides between two rows of an entity; of equals the one written later stands."""
        return self.time, self.created is not None, self.created or 0


class RowStore(Protocol):
    """Keeps of each entity the row with the newest event time, in whatever order rows are written.

    Ties go to the newest creation (none is older than any), then to the row written later. Rows are stored and replaced
    whole, and a read sees all that it asks for at one moment.
    """

    def write(self, view: View, rows: Sequence[Row], *, at: int, lasting: int | None = None) -> None:
        """Put rows, in their order, at the wall time `at`.

        With `lasting` (microseconds) a row may be forgotten twice that after its event time and after it was written.
        """
        ...

    def read(self, wanted: Sequence[tuple[View, Sequence[bytes]]]) -> list[list[Row | None]]:
        """For each view its rows of the given keys, None where there is none."""
        ...

    def drop(self, views: Sequence[View] | None) -> None:
        """Forget every row of these views and of their versions; of all views for None."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def forgotten_from(row: Row, *, at: int, lasting: int | None) -> int | None:
    """The moment from which a row written at `at` may be forgotten."""
    return None if lasting is None else max(row.time, at) + 2 * lasting


@dataclass
class MemoryRows:
    """The in-memory twin: a dictionary, which forgets nothing by itself."""

    _held: dict[View, dict[bytes, Row]] = field(default_factory=dict)

    def write(self, view: View, rows: Sequence[Row], *, at: int, lasting: int | None = None) -> None:  # noqa: ARG002
        """Put rows, in their order."""
        held = self._held.setdefault(view, {})
        for row in rows:
            if row.key not in held or row.rank >= held[row.key].rank:
                held[row.key] = row

    def read(self, wanted: Sequence[tuple[View, Sequence[bytes]]]) -> list[list[Row | None]]:
        """For each view its rows of the given keys, None where there is none."""
        return [[self._held.get(view, {}).get(key) for key in keys] for view, keys in wanted]

    def drop(self, views: Sequence[View] | None) -> None:
        """Forget every row of these views and of their versions; of all views for None."""
        for view in list(self._held):
            if views is None or view.partition("@")[0] in views:
                del self._held[view]

    def close(self) -> None:
        """Nothing to let go of."""
