"""Waivers: who lets which gate's stop pass, and until when."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sluice.decisions import Finding, Verdict
from sluice.errors import UserError
from sluice.lake.tables import Lake
from sluice.lake.waivers import WAIVERS, Waiver, grant, holding, waive, waivers, withdraw

pytestmark = pytest.mark.unit

AT = 1_767_225_600_000_000
"""2026-01-01."""
GIVEN = Waiver("orders", "freshness", "a", "Ada", "the shop was closed", AT, AT + 60_000_000)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "shop")


def test_a_waiver_is_a_row_that_stays(lake: Lake) -> None:
    later = replace(GIVEN, batch=None, at=AT + 1)
    grant(lake, later)
    grant(lake, GIVEN)
    assert waivers(lake) == [GIVEN, later]


def test_one_that_is_withdrawn_holds_no_more_and_both_rows_stay(lake: Lake) -> None:
    grant(lake, replace(GIVEN, batch=None))
    grant(lake, GIVEN)
    assert withdraw(lake, "orders", "freshness", None, by="Grace", because="a slip", at=AT + 5) == [
        replace(GIVEN, batch=None)
    ]
    assert waivers(lake) == [GIVEN]
    assert holding(lake, "orders", "z", AT - 1) == {}
    rows = sorted(lake.rows("waivers"), key=lambda row: (row["batch"] or "", row["at"]))
    assert [(row["batch"], row["state"], row["by"], row["because"], row["at"] - AT) for row in rows] == [
        (None, "granted", "Ada", "the shop was closed", 0),
        (None, "withdrawn", "Grace", "a slip", 5),
        ("a", "granted", "Ada", "the shop was closed", 0),
    ]


def test_one_that_is_granted_again_holds_also_on_a_clock_that_stands_still(lake: Lake) -> None:
    grant(lake, GIVEN)
    withdraw(lake, "orders", "freshness", "a", by="Grace", because="a slip", at=AT)
    assert waivers(lake) == []
    grant(lake, GIVEN)
    assert holding(lake, "orders", "a", AT)["freshness"] == replace(GIVEN, at=AT + 1)


def test_one_of_before_there_were_withdrawals_holds_and_can_be_withdrawn(lake: Lake) -> None:
    old = pa.schema([field for field in WAIVERS if field.name != "state"])
    lake.append_rows("waivers", [asdict(GIVEN)], old)
    assert waivers(lake) == [GIVEN]
    withdraw(lake, "orders", "freshness", "a", by="Grace", because="a slip", at=AT)
    assert waivers(lake) == []


@pytest.mark.parametrize(
    ("batch", "by", "message"),
    [
        (
            None,
            "Grace",
            "there is no waiver of orders:freshness for every batch\n  allowed: orders:fresh",
        ),
        ("b", "Grace", "there is no waiver of orders:freshness for batch 'b'"),
        ("a", " ", "--by: withdrawing a waiver names a person and a reason"),
    ],
)
def test_what_cannot_be_withdrawn_is_refused(lake: Lake, batch: str | None, by: str, message: str) -> None:
    grant(lake, GIVEN)
    with pytest.raises(UserError, match=message):
        withdraw(lake, "orders", "freshness", batch, by=by, because="a slip", at=AT)
    assert waivers(lake) == [GIVEN]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "fresh"}, "did you mean 'freshness'"),
        ({"by": " "}, r"--by: a waiver names a person and a reason"),
        ({"because": ""}, r"--because: a waiver names a person and a reason"),
        ({"until": AT}, r"--for: a waiver holds for some time"),
    ],
)
def test_without_a_gate_a_person_a_reason_and_an_end_it_is_refused(
    lake: Lake, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        grant(lake, replace(GIVEN, **change))
    assert waivers(lake) == []


@pytest.mark.parametrize(
    ("stream", "batch", "at", "rules"),
    [
        ("orders", "a", AT, {"freshness"}),
        ("orders", "a", AT + 59_999_999, {"freshness"}),
        ("orders", "a", AT + 60_000_000, set()),
        ("orders", "a", AT - 1, {"freshness"}),
        ("orders", "b", AT, set()),
        ("returns", "a", AT, set()),
    ],
)
def test_it_holds_for_its_stream_and_batch_until_it_ends(
    lake: Lake, stream: str, batch: str, at: int, rules: set[str]
) -> None:
    grant(lake, GIVEN)
    assert set(holding(lake, stream, batch, at)) == rules


def test_one_without_a_batch_holds_for_every_batch_and_the_newest_is_named(lake: Lake) -> None:
    grant(lake, GIVEN)
    grant(lake, replace(GIVEN, batch=None, by="Grace", at=AT + 1))
    assert holding(lake, "orders", "z", AT + 1)["freshness"].by == "Grace"
    assert holding(lake, "orders", "a", AT + 1)["freshness"].by == "Grace"


def test_a_waived_stop_is_a_warning_that_names_person_reason_and_end_and_nothing_else_is_waived() -> None:
    findings = [
        Finding("count", Verdict.STOP, "1 rows", {"rows": 1}),
        Finding("freshness", Verdict.STOP, "old", {"age_us": 5}),
        Finding("foreign_keys", Verdict.PASS, "none", {}),
    ]
    found = waive(findings, {"freshness": GIVEN, "foreign_keys": GIVEN})
    assert [found[0], found[2]] == [findings[0], findings[2]]
    told = "waived by Ada until 2026-01-01T00:01:00Z (the shop was closed): old"
    assert found[1] == Finding("freshness", Verdict.WARN, told, {"age_us": 5})
