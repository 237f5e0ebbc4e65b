"""What was started is written down so that no crash leaves it unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.local.records import Record, Records, home_of

pytestmark = pytest.mark.unit


def test_an_intended_start_is_on_disk_before_there_is_a_process(tmp_path: Path) -> None:
    intent = Records(tmp_path).intend("kafka", "127.0.0.1:1")

    assert Records(tmp_path).read("kafka") == intent
    assert (intent.pid, intent.started, intent.log) == (None, None, f"{tmp_path}/logs/kafka.log")


def test_two_starts_of_one_service_have_different_tokens_of_one_home(tmp_path: Path) -> None:
    first, second = (Records(tmp_path).intend("kafka", "127.0.0.1:1").token for _ in range(2))

    assert first != second
    assert home_of(first) == home_of(second) == str(tmp_path)


def test_a_record_is_replaced_whole_and_forgotten_whole(tmp_path: Path) -> None:
    records = Records(tmp_path)
    record = Record("ray", "127.0.0.1:1", "token", "ray.log").with_process(4711, 12.5)

    records.write(record)
    assert records.all() == [record]

    records.forget("ray")
    assert records.all() == []
    assert records.read("ray") is None


def test_forgetting_what_was_never_written_is_no_error(tmp_path: Path) -> None:
    Records(tmp_path).forget("kafka")
