"""The loop of a process that owns some partitions: it takes up and lets go of them, and hands each its records."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sluice.engine.store import Partition, StoreDown
from sluice.errors import Outage, ServiceDown
from sluice.lake.schemas import RegistryDown
from sluice.stream.fold import AGAIN_S
from sluice.stream.members import Ownership
from sluice.stream.records import Record
from sluice.stream.subscription import Subscription

logger = logging.getLogger(__name__)

_LOOK_MS = 200
"""How long to wait for records before looking whether to stop, and who owns what."""


class Duty(Protocol):
    """What is done with the records of one partition number, as far as it has come."""

    @property
    def epoch(self) -> str:
        """The name of the load that started its store."""
        ...

    def offset(self, partition: Partition) -> int | None:
        """The next offset of a partition; None if nothing of it was read."""
        ...

    def take(self, records: Sequence[Record]) -> None:
        """Deal with records that follow; LostPartition when another owner has taken over."""
        ...

    def check(self) -> None:
        """LostPartition if another owner has taken over."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@dataclass
class Crew:
    """The duties of one process; `opened` makes that of a partition number."""

    bootstrap: str
    topics: Sequence[str]
    opened: Callable[[int], Duty]
    most: int = 1000
    _duties: dict[int, Duty] = field(default_factory=dict, init=False)
    _waiting: dict[int, str] = field(default_factory=dict, init=False)
    """The epochs of the duties whose store went away."""

    def run(self, ownership: Ownership, stopped: Callable[[], bool]) -> None:
        """Do what is to be done until `stopped()`; LostPartition when another owner has taken over a partition.

        Stores that go away are waited for, as is a schema registry; the duties go on from the positions that the stores
        then have. Outage if one came back from another base.
        """
        try:
            with Subscription(self.bootstrap, self.topics, self._offset, numbers=(), most=self.most) as subscription:
                while not stopped():
                    try:
                        self._own(ownership, subscription)
                        self._take(subscription.poll(_LOOK_MS))
                    except (StoreDown, RegistryDown) as error:
                        self._step_back(subscription, error)
        finally:
            for duty in self._duties.values():
                duty.close()

    def _own(self, ownership: Ownership, subscription: Subscription) -> None:
        """Take up what was given to this process, and let go of what was taken away."""
        numbers = ownership.numbers()
        if ownership.lost():
            for duty in self._duties.values():
                duty.check()
        if set(numbers) != set(self._duties):
            self._hold(numbers)
            subscription.move_to(numbers, self._offset)
        ownership.settle(numbers)

    def _hold(self, numbers: Collection[int]) -> None:
        for number in [*self._duties]:
            if number not in numbers:
                self._duties.pop(number).close()
        for number in sorted(set(numbers) - set(self._duties)):
            self._duties[number] = self._open(number)
        self._waiting.clear()

    def _open(self, number: int) -> Duty:
        duty = self.opened(number)
        before = self._waiting.get(number, duty.epoch)
        if duty.epoch != before:
            duty.close()
            raise Outage(
                f"the store of partition {number} came back from load {duty.epoch!r}, and was from {before!r}",
                where=self.bootstrap,
                next_step="see that it keeps what it is given; run the flow `features`, then start all workers again",
            )
        return duty

    def _step_back(self, subscription: Subscription, error: ServiceDown) -> None:
        """Let go of everything for a moment: what the stores hold when they are back says where to go on."""
        if self._duties:
            logger.warning("%s\n  the worker waits, and goes on from the positions that the stores then have", error)
        for number in [*self._duties]:
            duty = self._duties.pop(number)
            self._waiting[number] = duty.epoch
            duty.close()
        subscription.move_to((), self._offset)
        time.sleep(AGAIN_S)

    def _take(self, records: Sequence[Record]) -> None:
        groups: dict[int, list[Record]] = {}
        for record in records:
            groups.setdefault(record.partition, []).append(record)
        for number, duty in self._duties.items():
            if number in groups:
                duty.take(groups[number])

    def _offset(self, partition: Partition) -> int | None:
        return self._duties[partition[1]].offset(partition)
