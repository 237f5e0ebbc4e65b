"""Pseudonyms: keyed hashes by which what was forgotten is known again, and which say nothing to who has no key.

The key is `SLUICE_ERASURE_KEY`, or a file below `SLUICE_HOME` that the first erasure makes: never in the lake.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from sluice.engine.tiles import Id
from sluice.errors import SettingsError
from sluice.settings import settings

_BYTES = 16
_FILE = "erasure.key"
_VARIABLE = "SLUICE_ERASURE_KEY"


@dataclass(frozen=True)
class Pseudonyms:
    """The hashes under one key; two keys have no hash in common."""

    key: bytes = field(repr=False)

    def of(self, kind: str, value: Id) -> bytes:
        """The pseudonym of a value of a kind: a key column, or a stream whose event's id it is."""
        return hashlib.blake2b(f"{kind}\0{value}".encode(), key=self.key, digest_size=_BYTES).digest()

    @property
    def name(self) -> str:
        """What tells this key from others, and says nothing of it."""
        return self.of("", "which key").hex()


def pseudonyms_of(text: str) -> Pseudonyms:
    """The pseudonyms under a key that is any text."""
    return Pseudonyms(hashlib.sha256(text.encode()).digest())


def own_pseudonyms(*, make: bool = False) -> Pseudonyms:
    """The pseudonyms of this place's key; SettingsError when there is none, unless it is to be made."""
    given = settings().places.erasure_key
    if given is not None:
        return pseudonyms_of(given.get_secret_value())
    path = settings().places.at(_FILE)
    if not path.exists():
        if not make:
            raise SettingsError(
                "an entity was forgotten, and the key by which it is known again is not here",
                where=_VARIABLE,
                allowed=f"the key of that erasure, or its file {path}",
                next_step="take it from where `sluice forget` was run: without it, forgotten events would come back",
            )
        _write(path, secrets.token_hex(32))
    return pseudonyms_of(path.read_text().strip())


def passing_pseudonyms() -> Pseudonyms:
    """Pseudonyms under a key that nobody keeps, for who only looks."""
    return pseudonyms_of(secrets.token_hex(32))


def _write(path: Path, text: str) -> None:
    """Write a file for this person alone; of two that do so at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as file:
        file.write(text)
