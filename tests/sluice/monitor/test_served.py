"""What was served, as detectors and quality measures get it back from the lake."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import DAY, HOUR
from sluice.lake.tables import Lake
from sluice.monitor.drift.columns import MISSING
from sluice.monitor.served import (
    event_ids,
    history_columns,
    labelled,
    served,
    served_columns,
    told_events,
    value_columns,
)
from sluice.stream.predictions import PREDICTIONS
from tests.sluice.engine.pipelines import clinic
from tests.sluice.stream import priced
from tests.sluice.stream.feeds import START, Message
from tests.sluice.stream.histories import History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit

DAY_NUMBER = START // DAY


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), pipeline.name)


def packed(**values: float | None) -> bytes:
    """A vector of nulls but for some values."""
    words, valid = b"", 0
    for index, place in enumerate(pipeline.features):
        value = values.get(place.name)
        words += struct.pack("<d" if place.kind == "number" else "<q", 0 if value is None else value)
        valid |= (value is not None) << index
    return words + valid.to_bytes((len(pipeline.features) + 7) // 8, "little")


def answer(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(PREDICTIONS.names)
    own = {"event_id": "7", "event_time": START, "answered": START + 5, "segment": "pos", "role": "champion"}
    return {**row, **own, "keys": '{"card":1}', "score": 0.5, "vector": packed(), **changes}


def test_answers_are_those_of_the_span_and_the_segment(lake: Lake) -> None:
    rows = [
        answer(event_id="at since", answered=10),
        answer(event_id="inside", answered=11),
        answer(event_id="at until", answered=20, role="canary"),
        answer(event_id="after", answered=21),
        answer(event_id="shadow", answered=15, role="shadow"),
        answer(event_id="other", answered=15, segment="web", role="fallback"),
    ]
    lake.append_rows("predictions", rows, PREDICTIONS)

    assert served(lake, "pos", 10, 20).column("event_id").to_pylist() == ["inside", "at until"]
    assert served(lake, None, 10, 20).column("event_id").to_pylist() == ["inside", "at until", "other"]


def test_nothing_was_served_before_the_first_answer(lake: Lake) -> None:
    assert served(lake, None, 0, 10**18).schema == PREDICTIONS


def test_vectors_become_columns_and_hashes_are_left_out() -> None:
    vectors = [packed(spend__count_1h=3, moment__channel=1, moment__channel_x_country=99), packed(spend__count_1h=4)]
    rows = [answer(vector=vectors[0], score=0.25), answer(vector=vectors[1], event_time=START + DAY, score=0.75)]

    columns, scores = served_columns(pipeline, pa.Table.from_pylist(rows, schema=PREDICTIONS))

    by_name = {column.name: column for column in columns}
    assert "moment__channel_x_country" not in by_name
    assert by_name["spend__count_1h"].values.tolist() == [3.0, 4.0]
    assert by_name["moment__channel"].values.tolist() == [1, MISSING]
    assert all(math.isnan(value) for value in by_name["spend__since_last"].values)
    assert [column.days.tolist() for column in scores] == [[DAY_NUMBER, DAY_NUMBER + 1]]
    assert scores[0].values.tolist() == [0.25, 0.75]


def test_backfilled_vectors_give_the_columns_of_served_ones() -> None:
    table = pa.table(
        {
            "event_time": pa.array([START]),
            **{
                place.name: pa.array(
                    [2.0 if place.kind == "number" else 1], None if place.kind == "number" else "int64"
                )
                for place in pipeline.features
            },
        }
    )
    rows = [answer(vector=packed(**{p.name: 2.0 if p.kind == "number" else 1 for p in pipeline.features}))]

    from_history = history_columns(pipeline, table)
    from_log, _ = served_columns(pipeline, pa.Table.from_pylist(rows, schema=PREDICTIONS))

    assert [(c.name, c.kind, c.values.tolist(), c.days.tolist()) for c in from_history] == [
        (c.name, c.kind, c.values.tolist(), c.days.tolist()) for c in from_log
    ]


def test_what_is_looked_up_and_seasons_are_watched_like_any_other_feature() -> None:
    looked_up = {
        place.name: (np.array([1.0 if place.kind == "number" else 1]), np.array([False]))
        for place in priced.pipeline.features
    }
    looked_up |= {"calendar__is_holiday": (np.array([0.5]), np.array([True]))}
    looked_up |= {"terms__plan": (np.array([1]), np.array([True]))}
    found = {column.name: column for column in value_columns(priced.pipeline, looked_up, np.array([19_000]))}
    shown = {name: (found[name].kind, found[name].values.tolist()) for name in found}
    assert shown["calendar__is_holiday"] == ("numeric", [0.5])
    assert shown["terms__plan"] == ("categorical", [1])
    assert shown["moment__season"] == ("categorical", [MISSING])
    assert math.isnan(found["prices__level"].values[0])
    assert "moment__kind" not in found


def test_answers_are_divided_by_whether_their_label_is_mature(tmp_path: Path) -> None:
    history = History(tmp_path, pipeline)
    history.deliver("told", [dispute(1, about=7, hour=1), dispute(2, about=9, hour=11)])
    rows = [
        answer(event_id="7", score=0.9, keys='{"card":4}'),
        answer(event_id="8", score=0.1),
        answer(event_id="9", score=0.2, event_time=START + 5 * HOUR),
        answer(event_id="", score=0.3),
    ]
    table = pa.Table.from_pylist(rows, schema=PREDICTIONS)

    mature, newest = labelled(history.lake, pipeline, table, at=START + 12 * HOUR)

    assert list(zip(mature.scores, mature.labels, mature.cards, strict=True)) == [
        (0.9, 1, "4"),
        (0.1, 0, "1"),
        (0.3, 0, "1"),
    ]
    assert newest.scores.tolist() == [0.2]
    assert mature.days.tolist() == [DAY_NUMBER] * 3


def test_before_anything_was_told_everything_is_absent(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), pipeline.name)
    table = pa.Table.from_pylist([answer()], schema=PREDICTIONS)

    assert len(told_events(lake, pipeline)) == 0
    mature, newest = labelled(lake, pipeline, table, at=START + 10 * HOUR)
    assert (mature.labels.tolist(), len(newest)) == ([0], 0)


def test_ids_come_back_in_their_type() -> None:
    assert event_ids(pipeline, ["7", "", "-3"]).to_pylist() == [7, None, -3]
    assert event_ids(clinic(), ["a", "7"]).to_pylist() == ["a", "7"]


def dispute(id_: int, *, about: int, hour: int) -> Message:
    row = {"dispute_id": id_, "disputed_at": rfc3339(START + hour * HOUR), "payment_id": about, "is_fraud": 1}
    return Message("disputes", orjson.dumps(row), START + hour * HOUR)


def test_days_are_numbers_of_whole_days() -> None:
    rows = [answer(event_time=START - 1), answer(event_time=START + DAY - 1)]

    _, scores = served_columns(pipeline, pa.Table.from_pylist(rows, schema=PREDICTIONS))

    assert np.diff(scores[0].days).tolist() == [1]
