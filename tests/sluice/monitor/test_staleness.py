"""What the table of audits says of staleness: how many vectors, why, and by how much."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.lake.tables import Lake
from sluice.monitor.audit import AUDITS, Audited, audit_rows, served_rows
from sluice.monitor.stages import stale
from sluice.monitor.staleness import Change, Steps, causes_of, staleness
from tests.sluice.monitor.test_differences import packed, row
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit

OLD = pa.schema([field for field in AUDITS if field.name in AUDITS.names[:7]])
"""The table of audits as it was before staleness was measured."""


def audits(*found: dict[str, Steps], at: int = 9) -> pa.Table:
    """Audits of one vector each, of the requests r0, r1 and so on."""
    served = [served_rows([row(request_id=f"r{place}")])[0] for place in range(len(found))]
    listed = [Audited(item, {}, steps) for item, steps in zip(served, found, strict=True)]
    return pa.Table.from_pylist(audit_rows(listed, at), schema=AUDITS)


def test_a_vector_that_knew_all_is_not_stale() -> None:
    assert stale(pipeline, [packed(spend__count_1h=3)] * 4) == {}


def test_the_steps_of_a_feature_are_its_values_at_each_stage() -> None:
    stages = [
        packed(spend__count_1h=1, spend__since_last=None),
        packed(spend__count_1h=2, spend__since_last=None, moment__channel=1),
        packed(spend__count_1h=2, spend__since_last=2.5, moment__channel=1),
        packed(spend__count_1h=4, spend__since_last=2.5, moment__channel=1),
    ]
    assert stale(pipeline, stages) == {
        "spend__count_1h": (1.0, 2.0, 2.0, 4.0),
        "spend__since_last": (None, None, 2.5, 2.5),
        "moment__channel": (0, 1, 1, 1),
    }


def test_a_cause_is_named_where_its_stage_changes_something_though_it_be_changed_back() -> None:
    assert list(causes_of((1.0, 2.0, 1.0, 1.0))) == [("pending", 1.0, 2.0), ("lateness", 2.0, 1.0)]
    assert list(causes_of((0.0, 0.0, -0.0, None))) == [("lateness", 0.0, -0.0), ("expiry", -0.0, None)]


def test_a_row_says_how_many_features_each_cause_changed_and_how() -> None:
    steps: dict[str, Steps] = {"spend__count_1h": (1.0, 2.0, 2.0, 4.0), "moment__channel": (0, 1, 1, 1)}
    (found,) = audits(steps).to_pylist()
    assert (found["pending"], found["lateness"], found["expiry"]) == (2, 0, 1)
    assert json.loads(found["staleness"]) == {"spend__count_1h": [1.0, 2.0, 2.0, 4.0], "moment__channel": [0, 1, 1, 1]}


def test_vectors_are_counted_by_their_only_cause_or_as_having_several() -> None:
    found = staleness(
        audits(
            {},
            {"spend__count_1h": (1.0, 2.0, 2.0, 2.0)},
            {"spend__count_1h": (1.0, 1.0, 2.0, 2.0), "spend__count_6h": (1.0, 1.0, 2.0, 2.0)},
            {"spend__count_1h": (1.0, 1.0, 1.0, 2.0)},
            {"spend__count_1h": (1.0, 2.0, 2.0, 2.0), "spend__count_6h": (1.0, 1.0, 2.0, 2.0)},
        )
    )
    assert (found.measured, found.stale) == (5, 4)
    assert found.vectors == {"pending": 1, "lateness": 1, "expiry": 1, "several": 1}
    assert [found.features(cause) for cause in ("pending", "lateness", "expiry")] == [2, 3, 1]


def test_the_size_of_differences_is_told_by_feature_and_cause() -> None:
    sums = [(10.0, 12.0), (10.0, 15.0), (10.0, 30.0), (30.0, 10.0)]
    found = staleness(
        audits(
            *({"spend__sum_amount_1h": (before, before, after, after)} for before, after in sums),
            {"spend__sum_amount_1h": (None, None, 7.0, 7.0), "moment__channel": (0, 1, 1, 1)},
        )
    )
    assert found.changes == [
        Change("pending", "moment__channel", 1, (), ()),
        Change("lateness", "spend__sum_amount_1h", 5, (5.0, 20.0, 20.0), (5 / 15, 20 / 30, 20 / 30)),
    ]
    assert found.relative == {"pending": (), "lateness": (5 / 15, 20 / 30, 20 / 30), "expiry": ()}


def test_what_has_no_size_is_counted_and_not_measured() -> None:
    infinite = {"moment__amount_per_spend_mean_amount_6h": (1.0, float("inf"), float("inf"), float("inf"))}
    signed = {"spend__sum_amount_1h": (0.0, -0.0, -0.0, -0.0)}
    found = staleness(audits(infinite, signed))
    assert [(change.feature, change.absolute, change.relative) for change in found.changes] == [
        ("moment__amount_per_spend_mean_amount_6h", (), ()),
        ("spend__sum_amount_1h", (0.0,) * 3, (0.0,) * 3),
    ]


def test_a_vector_that_is_audited_again_is_as_stale_as_it_was_found_last() -> None:
    earlier, later = audits({}, at=1), audits({"spend__count_1h": (1.0, 1.0, 2.0, 2.0)}, at=2)
    for order in ([earlier, later], [later, earlier]):
        found = staleness(pa.concat_tables(order))
        assert (found.measured, found.stale) == (1, 1)


def test_a_table_from_before_it_was_measured_takes_new_rows_and_says_nothing_of_the_old(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "payments")
    old = [{name: value for name, value in one.items() if name in OLD.names} for one in audits({}, {}).to_pylist()]
    lake.append_rows("audits", old, OLD)
    assert staleness(lake.read("audits")).measured == 0

    lake.append_rows("audits", audits({"spend__count_1h": (1.0, 2.0, 2.0, 2.0)}, at=10).to_pylist(), AUDITS)

    rows = lake.read("audits")
    assert rows.column_names == AUDITS.names
    assert sorted(rows.column("pending").to_pylist(), key=str) == [1, None, None]
    assert (staleness(rows).measured, staleness(rows).stale) == (1, 1)
    assert len(lake.read("audits", version=0)) == 2
