"""Gates: exact boundaries, and what a person reads."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.decisions import Finding, Verdict
from sluice.declare.columns import Key
from sluice.declare.operate import Gates
from sluice.declare.operate import Shift as Allowed
from sluice.declare.streams import Stream
from sluice.lake.baselines.distances import Distance
from sluice.lake.baselines.shifts import Shift
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.gates.usual import Usual
from sluice.lake.gates.verdict import GATES as NAMES
from sluice.lake.gates.verdict import judge

pytestmark = pytest.mark.unit

STREAM = Stream("s", id="id", time="at", columns={"key": Key()}, freshness="1h", max_skew="5min")
GATES = Gates(min_rows=100, max_quarantined=0.05, max_orphans=0.02)
AT = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC."""
HOUR = 3_600_000_000
BEFORE = Usual(3, {"gift": 0.1, "tip": 0.0})


def evidence(**changes: Any) -> BatchEvidence:
    good: dict[str, Any] = {"rows": 100, "quarantined": {}, "newest": AT, "foreign_keys": 100, "orphans": 0}
    return BatchEvidence(**{**good, **changes})


def found(rule: str, gates: Gates = GATES, **changes: Any) -> Finding:
    return next(one for one in judge(STREAM, gates, evidence(**changes), BEFORE, AT) if one.rule == rule)


def test_every_rule_has_a_finding_also_when_it_passes() -> None:
    findings = judge(STREAM, GATES, evidence(), BEFORE, AT)
    names = ("count", "quarantined", "columns", "missing", "freshness", "lateness", "positions", "seam")
    assert tuple(one.rule for one in findings) == NAMES == (*names, "distribution", "foreign_keys", "restatement")
    assert {one.verdict for one in findings} == {Verdict.PASS}


@pytest.mark.parametrize(("rows", "verdict"), [(99, Verdict.STOP), (100, Verdict.PASS), (0, Verdict.STOP)])
def test_the_count_stops_below_the_least(rows: int, verdict: Verdict) -> None:
    assert found("count", rows=rows).verdict is verdict


def test_the_count_is_of_all_rows_also_refused_ones() -> None:
    finding = found("count", quarantined={"type": 60})
    assert (finding.verdict, finding.message) == (
        Verdict.PASS,
        "100 rows, at least 100 expected; fewer than 4 batches to compare with",
    )
    assert finding.evidence == {"rows": 100, "least": 100, "weekday": "Thursday", "compared": True}


SUNDAYS = [("Sunday", rows) for rows in (90, 100, 100, 120)]
THURSDAYS = [("Thursday", rows) for rows in (900, 1_000, 1_000, 1_200)]


@pytest.mark.parametrize(
    ("rows", "before", "verdict"),
    [
        (5_000, [*SUNDAYS, *THURSDAYS], Verdict.PASS),  # it is a Thursday
        (5_001, [*SUNDAYS, *THURSDAYS], Verdict.STOP),
        (200, [*SUNDAYS, *THURSDAYS], Verdict.PASS),
        (199, [*SUNDAYS, *THURSDAYS], Verdict.STOP),
        (501, SUNDAYS, Verdict.STOP),  # no Thursday yet: as in any batch
        (10_000, [*SUNDAYS[:2], *THURSDAYS[:1]], Verdict.PASS),  # too few to say what is usual
    ],
)
def test_ten_times_the_rows_of_that_weekday_stop_and_a_quiet_day_does_not(
    rows: int, before: list[tuple[str, int]], verdict: Verdict
) -> None:
    findings = judge(STREAM, Gates(), evidence(rows=rows), Usual(rows=before), AT)
    assert findings[0].verdict is verdict


def test_the_reader_learns_how_many_rows_are_usual() -> None:
    findings = judge(STREAM, Gates(), evidence(rows=10_000), Usual(rows=THURSDAYS), AT)
    assert findings[0].message == (
        "10,000 rows, at least 1 expected; 1,000 are usual on a Thursday, 200 to 5,000 allowed"
    )
    anyhow = judge(STREAM, Gates(max_count_change=None), evidence(rows=10_000), Usual(rows=THURSDAYS), AT)
    assert (anyhow[0].verdict, anyhow[0].message) == (Verdict.PASS, "10,000 rows, at least 1 expected")


@pytest.mark.parametrize(("refused", "verdict"), [(5, Verdict.PASS), (6, Verdict.STOP)])
def test_refused_rows_stop_above_their_share(refused: int, verdict: Verdict) -> None:
    assert found("quarantined", quarantined={"type": 2, "range": refused - 2}).verdict is verdict


def test_the_reader_learns_which_rules_refused_and_sees_examples() -> None:
    refused = {"type": 1_000, "missing": 2}
    finding = found("quarantined", rows=2_000, quarantined=refused, examples=['amount is "x", not int64'])
    assert finding.message == (
        '50.10% of the rows refused (missing 2, type 1,000), at most 5.00% allowed; amount is "x", not int64'
    )


def test_nothing_refused_of_no_rows_passes() -> None:
    assert found("quarantined", rows=0).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (HOUR, Verdict.PASS),
        (HOUR + 1, Verdict.STOP),
        (0, Verdict.PASS),
        (-5 * 60_000_000, Verdict.PASS),
        (-5 * 60_000_000 - 1, Verdict.WARN),
    ],
)
def test_the_newest_event_may_be_as_old_as_declared_and_not_from_the_future(age: int, verdict: Verdict) -> None:
    assert found("freshness", newest=AT - age).verdict is verdict


def test_freshness_says_which_event_and_when() -> None:
    message = "newest event 2025-12-31T22:00:00Z, at most 1h before 2026-01-01T00:00:00Z allowed"
    assert found("freshness", newest=AT - 2 * HOUR).message == message
    assert found("freshness", newest=AT + HOUR).message == (
        "newest event 2026-01-01T01:00:00Z, which is after 2026-01-01T00:00:00Z"
    )


def test_freshness_passes_where_it_is_not_asked_and_where_nothing_is_accepted() -> None:
    assert found("freshness", Gates(fresh=False), newest=0).message == "not asked"
    assert found("freshness", newest=None).message == "no accepted row to date"


def test_a_column_more_or_less_is_told_and_stops_nothing() -> None:
    assert found("columns", puts=8).message == "those that are declared"
    finding = found("columns", puts=8, undeclared={"loyalty": 8, "tip": 2}, absent=["key"])
    assert (finding.verdict, finding.message) == (
        Verdict.WARN,
        "nobody declared 'loyalty' (in 100.00% of the rows), 'tip' (in 25.00% of the rows); no row has 'key'",
    )
    assert finding.evidence == {"undeclared": "loyalty, tip", "absent": "key"}


def test_of_very_many_columns_the_most_frequent_are_named() -> None:
    finding = found("columns", puts=100, undeclared={f"c{number:03}": 100 - number for number in range(100)})
    assert finding.message.startswith("nobody declared 'c000' (in 100.00% of the rows), 'c001' (in 99.00% of the rows)")
    assert finding.message.endswith("'c007' (in 93.00% of the rows) and 92 more")


def test_a_batch_that_puts_nothing_has_all_columns() -> None:
    assert found("columns", puts=0, absent=["id", "at", "key"]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("rows", "nulls", "verdict"),
    [
        (1_000, {"gift": 200}, Verdict.PASS),  # a tenth more is allowed
        (1_000, {"gift": 201}, Verdict.STOP),
        (1_000, {"tip": 101}, Verdict.STOP),
        (20, {"tip": 4}, Verdict.PASS),  # by chance
        (20, {"tip": 5}, Verdict.STOP),
        (1_000, {"new": 1_000}, Verdict.PASS),  # nobody knows what is usual
        (0, {"gift": 0}, Verdict.PASS),
    ],
)
def test_values_that_are_missing_more_often_than_before_stop(
    rows: int, nulls: dict[str, int], verdict: Verdict
) -> None:
    assert found("missing", entered=rows, nulls=nulls).verdict is verdict


def test_the_reader_learns_how_often_values_are_missing_and_were_before() -> None:
    finding = found("missing", entered=100, nulls={"gift": 40, "tip": 1})
    assert finding.message == (
        "'gift' is missing in 40.00% of the rows, in 10.00% of those before; at most 10.00% more allowed"
    )
    assert finding.evidence == {"gift": 0.4, "tip": 0.01}
    assert found("missing", entered=100, nulls={"gift": 10}).message == "as in the 3 batches before"


@pytest.mark.parametrize(("orphans", "verdict"), [(2, Verdict.PASS), (3, Verdict.STOP)])
def test_orphans_stop_above_their_share(orphans: int, verdict: Verdict) -> None:
    assert found("foreign_keys", orphans=orphans).verdict is verdict


def test_keys_that_have_time_yet_are_counted_apart() -> None:
    finding = found("foreign_keys", Gates(grace="2d"), orphans=1, waiting_keys=40)
    assert (finding.verdict, finding.message) == (
        Verdict.PASS,
        "1.00% of 100 foreign keys without a parent, at most 2.00%; 40 more have until 2d after their event",
    )


@pytest.mark.parametrize(("late", "verdict"), [(20, Verdict.PASS), (21, Verdict.STOP)])
def test_rows_that_came_late_stop_above_their_share(late: int, verdict: Verdict) -> None:
    assert found("lateness", rows=104, quarantined={"type": 4}, late=late).verdict is verdict


def test_a_gap_in_the_positions_of_a_topic_stops() -> None:
    assert found("positions").message == "without a gap"
    finding = found("positions", gaps=["positions 5 to 6 of kafka:t/0 are not there"])
    assert (finding.verdict, finding.message) == (Verdict.STOP, "positions 5 to 6 of kafka:t/0 are not there")


def test_a_stream_without_foreign_keys_has_no_orphans() -> None:
    assert found("foreign_keys", foreign_keys=0).verdict is Verdict.PASS


def shifted(*columns: tuple[str, float, float, float]) -> list[Shift]:
    return [Shift(name, Distance(psi, distance, p_value)) for name, psi, distance, p_value in columns]


@pytest.mark.parametrize(
    ("moved", "verdict"),
    [
        ((0.25, 0.5, 0.0), Verdict.PASS),
        ((0.26, 0.5, 0.0), Verdict.WARN),
        ((1.0, 0.5, 0.0), Verdict.WARN),
        ((1.01, 0.5, 0.0), Verdict.STOP),
        ((5.0, 0.1, 0.0), Verdict.PASS),  # not enough to matter
        ((5.0, 0.5, 1e-4), Verdict.PASS),  # chance may do that
    ],
)
def test_a_column_stops_when_it_has_moved_far_surely_and_enough(
    moved: tuple[float, float, float], verdict: Verdict
) -> None:
    assert found("distribution", shifts=shifted(("amount", *moved))).verdict is verdict


def test_the_reader_learns_which_columns_moved_the_worst_first() -> None:
    finding = found("distribution", shifts=shifted(("a", 0.3, 0.2, 1e-9), ("b", 2.0, 0.5, 0.0), ("c", 0.0, 0.0, 1.0)))
    assert finding.message == (
        "values have moved from those of the 28d before: 'b' (PSI 2.00, by 0.50, p 0e+00), "
        "'a' (PSI 0.30, by 0.20, p 1e-09); PSI 0.25 is told, 1 stops"
    )
    assert finding.evidence == {"a": 0.3, "b": 2.0, "c": 0.0}


def test_where_nothing_stops_or_nothing_is_compared_it_says_so() -> None:
    gentle = Gates(shift=Allowed(stop=None))
    assert found("distribution", gentle, shifts=shifted(("a", 9.0, 0.9, 0.0))).message.endswith("nothing stops")
    assert found("distribution", gentle, shifts=shifted(("a", 9.0, 0.9, 0.0))).verdict is Verdict.WARN
    assert found("distribution", Gates(shift=None)).message == "not asked"
    assert found("distribution").message == "no column to compare"
    few = [Shift("a", None, 150, 20), Shift("b", None, 150, 0)]
    told = "not compared, below 50 rows: 'b', 'a' (150 rows now, 0 before)"
    assert found("distribution", shifts=few).message == told
    some = [*shifted(("c", 0.0, 0.0, 1.0)), few[1]]
    assert found("distribution", shifts=some).message == (
        "as in the 28d before; not compared, below 50 rows: 'b' (150 rows now, 0 before)"
    )
    assert found("distribution", shifts=shifted(("a", 0.0, 0.0, 1.0))).message == "as in the 28d before"
