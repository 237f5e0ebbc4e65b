"""Kafka's client is quiet while it looks for its broker, and heard once it has one."""

from __future__ import annotations

import logging

import pytest

from sluice.errors import ServiceDown
from sluice.local.ports import free_port
from sluice.stream.outage import connecting
from sluice.stream.topics import spread_of_topics
from tests.sluice.stream.priced import pipeline

KAFKA = logging.getLogger("kafka.client_async")


@pytest.mark.unit
def test_what_the_client_says_is_heard_before_and_after_it_connects_and_not_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    KAFKA.warning("before")
    with connecting():
        KAFKA.error("meanwhile")
        with connecting():  # another thread's
            KAFKA.error("meanwhile")
        KAFKA.error("meanwhile")
    KAFKA.warning("after")
    assert caplog.messages == ["before", "after"]


@pytest.mark.integration
def test_a_broker_that_is_away_is_one_message(caplog: pytest.LogCaptureFixture) -> None:
    address = f"127.0.0.1:{free_port(21_000)}"
    with pytest.raises(ServiceDown, match=f"^{address}: Kafka does not answer"):
        spread_of_topics(address, pipeline)
    assert caplog.messages == []
