"""A day reads the stored tiles of the entities that it touches, and older rows only for what came very late."""

from __future__ import annotations

from pathlib import Path

import deltalake
import orjson
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from tests.sluice.lake.test_daily import PIPELINES, assert_whole, gone_on
from tests.sluice.stream.feeds import START, Message
from tests.sluice.stream.histories import History

pytestmark = pytest.mark.integration

FIRST = [START + number * 10 * MINUTE for number in range(200)]
AT = FIRST[-1]


def paid(number: int, time: int, *, at: int | None = None) -> Message:
    """A payment of one of five cards at one of three shops, that came when it was made."""
    row = {"payment_id": number, "paid_at": rfc3339(time), "card": number % 5, "shop": "abc"[number % 3]}
    row |= {"amount": 1 + number % 7, "channel": ("pos", "web")[number % 2], "country": ("DE", None)[number % 2]}
    return Message("payments", orjson.dumps(row), time if at is None else at, [])


def told(number: int, time: int) -> Message:
    row = {"dispute_id": number, "payment_id": number, "is_fraud": number % 2, "disputed_at": rfc3339(time)}
    return Message("disputes", orjson.dumps(row), time, [])


@pytest.fixture
def history(tmp_path: Path, declared: Pipeline, file: str) -> History:
    """A day and a half with its backfill; of its rows in buckets no file is there any more."""
    made = History(tmp_path, declared, file)
    made.deliver("first", [paid(number, time) for number, time in enumerate(FIRST)])
    made.deliver("told", [told(number, FIRST[number] + HOUR) for number in range(0, 180, 6)])
    gone_on(made, AT)
    for view in declared.windows:
        held = deltalake.DeltaTable(made.lake.uri(f"rows/{view.name}"))
        for uri in held.file_uris():
            Path(uri).rename(f"{uri}.away")
    return made


def restore(history: History) -> None:
    for path in history.folder.glob("lake/**/*.away"):
        path.rename(path.with_suffix(""))


@PIPELINES
def test_a_day_is_computed_without_the_rows_before_it(history: History) -> None:
    times = [AT + number * 20 * MINUTE for number in range(1, 25)]
    history.deliver("a day", [paid(200 + number, time) for number, time in enumerate(times)])
    history.deliver("told of it", [told(number, times[-1]) for number in (196, 199, 201)])

    (said,) = gone_on(history, times[-1])

    assert said.startswith("going on from")
    restore(history)
    assert_whole(history, times[-1])


@PIPELINES
def test_so_it_is_with_what_came_as_late_as_is_accepted(history: History) -> None:
    history.deliver("late", [paid(200, AT + HOUR), paid(201, AT - 2 * HOUR + MINUTE, at=AT + HOUR)])

    gone_on(history, AT + HOUR)

    restore(history)
    assert_whole(history, AT + HOUR)


@PIPELINES
def test_what_came_later_than_that_is_computed_from_the_rows_of_its_entities(history: History) -> None:
    history.deliver("very late", [paid(200, AT + HOUR), paid(206, AT - 5 * HOUR, at=AT + HOUR)])

    with pytest.raises(FileNotFoundError):
        gone_on(history, AT + HOUR)

    restore(history)
    (said,) = gone_on(history, AT + HOUR)
    assert said.startswith("going on from")
    assert_whole(history, AT + HOUR)
