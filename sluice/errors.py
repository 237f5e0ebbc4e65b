"""The one tree of errors.

    SluiceError
    ├── UserError            the person can mend it: a declaration, an option, a setting
    │   ├── DeclarationError     a pipeline file says something that cannot be built
    │   └── SettingsError        a setting has an unknown name or an impossible value
    ├── DataError            the data broke a promise; the rows are kept and named
    │   └── GateStopped          a gate's verdict was stop: nothing of the batch is visible
    └── Outage               a part of the machine is missing, down or full; trying again may help
        └── ServiceDown          a service that the work needs does not answer

Every message says what is wrong, where, what is allowed and the next step.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Mapping
from typing import Self

_ROOM = "make room, and run it again: what was published is whole, and the rest is done anew"
_FULL = ("No space left on device", "os error 28", "database or disk is full")


class SluiceError(Exception):
    """Anything that Sluice raises on purpose; `str()` is the whole message for a person."""

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        allowed: Iterable[object] | str | None = None,
        next_step: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.allowed = allowed if allowed is None or isinstance(allowed, str) else _listed(allowed)
        self.next_step = next_step
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.next_step:
            parts.append(f"next: {self.next_step}")
        return "\n  ".join(parts)


class UserError(SluiceError):
    """The person who called can mend it."""

    @classmethod
    def unknown(
        cls, kind: str, value: object, known: Iterable[str], *, where: str | None = None, next_step: str | None = None
    ) -> Self:
        """An unknown name, with the nearest known one offered, else the next step."""
        names = sorted(known)
        near = difflib.get_close_matches(str(value), names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else next_step
        return cls(f"unknown {kind} {value!r}", where=where, allowed=names or "none yet", next_step=hint)


class DeclarationError(UserError):
    """A pipeline file says something that cannot be built."""


class SettingsError(UserError):
    """A setting has an unknown name or an impossible value."""


class DataError(SluiceError):
    """The data broke a promise; the rows are kept and named."""


class GateStopped(DataError):
    """A gate's verdict was stop: nothing of the batch is visible to readers."""


class Outage(SluiceError):
    """A part of the machine is missing, down or full; trying again may help."""


class ServiceDown(Outage):
    """A service that the work needs does not answer."""


KINDS: Mapping[str, type[SluiceError]] = {
    kind.__name__: kind
    for kind in (UserError, DeclarationError, SettingsError, DataError, GateStopped, Outage, ServiceDown)
}
"""The tree above by name: what every process knows."""

EXIT_CODES: Mapping[type[SluiceError], int] = {UserError: 2, DataError: 3, Outage: 4}
"""What the shell learns: mend the call, mend the data, or try again."""


def kind_of(error: SluiceError) -> str:
    """The name of an error's nearest class in the tree above, by which another process knows it."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)


def exit_code(error: SluiceError) -> int:
    """The exit code of an error's family."""
    return next((code for family, code in EXIT_CODES.items() if isinstance(error, family)), 1)


def known(error: Exception) -> SluiceError | None:
    """An error as one of ours, whoever raised it; None for what nobody expected."""
    return error if isinstance(error, SluiceError) else full_disk(error)


def full_disk(error: BaseException) -> Outage | None:
    """The outage behind an error of whatever library met a full disk; None for any other error."""
    seen: BaseException | None = error
    while seen is not None:
        # each library wraps the system's message in an error of its own
        if getattr(seen, "errno", None) == errno.ENOSPC or any(told in str(seen) for told in _FULL):
            return Outage("no space is left on a disk", next_step=_ROOM)
        seen = seen.__cause__ or seen.__context__
    return None


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)
