"""Reading topics from given offsets: positions are kept where the effect is, never in Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from types import TracebackType
from typing import Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from sluice.errors import ServiceDown
from sluice.stream.records import Record


class Subscription:
    """All partitions of some topics, each from its next offset; a partition without one starts at its first record."""

    def __init__(
        self, bootstrap: str, topics: Sequence[str], positions: Mapping[tuple[str, int], int], *, most: int = 1000
    ) -> None:
        try:
            self._consumer = KafkaConsumer(
                bootstrap_servers=bootstrap,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_poll_records=most,
                fetch_max_wait_ms=50,
                group_id=None,
            )
        except KafkaError as error:
            raise ServiceDown(f"Kafka does not answer ({error})", where=bootstrap, next_step="sluice up") from None
        self.partitions = [
            TopicPartition(topic, part)
            for topic in topics
            for part in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]
        self._consumer.assign(self.partitions)
        for partition in self.partitions:
            offset = positions.get((partition.topic, partition.partition))
            if offset is None:
                self._consumer.seek_to_beginning(partition)
            else:
                self._consumer.seek(partition, offset)

    def poll(self, wait_ms: int) -> list[Record]:
        """The next records of every partition, in offset order within each; none when nothing came in time."""
        return list(chain.from_iterable(self._consumer.poll(timeout_ms=wait_ms).values()))

    def ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last record of every partition."""
        ends = self._consumer.end_offsets(self.partitions)
        return {(partition.topic, partition.partition): end for partition, end in ends.items()}

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
