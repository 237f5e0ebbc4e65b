"""Reading topics from given offsets: positions are kept where the effect is, never in Kafka."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import chain
from types import TracebackType
from typing import Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import LogTruncationError, OffsetOutOfRangeError

from sluice.engine.store import Partition
from sluice.errors import Outage, UserError
from sluice.stream.outage import PATIENCE, answering, connecting
from sluice.stream.records import Record

_WAIT_MS = 500
"""How long the broker may hold an empty answer back; a record ends the wait, so this only spares idle questions."""


class Subscription:
    """Partitions of some topics, each from its next offset; a partition without one starts at its first record.

    All of them, or those of the given numbers, which may change later. UserError when a topic is missing, ServiceDown
    when Kafka does not answer. A broker that goes away later only makes `poll` return nothing until it is back.
    """

    def __init__(
        self,
        bootstrap: str,
        topics: Sequence[str],
        position: Callable[[Partition], int | None],
        *,
        numbers: Collection[int] | None = None,
        most: int = 1000,
    ) -> None:
        self._bootstrap = bootstrap
        with answering(bootstrap), connecting():
            self._consumer = KafkaConsumer(
                bootstrap_servers=bootstrap,
                enable_auto_commit=False,
                # an offset that the log does not have is an accident, not a reason to start again somewhere else
                auto_offset_reset="none",
                max_poll_records=most,
                fetch_max_wait_ms=_WAIT_MS,
                **PATIENCE,
                group_id=None,
            )
        try:
            with answering(bootstrap):
                self._held = {topic: self._partitions_of(topic) for topic in topics}
                self._assign(numbers, position)
        except BaseException:
            self._consumer.close()
            raise

    def poll(self, wait_ms: int) -> list[Record]:
        """The next records of every partition, in offset order within each; none when nothing came in time."""
        with answering(self._bootstrap):
            try:
                return list(chain.from_iterable(self._consumer.poll(timeout_ms=wait_ms).values()))
            except (LogTruncationError, OffsetOutOfRangeError) as error:
                raise Outage(
                    f"the log does not hold the next records to read ({error})",
                    where=self._bootstrap,
                    next_step="bring the topic back; or, if it was made anew on purpose, start from a fresh base",
                ) from None

    def seek(self, position: Callable[[Partition], int | None]) -> None:
        """Go on from other offsets; a partition without one starts at its first record."""
        for partition in sorted(self._consumer.assignment()):
            self._seek(partition, position)

    @property
    def partitions(self) -> list[Partition]:
        """What is read."""
        return [(partition.topic, partition.partition) for partition in self._consumer.assignment()]

    def ends(self) -> dict[Partition, int]:
        """The offset after the last record of every partition."""
        with answering(self._bootstrap):
            ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        return {(partition.topic, partition.partition): end for partition, end in ends.items()}

    def beginnings(self) -> dict[Partition, int]:
        """The offset of the first record that the broker still has of every partition."""
        with answering(self._bootstrap):
            found = self._consumer.beginning_offsets(list(self._consumer.assignment()))
        return {(partition.topic, partition.partition): first for partition, first in found.items()}

    def since(self, moment: int) -> dict[Partition, int]:
        """The first offset of every partition whose record is of a moment (in microseconds) or later; else its end."""
        asked = dict.fromkeys(self._consumer.assignment(), -(-moment // 1000))
        with answering(self._bootstrap):
            found = self._consumer.offsets_for_times(asked)
        held = {(partition.topic, partition.partition): one.offset for partition, one in found.items() if one}
        return self.ends() | held

    def next_offsets(self) -> dict[Partition, int]:
        """The offset from which on each partition is read next; it passes those at which there is no record."""
        with answering(self._bootstrap):
            return {
                (partition.topic, partition.partition): self._consumer.position(partition)
                for partition in self._consumer.assignment()
            }

    def move_to(self, numbers: Collection[int], position: Callable[[Partition], int | None]) -> None:
        """Read the partitions of these numbers from now on: those that stay go on, others start at their offsets."""
        with answering(self._bootstrap):
            self._assign(numbers, position)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def _assign(self, numbers: Collection[int] | None, position: Callable[[Partition], int | None]) -> None:
        before = self._consumer.assignment()
        partitions = [
            TopicPartition(topic, number)
            for topic, held in self._held.items()
            for number in sorted(held if numbers is None else held & {*numbers})
        ]
        self._consumer.assign(partitions)
        for partition in partitions:
            if partition not in before:
                self._seek(partition, position)

    def _seek(self, partition: TopicPartition, position: Callable[[Partition], int | None]) -> None:
        offset = position((partition.topic, partition.partition))
        if offset is None:
            self._consumer.seek_to_beginning(partition)
        else:
            self._consumer.seek(partition, offset)

    def _partitions_of(self, topic: str) -> set[int]:
        found: set[int] = self._consumer.partitions_for_topic(topic)
        if not found:
            raise UserError(
                f"there is no topic {topic!r}", where=self._bootstrap, next_step="sluice stream topics PIPELINE"
            )
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
