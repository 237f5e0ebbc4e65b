"""Whatever stands in place of one argument, a word is made and can be used, or is refused as a declaration."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

import sluice
from sluice import (
    AsOf,
    Budget,
    Category,
    ComplianceCritical,
    Decimal,
    DriftRule,
    Flag,
    ForeignKey,
    Gates,
    Hybrid,
    HybridRetraining,
    Integer,
    Keeping,
    Key,
    Label,
    PerformanceRule,
    Pipeline,
    Request,
    Rollout,
    Shift,
    Stream,
    Training,
    VolumeRule,
    Warehouse,
    Windows,
    col,
    count,
    cross,
    decayed_count,
    decayed_mean,
    decayed_sum,
    difference,
    distinct,
    first,
    hour,
    is_night,
    is_weekend,
    last,
    max_,
    mean,
    min_,
    minutes_since_midnight,
    month,
    percentile,
    ratio,
    season,
    share,
    since_first,
    since_last,
    std,
    sum_,
    top,
    top_share,
    value,
    weekday,
    zscore,
)
from sluice.declare.columns import Column
from sluice.declare.conditions import Condition
from sluice.declare.request import RequestFeature
from sluice.errors import DeclarationError
from tests.sluice.declare.examples import CHARGEBACKS, FRAUD, TRANSACTIONS, pipeline, windows

pytestmark = pytest.mark.unit

NUMBERS = [True, 0, 5, -1, 0.5, float("nan"), float("inf"), -float("inf"), 10**30, 10**400]
LISTS = [[], [5], ["x"], [None], (), ("x", 5), {}, {"x": 5}, {5: "x"}, {"a"}]
WORDS = [Key, Key(), count, count("1d"), TRANSACTIONS, FRAUD, hour(), col("amount"), col("amount") > 1]
ANYTHING: list[Any] = [None, *NUMBERS, "", "x", "5", b"x", *LISTS, object(), *WORDS]

FILTERED = {"where": col("amount") > 1, "name": "x"}
FILLED = {**FILTERED, "fill": 0}
DAYS = {"freshness": "1d", "late_after": "1d", "accept_late": "1d", "max_skew": "1d", "retention": "1d"}
CALLS: dict[Callable[..., Any], tuple[list[Any], dict[str, Any]]] = {
    Key: ([], {"type": "text", "nullable": True, "pattern": "c[0-9]+"}),
    Decimal: ([], {"scale": 2, "min": 0, "max": 5, "nullable": True}),
    Integer: ([], {"min": 0, "max": 5, "nullable": True}),
    Flag: ([], {"nullable": True}),
    Category: (["a", "b"], {"nullable": True, "pattern": None}),
    ForeignKey: ([TRANSACTIONS], {"nullable": False}),
    Stream: (
        ["s", "i", "t", {"a": Key()}],
        {"id_type": "integer", "sources": {"a": "A"}, "known": "event_time", **DAYS}
        | {"warehouse": Warehouse(table="t", watermark="w"), "format": "json", "hybrid": Hybrid("2026-01-01")},
    ),
    Warehouse: (
        [],
        {"table": "t", "query": None, "watermark": "w", "overlap": "1h", "partition": "p", "parts": 2, "revision": "r"},
    ),
    Hybrid: (["2026-01-01T00:00:00Z"], {"overlap": "1h", "silence": None}),
    Label: (
        ["is_fraud", TRANSACTIONS],
        {"told_by": CHARGEBACKS, "column": None, "known_after": "0s", "absent": 0, "after": "1d"},
    ),
    Windows: (
        ["w"],
        {"of": "customer_id", "over": TRANSACTIONS, "features": [count("1d")], "include_request": False}
        | {"delay": "0s", "edge": "slot", "slot": "1h", "leaf": 512},
    ),
    AsOf: (["a"], {"table": "t", "on": "country", "features": {"x": Flag()}, "known_after": "0s", "valid_for": "5d"}),
    Request: (["m", hour()], {}),
    Pipeline: (
        ["p"],
        {"views": [windows()], "label": FRAUD, "segment_by": "channel", "card": "customer_id", "gates": Gates()}
        | {"training": Training(), "rollout": Rollout(), "retraining": HybridRetraining(), "keeping": Keeping()},
    ),
    Keeping: ([], {"predictions": "200d", "watching": "90d", "models": "400d"}),
    Shift: ([], {"warn": 0.25, "stop": 1.0, "floor": 0.1, "over": "28d"}),
    Gates: (
        [],
        {"min_rows": 1, "max_quarantined": 0.1, "max_orphans": 0.1, "max_missing_rise": 0.1, "fresh": True}
        | {"grace": "2d", "max_count_change": 5.0, "max_late": 0.2, "shift": Shift()},
    ),
    Training: (
        [],
        {"history": "120d", "validation": "14d", "test": "14d", "hidden": (8,), "epochs": 1, "batch": 1, "seed": 1}
        | {"exclude": (), "knowledge": "event_time"},
    ),
    Rollout: (
        [],
        {"shadow": "1d", "canary": (0.1,), "bake": "1d", "min_requests": 1, "max_error_rate": 0.1}
        | {"max_score_shift": 0.1, "min_gain": 0.0},
    ),
    DriftRule: ([], {"run_length": 100, "floor": 0.1, "persistence": (2, 3), "columns": 1, "ignore": ()}),
    PerformanceRule: (
        [],
        {"metric": "auc", "max_drop": 0.1, "max_gap": 0.1, "min_positives": 3, "window": "28d", "probation": "7d"},
    ),
    VolumeRule: ([], {"enough": 5, "least": 1}),
    Budget: ([], {"retrains": 1, "per": "30d"}),
    ComplianceCritical: ([], {"instead": "alert"}),
    HybridRetraining: (
        [],
        {"max_age": "30d", "drift": None, "performance": None, "volume": None, "cooldown": "2d", "budget": None}
        | {"overrides": {}},
    ),
    **{make: (["1d"], FILTERED) for make in (count, since_last, since_first)},
    **{make: (["amount", "1d"], FILLED) for make in (sum_, mean, min_, max_, std, first, last)},
    share: (["flag", "1d"], FILLED),
    percentile: (["amount", 0.5, "1d"], {"error": 0.1, "exact": 3, **FILLED}),
    distinct: (["country", "1d"], {"exact": 5, **FILTERED}),
    **{make: (["country", "1d"], {"cardinality": 5, **FILTERED}) for make in (top, top_share)},
    decayed_count: ([], {"half_life": "1d", **FILTERED}),
    **{make: (["amount"], {"half_life": "1d", **FILLED}) for make in (decayed_sum, decayed_mean)},
    col: (["amount"], {}),
    value: (["amount"], {"name": "x"}),
    **{make: ([], {"name": "x"}) for make in (hour, weekday, month, is_weekend, minutes_since_midnight)},
    is_night: ([1, 2], {"name": "x"}),
    season: ([], {"hemisphere": "north", "name": "x"}),
    **{make: (["amount", "amount"], {"name": "x"}) for make in (ratio, difference)},
    zscore: (["amount"], {"mean": "amount", "std": "amount", "name": "x"}),
    cross: (["channel", "country"], {"name": "x"}),
}
"""A good call of every word: what is passed by place, and what by name."""


def use(made: Any) -> None:
    """What a word is made for, as far as a declaration goes."""
    if isinstance(made, Column):
        Stream("s", id="i", time="t", columns={"a": made}).describe()
    elif isinstance(made, Windows | AsOf):
        pipeline(*{windows("first"), made}).describe()
    elif isinstance(made, Request | RequestFeature):
        pipeline(windows("first"), made if isinstance(made, Request) else Request("m", made)).describe()
    elif isinstance(made, Condition | tuple):
        asked = made if isinstance(made, tuple) else count("1d", where=made, name="some")
        windows(features=[count("1d"), asked]).describe()
    elif isinstance(made, Stream):
        made.describe()
    elif isinstance(made, Label):
        pipeline(label=made).describe()
    elif isinstance(made, Pipeline):
        assert len(made.definition) == 16
        assert made.card_key in made.keys


def test_every_word_is_among_them() -> None:
    assert {getattr(word, "__name__", "") for word in CALLS} == set(sluice.__all__) - {"position"}


@pytest.mark.parametrize("word", CALLS, ids=lambda word: word.__name__)
def test_whatever_stands_for_an_argument_a_word_is_made_or_refused(word: Callable[..., Any]) -> None:
    placed, named = CALLS[word]
    use(word(*placed, **named))
    for anything in ANYTHING:
        for place in range(len(placed)):
            with suppress(DeclarationError):
                use(word(*placed[:place], anything, *placed[place + 1 :], **named))
        for name in named:
            with suppress(DeclarationError):
                use(word(*placed, **{**named, name: anything}))


@pytest.mark.parametrize("compare", ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "isin"])
@pytest.mark.parametrize("column", ["amount", "channel", "country", "customer_id", "name", "flag"])
def test_whatever_a_column_is_compared_with_a_filter_is_made_or_refused(column: str, compare: str) -> None:
    for anything in ANYTHING:
        with suppress(DeclarationError):
            use(getattr(col(column), compare)(anything))
