"""Findings as lines: wrapped for a terminal, whole for a file, and with the commands that come next."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feature_repo.fraud import pipeline, transactions
from sluice.cli.findings import block, in_short, ingested_again, renames, steps
from sluice.errors import GateStopped
from sluice.lake.attempts import Attempt

pytestmark = pytest.mark.unit

AGAIN = "sluice ingest fraud --batch d4-renamed --at 2026-01-01T10:40:00Z"
AT = 1_767_264_000_123_456
"""2026-01-01 10:40 UTC, and some microseconds."""


def row(rule: str, verdict: str, message: str, **evidence: str) -> dict[str, Any]:
    return {"rule": rule, "verdict": verdict, "message": message, "evidence": json.dumps(evidence)}


def attempt(*found: dict[str, Any], batch: str = "d1-unknown") -> Attempt:
    return Attempt("transactions", batch, AT, "run", found)


STOPPED = attempt(
    row("quarantined", "stop", "50.00% of the rows refused (category 2), at most 5.00% allowed; plan is corporate"),
    row("columns", "warn", "nobody declared 'betrag' (in 100.00% of the rows); no row has 'amount'"),
    row("count", "pass", "4 rows"),
)


def test_nothing_is_wrapped_or_cut_for_a_file() -> None:
    assert list(block(STOPPED)) == [
        "transactions: batch 'd1-unknown' at 2026-01-01T10:40:00Z: stop",
        "  quarantined  stop  50.00% of the rows refused (category 2), at most 5.00% allowed; plan is corporate",
        "  columns      warn  nobody declared 'betrag' (in 100.00% of the rows); no row has 'amount'",
        "  1 gate passed",
    ]


def test_a_message_goes_on_below_itself_on_a_terminal() -> None:
    assert list(block(STOPPED, 60))[1:5] == [
        "  quarantined  stop  50.00% of the rows refused (category",
        "                     2), at most 5.00% allowed; plan is",
        "                     corporate",
        "  columns      warn  nobody declared 'betrag' (in 100.00% of",
    ]
    name = "terminal_identifiers_of_the_northern_district"
    assert name in "\n".join(block(attempt(row("columns", "warn", f"no row has {name!r}")), 40))


def test_every_gate_has_a_line_when_all_are_asked_for() -> None:
    assert list(block(STOPPED, whole=True))[3:] == ["  count        pass  4 rows"]


@pytest.mark.parametrize(
    ("absent", "undeclared", "found"),
    [
        ("amount", "Preis (EUR)", [("amount", "Preis (EUR)")]),
        ("amount, channel", "channel_name, amount_eur, x", [("amount", "amount_eur"), ("channel", "channel_name")]),
        ("amount, channel", "zzz", []),
        ("", "note", []),
        ("country", "", []),
    ],
)
def test_a_column_that_is_absent_is_paired_with_one_that_nobody_declared(
    absent: str, undeclared: str, found: list[tuple[str, str]]
) -> None:
    told = attempt(row("columns", "warn", "", absent=absent, undeclared=undeclared))
    assert renames(transactions, told) == found


def test_a_rename_is_ready_to_be_called_again_as_it_was() -> None:
    told = attempt(
        row("quarantined", "stop", "all"),
        row("columns", "warn", "", absent="amount", undeclared="Preis (EUR)"),
        batch="d4-renamed",
    )
    assert list(steps(pipeline, told, [told], shown=False)) == [
        "  the rows that are refused:",
        "    sluice quarantine show fraud --stream transactions --batch d4-renamed --state held",
        "  next, if 'Preis (EUR)' is what 'amount' is called in it:",
        f"    {AGAIN} --rename 'transactions:amount=Preis (EUR)'",
        "  next, if a person decides that it is right as it is:",
        "    sluice gates waive fraud transactions:quarantined --batch d4-renamed --by WHO --because WHY",
        f"    {AGAIN}",
        "  else deliver it mended, as another batch",
    ]


def test_a_batch_is_ingested_again_under_the_names_that_all_its_streams_had() -> None:
    found = {**row("quarantined", "stop", "all"), "renamed": '{"amount": "Preis (EUR)"}'}
    other = {**row("count", "stop", "none"), "renamed": '{"is_fraud": "fraud"}'}
    two = [attempt(found, batch="d4"), Attempt("chargebacks", "d4", AT, "run", [other])]
    assert ingested_again(pipeline, two) == [
        *("ingest", "fraud", "--batch", "d4", "--at", "2026-01-01T10:40:00Z"),
        *("--rename", "transactions:amount=Preis (EUR)", "--rename", "chargebacks:is_fraud=fraud"),
    ]


def test_what_nobody_can_waive_is_delivered_again() -> None:
    told = attempt(row("history", "stop", "history has moved on"))
    assert list(steps(pipeline, told, [told], shown=False)) == ["  else deliver it mended, as another batch"]


def test_an_incident_is_closed_by_a_waiver_and_nothing_is_ingested_again() -> None:
    told = attempt(row("count", "stop", "none"), batch="archived-1")
    assert list(steps(pipeline, told, [told], shown=True)) == [
        "  next, once a person has seen to the source:",
        "    sluice gates waive fraud transactions:count --batch archived-1 --by WHO --because WHY",
    ]


def test_the_error_has_stream_gate_and_the_head_of_each_stop() -> None:
    told = attempt(row("count", "stop", "3 rows; on Mondays 90"), row("quarantined", "stop", "40%, at most 5%"))
    assert str(in_short(pipeline, [told], GateStopped("long"))) == (
        "batch 'd1-unknown': transactions:count: 3 rows; transactions:quarantined: 40%, at most 5%\n"
        "  next: as the findings say; again: sluice gates show fraud --batch d1-unknown"
    )
    other = GateStopped("something else")
    assert in_short(pipeline, [], other) is other
