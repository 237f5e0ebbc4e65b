"""What `sluice features get` tells of an entity: judged as the scoring service judges, for one moment throughout."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from sluice import (
    Category,
    Decimal,
    Flag,
    ForeignKey,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Windows,
    count,
    hour,
    sum_,
)
from sluice.cli.lookup import look_up
from sluice.clock import from_datetime
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.forget import forget_expired
from sluice.engine.places import open_store
from sluice.errors import UserError
from sluice.lake.event_tables import enter_all
from sluice.settings import settings

pytestmark = pytest.mark.integration

SALES = Stream(
    "sales",
    id="sale",
    time="at",
    columns={"card": Key(), "shop": Key("text"), "amount": Decimal(), "channel": Category("pos", "online")},
)
RETURNS = Stream("returns", id="number", time="told", columns={"sale": ForeignKey(SALES), "bad": Flag()})
BAD = Label("bad", of=SALES, told_by=RETURNS, absent=0, after="1d")
VIEWS = [
    Windows("life", of="card", over=SALES, features=[count("1h", "lifetime"), sum_("amount", "lifetime")]),
    Windows("hours", of="shop", over=SALES, edge="slot", slot="1h", features=[count("1h")]),
    Windows("risk", of="card", over=BAD, delay="1d", features=[count("1h")]),
]
PIPELINE = Pipeline("sold", views=[*VIEWS, Request("moment", hour())], label=BAD)
NOON = dt.datetime(2024, 1, 1, 12, tzinfo=dt.UTC)
LATER = "2024-01-01T13:30:00Z"


@pytest.fixture(autouse=True)
def ten_sales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ten sales of card 7 in shop x, 13 minutes apart from noon."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    sales = [
        {"sale": number, "at": NOON + dt.timedelta(minutes=13 * number), "card": 7, "shop": "x", "amount": 1.0 + number}
        | {"channel": ("pos", "online")[number % 2]}
        for number in range(10)
    ]
    entered = enter_all(PIPELINE, {"sales": pa.Table.from_pylist(sales)})
    store = open_store(settings().online_uri, "sold")
    fold(PIPELINE, store, MicroBatch({name: found.events for name, found in entered.items()}, {}, {}))
    store.close()
    yield
    settings.cache_clear()


def told(*given: str, at: str | None = None, most: int = 1) -> list[str]:
    return [" ".join(line.split()) for line in look_up(PIPELINE, dict(pair.split("=") for pair in given), at, most)]


def refusal(*given: str, at: str | None = None) -> str:
    with pytest.raises(UserError) as refused:
        told(*given, at=at)
    return str(refused.value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("amount=-5", "amount='-5': range, allowed: 0 to 100000"),
        ("amount=100000.01", "amount='100000.01': range, allowed: 0 to 100000"),
        ("amount=1.005", "amount='1.005': scale, allowed: a number with 2 decimals"),
        ("amount=abc", "amount='abc': type, allowed: a number with 2 decimals"),
        ("channel=atm", "channel='atm': category, allowed: pos, online"),
        ("sale=abc", "sale='abc': type, allowed: a whole number below 2^63"),
        ("card=7.5", "card='7.5': type, allowed: a whole number below 2^63"),
        ("at=garbage", "at='garbage': type, allowed: a time such as 2024-01-01T13:00:00Z"),
    ],
)
def test_a_value_that_the_contract_refuses_is_named_with_what_is_allowed(given: str, problem: str) -> None:
    whole = {"card": "7", "shop": "x", "amount": "2", "channel": "pos"} | dict([given.split("=")])
    expected = f"features get: the contract refuses the request:\n    {problem}"
    assert refusal(*(f"{name}={value}" for name, value in whole.items())) == expected
    assert refusal(given) == expected


def test_every_bad_value_is_told_at_once() -> None:
    assert refusal("card=x", "amount=-1", at=LATER) == (
        "features get: the contract refuses the request:\n"
        "    card='x': type, allowed: a whole number below 2^63\n"
        "    amount='-1': range, allowed: 0 to 100000"
    )


def test_a_column_that_nobody_declared_is_refused_with_the_nearest_one() -> None:
    assert refusal("crad=7") == (
        "features get: unknown column 'crad'\n"
        "  allowed: amount, at, card, channel, sale, shop\n"
        "  next: did you mean 'card'?"
    )


def test_the_moment_is_given_once() -> None:
    assert refusal("card=7", f"at={LATER}", at=LATER) == (
        "features get: the moment is given twice\n  allowed: --at or at="
    )
    assert refusal("card=7", at="soon") == (
        "--at: 'soon' is no time\n  allowed: RFC 3339, such as 2026-01-31T12:00:00Z"
    )


@pytest.mark.parametrize("request_columns", [(), ("amount=2", "channel=pos")])
def test_the_moment_of_the_request_is_that_of_its_values_and_of_the_rows_behind_them(
    request_columns: tuple[str, ...],
) -> None:
    by_time = told("card=7", "shop=x", f"at={LATER}", *request_columns)
    assert by_time == told("card=7", "shop=x", *request_columns, at=LATER)
    assert LATER in by_time[0]
    assert "life__count_lifetime 7.0" in by_time
    assert "life: 7 rows in the longest window, lifetime, of card 7" in by_time
    assert by_time[by_time.index("life: 7 rows in the longest window, lifetime, of card 7") + 1] == (
        "2024-01-01T13:18:00Z amount=7.0"
    )


def test_what_is_missing_for_a_request_is_named() -> None:
    assert told("card=7", "amount=2", at=LATER)[0] == (
        f"values at {LATER}, without a request, which needs channel: what needs one is null"
    )
    whole = told("card=7", "amount=2", "channel=pos", at=LATER)
    assert whole[0].startswith(f"vector of a request at {LATER}, knowing ")
    assert "moment__hour 13.0" in whole


def test_rows_are_listed_between_the_edges_of_slots() -> None:
    found = told("shop=x", at=LATER)
    assert "hours__count_1h 5.0" in found
    place = found.index("hours: 5 rows in the longest window, 1h, of shop x")
    assert found[place + 1].startswith("2024-01-01T12:52:00Z")


def test_a_row_of_the_request_s_own_moment_is_listed_where_its_id_is_smaller() -> None:
    moment, request = "2024-01-01T12:26:00Z", ("card=7", "amount=2", "channel=pos")
    assert "life: 3 rows in the longest window, lifetime, of card 7" in told(*request, at=moment)
    assert "life: 3 rows in the longest window, lifetime, of card 7" in told(*request, "sale=3", at=moment)
    assert "life: 2 rows in the longest window, lifetime, of card 7" in told(*request, "sale=2", at=moment)


def test_an_entity_that_is_not_named_has_no_rows() -> None:
    assert "hours: 0 rows in the longest window, 1h, of shop null" in told("card=7", at=LATER)


def test_rows_of_labels_are_listed_from_when_they_are_known() -> None:
    assert "risk: 0 rows in the longest window, 1h, of card 7" in told("card=7", at=LATER)
    settled = told("card=7", at="2024-01-02T13:00:00Z")
    assert {"risk__count_1h 4.0", "risk: 4 rows in the longest window, 1h, of card 7"} <= set(settled)


def test_what_was_forgotten_is_said_to_be_in_a_state() -> None:
    store = open_store(settings().online_uri, "sold")
    forget_expired(PIPELINE, store, from_datetime(NOON + dt.timedelta(days=30)))
    store.close()
    found = told("card=7", at="2024-01-31T12:00:00Z")
    assert "life__count_lifetime 10.0" in found
    assert "life: 0 rows in the longest window, lifetime, of card 7, and the state of those forgotten" in found
