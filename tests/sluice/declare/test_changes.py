"""A changed declaration is told part by part, in its own words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

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
    is_night,
    mean,
    ratio,
    share,
    since_last,
    sum_,
    value,
)
from sluice.declare.changes import Change, changes
from sluice.declare.loading import load_pipeline, registered
from sluice.declare.pipeline import hash_of

pytestmark = pytest.mark.unit


def shop(
    *,
    columns: dict[str, Any] | None = None,
    payments: dict[str, Any] | None = None,
    label: dict[str, Any] | None = None,
    spend: dict[str, Any] | None = None,
    features: list[Any] | None = None,
    risk: dict[str, Any] | None = None,
    moment: list[Any] | None = None,
    more: Callable[[Stream], list[Any]] = lambda _: [],
    reverse: bool = False,
) -> Pipeline:
    """A pipeline that uses every kind of part, with some of them changed."""
    own = {"card": Key(), "shop": Key("text"), "amount": Decimal(max=100), "channel": Category("pos", "online")}
    stream = Stream(
        "payments", **{"id": "payment_id", "time": "at", "columns": own | (columns or {}), **(payments or {})}
    )
    told = {"payment": ForeignKey(stream), "bad": Flag()}
    disputes = Stream("disputes", id="dispute_id", time="reported", columns=told)
    bad = Label("bad", **{"of": stream, "told_by": disputes, "absent": 0, "after": "2d", **(label or {})})
    of_spend = features or [count("1d", "7d"), mean("amount", "7d"), since_last()]
    views: list[Any] = [
        Windows("spend", **{"of": "card", "over": stream, "features": of_spend, **(spend or {})}),
        Windows("risk", **{"of": "shop", "over": bad, "delay": "9d", "features": [share("bad", "7d")], **(risk or {})}),
        Request("moment", *(moment or [value("amount"), hour(), is_night(0, 6)])),
        *more(stream),
    ]
    return Pipeline("shop", views=views[::-1] if reverse else views, label=bad)


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "a column's bound": (
        {"columns": {"amount": Decimal(max=200)}},
        ["stream payments, column amount, max: 100.0 → 200.0"],
    ),
    "a column's scale": (
        {"columns": {"amount": Decimal(scale=3, max=100)}},
        ["stream payments, column amount, scale: 2 → 3"],
    ),
    "a column that may be missing": (
        {"columns": {"amount": Decimal(max=100, nullable=True)}},
        ["stream payments, column amount, nullable: false → true"],
    ),
    "a column's kind": (
        {"columns": {"channel": Flag()}},
        ["stream payments, column channel, kind: category → flag", "stream payments, column channel, values: removed"],
    ),
    "a column's categories": (
        {"columns": {"channel": Category("pos", "online", "atm")}},
        ["stream payments, column channel, values: (pos, online) → (pos, online, atm)"],
    ),
    "a key's type": (
        {"columns": {"card": Key("text")}},
        ["stream payments, column card, type: integer → text"],
    ),
    "a new column": (
        {"columns": {"country": Category()}},
        [
            "stream payments, column country: added",
        ],
    ),
    "how late an event may be": ({"payments": {"accept_late": "3d"}}, ["stream payments, accept_late: 1d → 3d"]),
    "how far ahead an event may be": ({"payments": {"max_skew": "1h"}}, ["stream payments, max_skew: 5min → 1h"]),
    "when history was known": (
        {"payments": {"known": "event_time + 7d"}},
        ["stream payments, known_after: 0s → 7d"],
    ),
    "what identifies an event": (
        {"payments": {"id": ("payment_id", "part")}},
        ["stream payments, id: (payment_id) → (payment_id, part)", "stream payments, id_type: integer → text"],
    ),
    "the time": ({"payments": {"time": "paid"}}, ["stream payments, time: at → paid"]),
    "when a label counts as absent": ({"label": {"after": "3d"}}, ["label bad, after: 2d → 3d"]),
    "what absence means": ({"label": {"absent": None}}, ["label bad, absent: 0 → none"]),
    "a window": (
        {"features": [count("1d", "8d"), mean("amount", "7d"), since_last()]},
        [
            "view spend, feature count_7d: removed",
            "view spend, feature count_8d: added",
        ],
    ),
    "a window under the same name": (
        {"features": [count("1d"), count("8d", name="count_7d"), mean("amount", "7d"), since_last()]},
        ["view spend, feature count_7d, window: 7d → 8d"],
    ),
    "a function under the same name": (
        {"features": [count("1d", "7d"), sum_("amount", "7d", name="mean_amount_7d"), since_last()]},
        ["view spend, feature mean_amount_7d, function: mean → sum"],
    ),
    "what an empty window gives": (
        {"features": [count("1d", "7d"), mean("amount", "7d", fill=0), since_last()]},
        ["view spend, feature mean_amount_7d, fill: none → 0.0"],
    ),
    "the order of features": (
        {"features": [since_last(), count("1d", "7d"), mean("amount", "7d")]},
        [
            (
                "view spend, order of the features: (count_1d, count_7d, mean_amount_7d, since_last)"
                " → (since_last, count_1d, count_7d, mean_amount_7d)"
            ),
        ],
    ),
    "the entity": ({"spend": {"of": "shop"}}, ["view spend, of: card → shop"]),
    "whether the request counts": ({"spend": {"include_request": True}}, ["view spend, include_request: false → true"]),
    "a delay": ({"risk": {"delay": "10d"}}, ["view risk, delay: 9d → 10d"]),
    "a request feature's parameters": (
        {"moment": [value("amount"), hour(), is_night(22, 6)]},
        ["view moment, feature is_night, parameters: (0, 6) → (22, 6)"],
    ),
    "a request feature's operands": (
        {"moment": [value("channel", name="amount"), hour(), is_night(0, 6)]},
        ["view moment, feature amount, operands: (amount) → (channel)"],
    ),
    "a new view": (
        {"more": lambda stream: [Windows("extra", of="card", over=stream, features=[count("1d")])]},
        ["view extra: added"],
    ),
    "the order of views": ({"reverse": True}, ["order of the views: (spend, risk, moment) → (moment, risk, spend)"]),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_change_is_told(name: str) -> None:
    changed, told = CASES[name]
    assert [str(change) for change in changes(shop().describe(), shop(**changed).describe())] == told


@pytest.mark.parametrize("name", CASES)
def test_what_changes_the_definition_is_told(name: str) -> None:
    before, after = shop(), shop(**CASES[name][0])
    assert before.definition == after.definition or changes(before.describe(), after.describe())


def test_the_way_back_is_told_the_other_way_round() -> None:
    before, after = shop(), shop(spend={"include_request": True})
    assert changes(after.describe(), before.describe()) == [Change("view spend, include_request", "true", "false")]


def test_a_description_from_json_is_the_same() -> None:
    described = shop().describe()
    assert changes(json.loads(json.dumps(described)), described) == []


@pytest.mark.parametrize("name", registered())
def test_the_definition_is_the_hash_of_the_description_without_the_label(name: str) -> None:
    pipeline = load_pipeline(name)
    described = pipeline.describe()
    assert set(described) == {"events", "views", "label"}
    assert pipeline.definition == hash_of({"events": described["events"], "views": described["views"]})


def test_where_events_come_from_and_what_is_only_listed_changes_nothing() -> None:
    other = shop(payments={"sources": {"card": "CARD"}, "late_after": "9d", "retention": "900d", "freshness": "9d"})
    assert changes(shop().describe(), other.describe()) == []


def test_a_ratio_to_a_view_is_told_by_the_views_feature() -> None:
    def ratios(window: str) -> Callable[[Stream], list[Any]]:
        def more(stream: Stream) -> list[Any]:
            extra = Windows("extra", of="card", over=stream, features=[mean("amount", "1d", "2d")])
            return [
                extra,
                Request(
                    "next",
                    ratio("amount", extra[f"mean_amount_{window}"], name="r"),
                ),
            ]

        return more

    found = changes(shop(more=ratios("1d")).describe(), shop(more=ratios("2d")).describe())
    assert [str(change) for change in found] == [
        "view next, feature r, operands: (amount, extra__mean_amount_1d) → (amount, extra__mean_amount_2d)"
    ]
