"""Counts, lists and commands in words, for every room: it stands on nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: `1 event`, `12,034 events`, `2 batches`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)


def command(*words: str) -> str:
    """A command as a person can paste it into a shell: `sluice ingest 'my file.py' --batch b`."""
    return shlex.join(["sluice", *words])
