"""Who owns which partition: a consumer group shares them out, or a person names them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Protocol, Self

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from sluice.stream.outage import PATIENCE, answering, connecting

_ROUND_MS = 500
"""How long the group is listened to before looking whether to stop."""


class Ownership(Protocol):
    """Which partitions this process owns."""

    def numbers(self) -> Collection[int]:
        """The partitions that are its own from now on."""
        ...

    def settle(self, numbers: Collection[int]) -> None:
        """It has these partitions, and has let go of all others: now somebody else may have them."""
        ...

    def lost(self) -> bool:
        """Whether the others took partitions away without waiting for it, since it last asked."""
        ...


class Named:
    """The partitions that a person named; nobody else is to be given them."""

    def __init__(self, numbers: Collection[int]) -> None:
        self._numbers = numbers

    def numbers(self) -> Collection[int]:
        """The named ones."""
        return self._numbers

    def settle(self, _: Collection[int]) -> None:
        """Nobody waits for it."""

    def lost(self) -> bool:
        """Nobody takes them away."""
        return False


class Member:
    """A member of a consumer group over one topic's partitions; it reads none of their records.

    A partition moves only when its owner has let it go, unless nothing was heard of the owner for a whole session. The
    group is listened to in a thread of its own: the client forgets a rebalance that ends while nobody is in `poll`, and
    asks for another one.
    """

    def __init__(self, bootstrap: str, topic: str, group: str, *, session_ms: int = 10_000) -> None:
        self._bootstrap = bootstrap
        self._given: frozenset[int] = frozenset()
        self._held: frozenset[int] = frozenset()
        self._changed, self._stopped = threading.Condition(), False
        self._failure: KafkaError | None = None
        with answering(bootstrap), connecting():
            self._consumer = KafkaConsumer(
                bootstrap_servers=bootstrap,
                group_id=group,
                enable_auto_commit=False,
                session_timeout_ms=session_ms,
                heartbeat_interval_ms=session_ms // 5,
                partition_assignment_strategy=[Assignor(self._assigned)],
                **PATIENCE,
            )
            self._watch = _Watch(self._consumer)
            self._consumer.subscribe([topic], listener=self._watch)
        self._thread = threading.Thread(target=self._listen, name=group, daemon=True)
        self._thread.start()

    def numbers(self) -> Collection[int]:
        """What the group gives it; ServiceDown when the group will not have it."""
        if self._failure is not None:
            with answering(self._bootstrap):
                raise self._failure
        return self._given

    def settle(self, numbers: Collection[int]) -> None:
        """It has these partitions, and has let go of all others: now somebody else may have them."""
        with self._changed:
            self._held = frozenset(numbers)
            self._changed.notify()

    def lost(self) -> bool:
        """Whether it was taken for dead since it last asked."""
        found, self._watch.lost = self._watch.lost, False
        return found

    def close(self) -> None:
        """Leave the group, so that the others have its partitions at once."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()
        self._consumer.close()

    def _assigned(self) -> Collection[TopicPartition]:
        assigned: set[TopicPartition] = self._consumer.assignment()
        return assigned

    def _listen(self) -> None:
        try:
            while not self._stopped:
                self._consumer.poll(timeout_ms=_ROUND_MS)
                with self._changed:
                    self._given = frozenset(partition.partition for partition in self._assigned())
                    # until then it does not join again, and what it had is nobody else's
                    self._changed.wait_for(lambda: self._stopped or self._held == self._given)
        except KafkaError as error:
            self._failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Assignor(CooperativeStickyAssignor):  # type: ignore[misc] # kafka has no types
    """Tells the group what the member has at that moment, as the protocol asks for (KIP-429).

    kafka-python's own tells what it was given last, also when that was lost: the leader keeps it from the others until
    the member lets go of it, and a member that has nothing of it never does.
    """

    def __init__(self, held: Callable[[], Collection[TopicPartition]]) -> None:
        super().__init__()
        self._held = held

    def metadata(self, topics: Iterable[str]) -> object:
        """What the member tells the group when it joins."""
        self.member_assignment = sorted(self._held())
        return super().metadata(topics)


class _Watch(ConsumerRebalanceListener):  # type: ignore[misc] # kafka has no types
    """Notes what the group does; it runs in the client's own thread."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.lost = False

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Fetch nothing: the records are read by a subscription, from where the stores stand."""
        self._consumer.pause(*assigned)

    def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """They move when this member joins again, which it does when it has let them go."""

    def on_partitions_lost(self, _: Iterable[TopicPartition]) -> None:
        """They have moved already."""
        self.lost = True
