"""Members of a group: what one tells the others is what it has."""

from __future__ import annotations

import pytest
from kafka import TopicPartition
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from sluice.stream.members import Assignor

pytestmark = pytest.mark.unit


def test_a_member_claims_what_it_has_and_not_what_it_had_before_it_was_taken_for_dead() -> None:
    has = {TopicPartition("by_entity", 2), TopicPartition("by_entity", 3)}
    assignor = Assignor(lambda: has)
    assignor.on_assignment(given(2, 3), 404)
    assert claimed(assignor) == [("by_entity", [2, 3])]

    has.clear()

    # the leader keeps what is claimed from all others until it is let go of, which who has nothing of it never does
    assert claimed(assignor) == []


def test_a_member_claims_what_it_was_given_since() -> None:
    has: set[TopicPartition] = set()
    assignor = Assignor(lambda: has)
    assert claimed(assignor) == []

    has.add(TopicPartition("by_entity", 1))

    assert claimed(assignor) == [("by_entity", [1])]


def given(*numbers: int) -> ConsumerProtocolAssignment:
    topic = ConsumerProtocolAssignment.TopicPartition(topic="by_entity", partitions=list(numbers))
    told = ConsumerProtocolAssignment(version=1, assigned_partitions=[topic], user_data=b"")
    return ConsumerProtocolAssignment.decode(told.encode())


def claimed(assignor: Assignor) -> list[tuple[str, list[int]]]:
    """What the leader reads."""
    return [(one.topic, list(one.partitions)) for one in assignor.metadata(["by_entity"]).owned_partitions]
