"""What the embedded broker promises: loopback, any record time, kept for ever, no topic by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.local.kafka_broker import properties
from sluice.settings import settings

pytestmark = pytest.mark.unit


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    given = properties(settings(), tmp_path)

    assert given["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert given["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"


def test_records_are_kept_for_ever_and_may_carry_any_time(tmp_path: Path) -> None:
    given = properties(settings(), tmp_path)

    assert (given["log.retention.ms"], given["log.retention.bytes"]) == ("-1", "-1")
    assert given["log.message.timestamp.before.max.ms"] == "9223372036854775807"
    assert given["log.message.timestamp.after.max.ms"] == "9223372036854775807"


def test_a_topic_is_made_only_on_purpose_and_has_one_partition_then(tmp_path: Path) -> None:
    given = properties(settings(), tmp_path)

    assert (given["auto.create.topics.enable"], given["num.partitions"]) == ("false", "1")
