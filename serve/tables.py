"""The as-of tables of one process: there before its first answer, and taken up anew while answers go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from deltalake.exceptions import DeltaError

from sluice.engine.asof import NOTHING, Lookups
from sluice.errors import Outage, SluiceError

logger = logging.getLogger(__name__)

EVERY_S = 60.0
"""Seconds between two looks for newer versions."""


class Tables:
    """What is looked up by every answer; `held` is replaced whole, so that one answer sees one version of each table.

    `open` and `renew` read the lake and belong to a thread in the background; whoever answers only takes what is held.
    """

    def __init__(
        self,
        newest: Callable[[], Mapping[str, int]] = dict,
        load: Callable[[Mapping[str, int]], Lookups] = lambda _: NOTHING,
        *,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self.held = NOTHING
        self._newest, self._load, self._tick = newest, load, tick
        self._looked: float | None = None

    def open(self) -> None:
        """Hold the newest versions; DataError names a table that is missing, and the command that loads it."""
        if self._looked is None:
            self._read()
            self._looked = self._tick()

    def renew(self) -> None:
        """Hold newer versions, if the last look is a minute ago; what cannot be read leaves what is held as it is."""
        if self._looked is None or self._tick() - self._looked < EVERY_S:
            return
        self._looked = self._tick()
        try:
            self._read()
        except (SluiceError, OSError) as error:
            logger.warning("newer as-of tables cannot be read, %s stay: %s", dict(self.held.versions), error)

    def _read(self) -> None:
        try:
            versions = dict(self._newest())
            if versions != self.held.versions:
                self.held = self._load(versions)
        except DeltaError as error:
            raise Outage(f"the as-of tables cannot be read: {error}", where="lake") from error
