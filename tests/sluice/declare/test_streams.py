from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluice import Decimal, Flag, ForeignKey, Hybrid, Key, Label, Stream, position
from sluice.declare.durations import DAY, HOUR
from sluice.declare.streams import Stream as Declared
from tests.sluice.declare.examples import CHARGEBACKS, FRAUD, LOGINS, PINGS, TRANSACTIONS, refusal

pytestmark = pytest.mark.unit


def stream(**changes: Any) -> Stream:
    return Stream(**({"name": "tx", "id": "tx_id", "time": "at", "columns": {"amount": Decimal()}} | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": "Tx"},
            (
                "Stream(name): 'Tx' cannot be a name\n"
                "  allowed: lower case letters, digits and single underscores, a letter first"
            ),
        ),
        (
            {"columns": {"a__b": Key()}},
            (
                "Stream('tx').columns: 'a__b' cannot be a name\n"
                "  allowed: lower case letters, digits and single underscores, a letter first"
            ),
        ),
        (
            {"columns": {"amount": float}},
            (
                "Stream('tx'): column 'amount' is a type\n"
                "  allowed: Category(), Decimal(), Flag(), ForeignKey(stream), Integer(), Key()"
            ),
        ),
        ({"id": ()}, "Stream('tx'): id=()\n  allowed: a column, a tuple of columns, or position for none"),
        ({"id": None}, "Stream('tx'): id=None\n  allowed: a column, a tuple of columns, or position for none"),
        (
            {"id_type": "int"},
            "Stream('tx').id_type: unknown id type 'int'\n  allowed: integer, text\n  next: did you mean 'integer'?",
        ),
        (
            {"format": "arvo"},
            "Stream('tx').format: unknown format 'arvo'\n  allowed: avro, json, protobuf\n  next: did you mean 'avro'?",
        ),
        (
            {"id": position, "hybrid": Hybrid("2026-01-01")},
            (
                "Stream('tx').hybrid: events without an id cannot be told apart where files and topic overlap\n"
                "  allowed: a stream with an id\n"
                "  next: take the whole of it from files, or the whole from a topic"
            ),
        ),
        (
            {"time": "amount"},
            (
                "Stream('tx'): 'amount' is the time and another column\n"
                "  next: declare the time by time= only, and an id by id= only"
            ),
        ),
        (
            {"sources": {"amonut": "AMT"}},
            (
                "Stream('tx').sources: unknown column 'amonut'\n"
                "  allowed: amount, at, tx_id\n  next: did you mean 'amount'?"
            ),
        ),
        (
            {"known": "arrival"},
            "Stream('tx').known: 'arrival' is not a rule\n  allowed: event_time, event_time + <duration>",
        ),
        (
            {"accept_late": "soon"},
            (
                "Stream('tx').accept_late: 'soon' is not a duration\n"
                "  allowed: a whole number and a unit: us, ms, s, min, h, d\n  next: write it like '30d' or '5min'"
            ),
        ),
    ],
)
def test_a_stream_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(lambda: stream(**changes)) == message


def test_ids_may_be_one_column_or_several_or_none() -> None:
    assert (stream().id_columns, stream().id_type) == (("tx_id",), "integer")
    composite = stream(id=("shop", "number"))
    assert (composite.id_columns, composite.id_type) == (("shop", "number"), "text")
    assert stream(id=position).id_columns == ()
    assert repr(position) == "position"


def test_all_columns_are_id_then_time_then_the_rest_each_once() -> None:
    assert stream(id=("amount", "number")).all_columns == ("amount", "number", "at")


def test_sources_name_what_a_column_is_called_where_it_comes_from() -> None:
    declared = stream(sources={"amount": "AMT"})
    assert (declared.source("amount"), declared.source("at")) == ("AMT", "at")


def test_history_in_files_is_known_by_a_rule() -> None:
    assert (stream().known_after, stream(known="event_time + 7d").known_after) == (0, 7 * DAY)


def test_a_foreign_key_makes_another_stream_the_parent() -> None:
    assert CHARGEBACKS.parent == ("transaction_id", TRANSACTIONS)
    assert (TRANSACTIONS.parent, LOGINS.parent) == (None, None)


def test_durations_are_microseconds() -> None:
    assert (stream(late_after="2h").micros("late_after"), stream(retention="400d").retention) == (2 * HOUR, 400 * DAY)
    assert stream().retention is None


def test_where_a_column_comes_from_is_part_of_the_contract_and_not_of_the_meaning() -> None:
    plain, renamed = stream(), stream(sources={"amount": "AMT"}, late_after="9h")
    assert plain.meaning() == renamed.meaning()
    assert plain.describe() != renamed.describe()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"id": "other"},
        {"id_type": "text"},
        {"time": "other"},
        {"columns": {"amount": Decimal(scale=3)}},
        {"columns": {"amount": Decimal(nullable=True)}},
        {"known": "event_time + 1d"},
        {"accept_late": "2d"},
        {"max_skew": "1min"},
    ],
)
def test_what_changes_history_changes_the_meaning(changes: dict[str, Any]) -> None:
    assert stream(**changes).meaning() != stream().meaning()


def test_how_a_stream_is_watched_and_kept_changes_nothing() -> None:
    assert stream(freshness="2h", retention="9d").describe() == stream().describe()


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: Label("is_fraud", of=TRANSACTIONS),
            "Label('is_fraud'): say where it comes from\n  allowed: told_by=<stream> or column=<name>",
        ),
        (
            lambda: Label("is_fraud", of=TRANSACTIONS, told_by=CHARGEBACKS, column="F"),
            "Label('is_fraud'): say where it comes from\n  allowed: told_by=<stream> or column=<name>",
        ),
        (
            lambda: Label("is_fraud", of=TRANSACTIONS, told_by=LOGINS),
            (
                "Label('is_fraud'): Stream('logins') has no foreign key to Stream('transactions')\n"
                "  next: declare a column ForeignKey(transactions) in it"
            ),
        ),
        (
            lambda: Label("is_fruad", of=TRANSACTIONS, told_by=CHARGEBACKS),
            (
                "Label('is_fruad').told_by: unknown never-null flag 'is_fruad'\n"
                "  allowed: is_fraud\n  next: did you mean 'is_fraud'?"
            ),
        ),
        (
            lambda: Label("maybe", of=TRANSACTIONS, told_by=CHARGEBACKS),
            "Label('maybe').told_by: unknown never-null flag 'maybe'\n  allowed: is_fraud",
        ),
        (
            lambda: Label("is_fraud", of=TRANSACTIONS, told_by=CHARGEBACKS, absent=2),
            "Label('is_fraud'): absent=2\n  allowed: 0, 1, or None for unknown",
        ),
        (
            lambda: Label("failed", of=PINGS, column="F"),
            "Label('failed'): a label inside the row needs a stream with one id column",
        ),
    ],
)
def test_a_label_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


def test_a_label_is_settled_once_it_is_known_or_counts_as_absent() -> None:
    assert FRAUD.settled_after == 21 * DAY
    assert Label("is_fraud", of=TRANSACTIONS, column="F", known_after="7d").settled_after == 7 * DAY
    assert repr(FRAUD) == "Label('is_fraud', of=Stream('transactions'), after=21d)"


def test_a_label_inside_the_row_becomes_a_stream_of_its_own_about_that_row() -> None:
    told = Label("is_fraud", of=TRANSACTIONS, column="TX_FRAUD", known_after="7d").told_by
    assert isinstance(told, Declared)
    assert (told.name, told.id_columns, told.time) == ("transactions_is_fraud", ("transaction_id",), "is_fraud_time")
    assert told.parent == ("transaction_id", TRANSACTIONS)
    assert isinstance(told.columns["transaction_id"], ForeignKey)
    assert isinstance(told.columns["is_fraud"], Flag)
    assert told.source("is_fraud") == "TX_FRAUD"
    assert "TX_FRAUD" not in {TRANSACTIONS.source(name) for name in TRANSACTIONS.all_columns}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Hybrid("soon"), "Hybrid: until='soon'\n  allowed: a time such as 2026-01-31T00:00:00Z"),
        (lambda: Hybrid("9999-12-31T23:59:59-23:00"), "Hybrid: until="),
        (lambda: Hybrid("2026-01-01", overlap="a bit"), "Hybrid.overlap: 'a bit' is not a duration"),
        (lambda: Hybrid("2026-01-01", silence="-1h"), "Hybrid.silence: '-1h' is not a duration"),
    ],
)
def test_a_cut_that_cannot_be_is_refused(made: Callable[[], Hybrid], message: str) -> None:
    assert refusal(made).startswith(message)


def test_a_cut_without_a_zone_is_utc_and_changes_no_contract() -> None:
    assert Hybrid("2026-01-01").cut == Hybrid("2026-01-01T01:00:00+01:00").cut == 1_767_225_600_000_000
    assert stream(hybrid=Hybrid("2026-01-01")).describe() == stream().describe()
