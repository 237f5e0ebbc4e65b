from __future__ import annotations

import datetime as dt
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest

from sluice.declare.retraining import DriftRule
from sluice.errors import DataError
from sluice.monitor.drift.checks import DriftRow, Watch, watch
from sluice.monitor.drift.columns import Column

pytestmark = pytest.mark.unit

RULE = DriftRule(persistence=(2, 3), ignore=("weekday",))


def sample(
    first: int, days: int, rows: int = 120, *, seed: int = 0, scale: float = 1.0
) -> tuple[list[Column], list[Column]]:
    random = np.random.default_rng([seed, first])
    on = np.repeat(np.arange(first, first + days), rows)
    amounts = random.lognormal(3, 0.6, len(on)) * scale
    channels = random.choice(4, len(on), p=[0.4, 0.3, 0.2, 0.1])
    features = [Column("amount", amounts, on), Column("country", channels, on), Column("weekday", on % 7, on)]
    return features, [Column("score", 1 / (1 + 50 / amounts), on)]


@pytest.fixture(scope="module")
def watched() -> Watch:
    features, scores = sample(100, 60)
    return watch("online", features, scores, rule=RULE, reference="training-7", engine="twin")


def run(watched: Watch, scales: list[float]) -> list[tuple[DriftRow, ...]]:
    history: list[DriftRow] = []
    checks = []
    for step, scale in enumerate(scales):
        checks.append(watched.check(*sample(200 + 5 * step, 5, scale=scale), history))
        history += checks[-1]
    return checks


def test_a_check_has_a_row_per_watched_column(watched: Watch) -> None:
    rows = run(watched, [1.0])[0]
    assert [(row.kind, row.column) for row in rows] == [
        ("feature", "amount"),
        ("feature", "country"),
        ("score", "score"),
    ]
    assert {(row.segment, row.reference, row.rows) for row in rows} == {("online", "training-7", 600)}
    assert {row.day for row in rows} == {dt.date(1970, 7, 24)}
    assert {row.detector for row in rows} <= {"twin.ks:values", "twin.chi2:categories", "twin.fet:null"}


def test_amounts_times_one_point_eight_alarm_at_the_second_check_after_the_shift(watched: Watch) -> None:
    checks = run(watched, [1.0, 1.0, 1.8, 1.8, 1.8])
    alarms = [[row.column for row in rows if row.alarm] for rows in checks]
    assert alarms == [[], [], [], ["amount", "score"], ["amount", "score"]]


def test_one_odd_check_is_no_alarm(watched: Watch) -> None:
    checks = run(watched, [1.0, 1.8, 1.0, 1.0, 1.0, 1.8, 1.0])
    assert not any(row.alarm for rows in checks for row in rows)
    assert [rows[0].exceeded for rows in checks] == [False, True, False, False, False, True, False]


def test_two_odd_checks_of_three_are_an_alarm(watched: Watch) -> None:
    checks = run(watched, [1.8, 1.0, 1.8])
    assert [rows[0].alarm for rows in checks] == [False, False, True]


def test_sixty_quiet_days_of_three_segments_raise_no_alarm() -> None:
    for seed in range(3):
        features, scores = sample(100, 60, seed=seed)
        calm = watch("pos", features, scores, rule=RULE, reference="r", engine="twin")
        history: list[DriftRow] = []
        for day in range(160, 220):
            history += calm.check(*sample(day, 1, seed=seed), history)
        assert len(history) == 60 * 3
        assert not any(row.alarm for row in history)


def test_a_check_repeated_gives_the_same_rows(watched: Watch) -> None:
    checks = run(watched, [1.8, 1.8])
    history = [row for rows in checks for row in rows]
    assert watched.check(*sample(205, 5, scale=1.8), history) == checks[1]


@pytest.mark.parametrize(
    "other", [{"segment": "pos"}, {"reference": "training-6"}, {"column": "hour"}, {"kind": "score"}]
)
def test_checks_of_another_segment_reference_or_column_do_not_add_up(watched: Watch, other: dict[str, str]) -> None:
    first = run(watched, [1.8])[0]
    elsewhere = [replace(row, **other) for row in first if row.column == "amount"]
    second = watched.check(*sample(205, 5, scale=1.8), elsewhere)
    assert not second[0].alarm
    assert watched.check(*sample(205, 5, scale=1.8), first)[0].alarm


def test_a_rule_without_persistence_alarms_at_once() -> None:
    features, scores = sample(100, 60)
    quick = watch("online", features, scores, rule=DriftRule(persistence=(1, 1)), reference="r", engine="twin")
    assert quick.check(*sample(200, 5, scale=1.8))[0].alarm


def test_no_rows_no_answer(watched: Watch) -> None:
    features, scores = sample(200, 0)
    assert watched.check(features, scores) == ()


def test_a_watched_column_that_is_absent_is_an_error(watched: Watch) -> None:
    features, scores = sample(200, 1)
    with pytest.raises(DataError, match="no column amount"):
        watched.check(features[1:], scores)


def test_rows_go_to_an_arrow_table_and_back(watched: Watch) -> None:
    rows = run(watched, [1.8])[0]
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    assert table.schema.field("day").type == pa.date32()
    assert tuple(DriftRow(**row) for row in table.to_pylist()) == rows
