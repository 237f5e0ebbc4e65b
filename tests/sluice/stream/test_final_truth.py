"""Corrections, reversals and deletes: what is left is what a lake has that saw only the final truth.

Inside the horizon they may come by topic; older ones have to come by file. By topic those are listed as expired, and
every other event's values are what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR, MINUTE
from sluice.lake.accounts import accounts
from sluice.lake.plan import Plan
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.properties import examples
from tests.sluice.lake.tile_tables import tiles_at
from tests.sluice.stream.feeds import START, Message
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

TWO_DAYS = START + 48 * HOUR
END = START + 96 * HOUR
HORIZON = max(view.horizon for view in pipeline.windows)
KINDS = ("kept", "corrected", "corrected twice", "moved", "deleted")
PAID = st.tuples(st.integers(0, 1), st.integers(1, 3), st.sampled_from(KINDS))
"""A card, an amount, and what becomes of it."""
TOLD = st.tuples(st.integers(0, 7), st.booleans(), st.sampled_from(KINDS))
"""A dispute about one of the payments, what it says, and what becomes of it."""
OLD = st.tuples(st.integers(0, 7), st.sampled_from(KINDS[1:]))
"""What is changed two days later."""


@dataclass(frozen=True)
class Story:
    """What was told in time, and what was told two days later."""

    first: Sequence[Message]
    later: Sequence[Message]


@settings(max_examples=examples(50))
@given(st.lists(PAID, min_size=8, max_size=8), st.lists(TOLD, max_size=4), st.lists(OLD, max_size=3), st.booleans())
def test_what_is_left_is_what_a_lake_has_that_saw_only_the_final_truth(
    tmp_path_factory: pytest.TempPathFactory, paid: list[Any], told: list[Any], old: list[Any], by_file: bool
) -> None:
    story = _story(paid, told, dict(old))
    whole = _lake(tmp_path_factory.mktemp("whole"), story, by_file=by_file)
    truth = _final([*story.first, *(story.later if by_file else [])])
    final = _lake(
        tmp_path_factory.mktemp("final"),
        Story([one for one in story.first if one in truth], [one for one in story.later if one in truth]),
        by_file=by_file,
    )
    changed = set() if by_file else {_row(one)["payment_id"] for one in story.later}
    assert _vectors(whole, changed) == _vectors(final, changed)
    for view in pipeline.windows:
        assert tiles_at(whole.lake, view, END) == tiles_at(final.lake, view, END)
    assert accounts(whole.lake, "payments", horizon=HORIZON).expired == (0 if by_file else len(story.later))
    late = {} if whole.lake.open("late/payments") is None else {row["_id"] for row in whole.lake.rows("late/payments")}
    assert changed <= set(late)


def _story(paid: list[Any], told: list[Any], old: dict[int, str]) -> Story:
    messages = []
    rows = [
        {"payment_id": number, "paid_at": rfc3339(at), "card": card, "shop": "a", "amount": amount, "channel": "pos"}
        for number, (card, amount, _) in enumerate(paid)
        for at in [START + number * HOUR]
    ]
    for row, (_, _, kind) in zip(rows, paid, strict=True):
        at = START + row["payment_id"] * HOUR
        messages.append(_message("payments", row, at))
        messages += _changes("payments", row, kind, at + 20 * MINUTE)
    for number, (about, is_fraud, kind) in enumerate(told):
        at = START + (8 + number) * HOUR
        row = {"dispute_id": number, "disputed_at": rfc3339(at), "payment_id": about, "is_fraud": int(is_fraud)}
        messages.append(_message("disputes", row, at))
        messages += _changes("disputes", row, kind, at + 20 * MINUTE)
    # time goes on, with somebody else's payments
    for number, at in ((100, TWO_DAYS), (101, END - HOUR)):
        row = {"payment_id": number, "paid_at": rfc3339(at), "card": 9, "shop": "z", "amount": 1, "channel": "pos"}
        messages.append(_message("payments", row, at))
    later = [
        change
        for number, kind in sorted(old.items())
        for change in _changes("payments", rows[number], kind, END - MINUTE, first=5)[-1:]
    ]
    return Story(sorted(messages, key=lambda message: message.at), later)


def _changes(stream: str, row: dict[str, Any], kind: str, at: int, first: int = 1) -> list[Message]:
    changed, moved = (
        ({"amount": 7}, {"card": 2, "shop": "b"}) if stream == "payments" else ({"is_fraud": 0}, {"payment_id": 3})
    )
    match kind:
        case "corrected":
            return [_message(stream, row | changed, at, _revision=first)]
        case "corrected twice":
            between = _message(stream, row | moved, at, _revision=first)
            return [between, _message(stream, row | changed, at + MINUTE, _revision=first + 1)]
        case "moved":
            return [_message(stream, row | moved, at, _revision=first)]
        case "deleted":
            return [_message(stream, row, at, _revision=first, _op="delete")]
    return []


def _message(stream: str, row: dict[str, Any], at: int, **headers: object) -> Message:
    return Message(stream, orjson.dumps(row), at, [(name, str(value).encode()) for name, value in headers.items()])


def _row(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(message.payload)
    return found


def _final(messages: Sequence[Message]) -> list[Message]:
    """The last word about each event, without those that were taken back."""
    last = {(one.stream, _row(one)[pipeline.stream(one.stream).id]): one for one in messages}
    return [one for one in last.values() if ("_op", b"delete") not in one.headers]


def _lake(folder: Path, story: Story, *, by_file: bool) -> History:
    history = History(folder, pipeline)
    history.produce(story.first if by_file else [*story.first, *story.later])
    history.archive()
    history.ingest_archived("told", END)
    if by_file and story.later:
        history.deliver("later", story.later)
    uri = str(folder / "lake")
    asked = Plan(str(FILE), uri, history.lake.version("batches"), END, 1)
    backfill(Here(), asked, tell=lambda _: None)
    return history


def _vectors(history: History, without: set[int]) -> list[dict[str, Any]]:
    rows = history.lake.read("vectors").sort_by("event_id").to_pylist()
    return [row for row in rows if row["event_id"] not in without]
