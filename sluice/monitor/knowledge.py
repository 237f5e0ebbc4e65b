"""What served vectors knew (K), as the audit reads it from their log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Self, TypeAlias

Pairs: TypeAlias = tuple[tuple[str, int], ...]
"""Positions of partitions or versions of tables, in the order of their names."""
NOTHING = -1
"""The base of what knows no history."""


class Known(NamedTuple):
    """What some features could know: a base, and the next offset of every partition."""

    base: int = NOTHING
    positions: Pairs = ()

    @classmethod
    def of(cls, base: int, positions: Mapping[str, int]) -> Self:
        """From how it is logged."""
        return cls(base, pairs(positions))


class K(NamedTuple):
    """What a whole vector could know: the same for all of its features, or, of shards, for those of each entity key."""

    everywhere: Known
    keys: tuple[tuple[str, Known], ...] | None
    tables: Pairs

    def of(self, key: str) -> Known:
        """What the features of one entity key could know."""
        return self.everywhere if self.keys is None else dict(self.keys).get(key, Known())

    @property
    def each(self) -> set[Known]:
        """All that some of its features could know."""
        return {self.everywhere} if self.keys is None else {known for _, known in self.keys} | {Known()}


def pairs(named: Mapping[str, int]) -> Pairs:
    """Names and numbers in the order of the names."""
    return tuple(sorted(named.items()))
