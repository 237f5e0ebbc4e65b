"""What is no text, number, list or word where one is declared is refused, with its name and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluice import (
    Category,
    Decimal,
    Flag,
    ForeignKey,
    Gates,
    HybridRetraining,
    Integer,
    Key,
    Label,
    Request,
    Rollout,
    Stream,
    Training,
    count,
    decayed_sum,
    distinct,
    first,
    hour,
    is_night,
    last,
    max_,
    mean,
    min_,
    percentile,
    share,
    since_last,
    std,
    sum_,
    top,
    top_share,
    value,
)
from tests.sluice.declare.examples import CHARGEBACKS, TRANSACTIONS, pipeline, refusal, windows

pytestmark = pytest.mark.unit
QUOTED = "\n  next: write the number without quotes"


def stream(**changes: Any) -> Stream:
    columns = {"card": Key(), "amount": Decimal(), "items": Integer()}
    return Stream("sales", **({"id": "sale_id", "time": "at", "columns": columns} | changes))


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Decimal(scale="2"), f"Decimal: scale='2'\n  allowed: a whole number{QUOTED}"),
        (lambda: Decimal(scale=True), "Decimal: scale=True\n  allowed: a whole number"),
        (lambda: Decimal(max="5"), f"Decimal: max='5'\n  allowed: a finite number{QUOTED}"),
        (lambda: Decimal(min="-1.5"), f"Decimal: min='-1.5'\n  allowed: a finite number{QUOTED}"),
        (lambda: Decimal(max="much"), "Decimal: max='much'\n  allowed: a finite number"),
        (lambda: Decimal(max=float("nan")), "Decimal: max=nan\n  allowed: a finite number"),
        (lambda: Decimal(max=float("inf")), "Decimal: max=inf\n  allowed: a finite number"),
        (lambda: Integer(min=0.5, max=2.5), "Integer: min=0.5\n  allowed: a whole number"),
        (lambda: Integer(max=None), "Integer: max=None\n  allowed: a whole number"),
        (lambda: Flag(nullable="yes"), "Flag: nullable='yes'\n  allowed: True or False"),
        (lambda: Key(nullable=1), "Key: nullable=1\n  allowed: True or False"),
        (lambda: Key(7), "Key: type=7\n  allowed: integer, text"),
        (lambda: Category("a", nullable=0), "Category: nullable=0\n  allowed: True or False"),
        (lambda: ForeignKey(TRANSACTIONS, nullable=None), "ForeignKey: nullable=None\n  allowed: True or False"),
    ],
)
def test_a_column_takes_numbers_as_numbers_and_flags_as_flags(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


@pytest.mark.parametrize("bad", [1, None, ["a", "b"]])
def test_the_values_of_a_category_are_texts(bad: object) -> None:
    assert refusal(lambda: Category("a", bad)) == (
        f"Category: {bad!r} is no text\n"
        '  allowed: texts one after another, such as Category("pos", "online")\n'
        "  next: write numbers as texts, and a list as Category(*values)"
    )


@pytest.mark.parametrize(
    ("bounds", "told"), [({"max": 0.001}, "max=0.001"), ({"min": 0.005}, "min=0.005"), ({"max": 99.999}, "max=99.999")]
)
def test_a_bound_of_a_decimal_is_a_value_that_it_can_have(bounds: dict[str, float], told: str) -> None:
    assert refusal(lambda: Decimal(scale=2, **bounds)) == (
        f"Decimal(min, max): {told} lies between two values of the column\n"
        "  allowed: at most 2 digits after the point, as scale=2 says\n"
        "  next: declare a larger scale, or a bound that a value can have"
    )
    assert Decimal(scale=3, **bounds).scale == 3
    assert Decimal(scale=2, min=-0.29, max=1e20 / 1e10).bounds == (-0.29, 1e10)


READERS: dict[str, Callable[..., object]] = {
    "sum": sum_,
    "mean": mean,
    "min": min_,
    "max": max_,
    "std": std,
    "share": share,
    "distinct": distinct,
    "first": first,
    "last": last,
    "top": top,
    "top_share": top_share,
    "p50": lambda column, window: percentile(column, 0.5, window),
    "decayed_sum": lambda column, _: decayed_sum(column, half_life="1h"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_function_reads_one_column_by_its_name(name: str) -> None:
    for wrong, shown in ((["amount"], f"{name}(['amount'])"), (None, f"{name}()"), (5, f"{name}(5)")):
        expected = f"{shown}: column={wrong!r}\n  allowed: the name of one column"
        assert refusal(lambda wrong=wrong: READERS[name](wrong, "1d")) == expected


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: count("1d", name=5), "count(): name=5\n  allowed: a text or None"),
        (
            lambda: decayed_sum("amount", half_life="1d", name=["x"]),
            "decayed_sum('amount'): name=['x']\n  allowed: a text or None",
        ),
        (
            lambda: mean("amount", "1d", fill=True),
            "mean('amount'): fill=True\n  allowed: a finite number, or None for null",
        ),
        (
            lambda: percentile("amount", p=True),
            "percentile('amount', True): p=True\n  allowed: above 0 and up to 1, such as 0.95",
        ),
        (
            lambda: percentile("amount", 0.5, "1d", error="x"),
            "percentile('amount', 0.5): error='x'\n  allowed: 0.001 to 0.25",
        ),
        (
            lambda: distinct("country", "1d", exact=True),
            "distinct('country'): True values to be kept one by one\n  allowed: 1 to 1024",
        ),
        (
            lambda: decayed_sum("amount", half_life="26063d"),
            ("decayed_sum('amount'): half_life '26063d' is impossible\n  allowed: whole minutes, 1min to 26062d"),
        ),
        (lambda: is_night("22", 5), f"is_night(): first_hour='22'\n  allowed: a whole number{QUOTED}"),
        (lambda: is_night(22, 5.5), "is_night(): last_hour=5.5\n  allowed: a whole number"),
        (lambda: value(5, name="x"), "value(): column=5\n  allowed: the name of one column"),
    ],
)
def test_what_a_function_takes_is_judged_when_it_is_called(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: stream(columns=["a"]),
            "Stream('sales'): columns=['a']\n  allowed: a mapping such as {\"amount\": Decimal()}",
        ),
        (lambda: stream(time=None), "Stream('sales'): time=None\n  allowed: a text"),
        (lambda: stream(sources=["amount"]), "Stream('sales'): sources=['amount']\n  allowed: a mapping of texts"),
        (
            lambda: stream(sources={"amount": 5}),
            "Stream('sales'): sources={'amount': 5}\n  allowed: a mapping of texts",
        ),
        (lambda: stream(known=7), "Stream('sales'): known=7\n  allowed: a text"),
        (lambda: Label("fraud", of="sales", column="F"), "Label('fraud'): of='sales'\n  allowed: a Stream"),
        (
            lambda: Label("is_fraud", of=TRANSACTIONS, told_by="chargebacks"),
            "Label('is_fraud'): told_by='chargebacks'\n  allowed: a Stream",
        ),
        (
            lambda: Label("is_fraud", of=TRANSACTIONS, told_by=CHARGEBACKS, absent=False),
            "Label('is_fraud'): absent=False\n  allowed: a whole number or None",
        ),
        (lambda: windows(over="sales"), "Windows('spend'): over='sales'\n  allowed: a Stream or a Label"),
        (lambda: windows(features=None), "Windows('spend'): features=None\n  allowed: a list"),
        (lambda: windows(features="count"), "Windows('spend'): features='count'\n  allowed: a list"),
        (
            lambda: windows(features=[since_last(), (7,)]),
            "Windows('spend').features: tuple in it\n  allowed: a list such as [count('7d'), since_last()]",
        ),
        (
            lambda: windows(include_request="yes"),
            "Windows('spend'): include_request='yes'\n  allowed: True or False",
        ),
        (lambda: windows(leaf=True), "Windows('spend'): leaf=True\n  allowed: a whole number"),
        (
            lambda: Request("moment", count("1d")),
            (
                f"Request('moment'): {count('1d')!r} is no feature of the request\n"
                '  allowed: features one after another, such as hour(), ratio("amount", spend["mean_amount_7d"])'
            ),
        ),
        (lambda: pipeline(views=None), "Pipeline('fraud'): views=None\n  allowed: a list"),
        (lambda: pipeline(label="is_fraud"), "Pipeline('fraud'): label='is_fraud'\n  allowed: a Label"),
        (lambda: pipeline(card=7), "Pipeline('fraud'): card=7\n  allowed: a text or None"),
        (lambda: pipeline(gates=0.05), "Pipeline('fraud'): gates=0.05\n  allowed: a Gates"),
        (lambda: Gates(min_rows="100"), f"Gates: min_rows='100'\n  allowed: a whole number{QUOTED}"),
        (lambda: Training(hidden=(64, "32")), "Training: hidden=(64, '32')\n  allowed: a list of whole numbers"),
        (lambda: Training(exclude="moment__day"), "Training: exclude='moment__day'\n  allowed: a list of texts"),
        (lambda: Rollout(canary=0.1), "Rollout: canary=0.1\n  allowed: a list of finite numbers"),
        (lambda: HybridRetraining(overrides=["a"]), "HybridRetraining: overrides=['a']\n  allowed: a mapping"),
    ],
)
def test_a_word_takes_what_its_annotations_say(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


@pytest.mark.parametrize(
    ("sources", "twice"),
    [({"amount": "X", "items": "X"}, "X"), ({"amount": "items"}, "items"), ({"card": "sale_id"}, "sale_id")],
)
def test_two_columns_are_not_read_from_one_source(sources: dict[str, str], twice: str) -> None:
    assert refusal(lambda: stream(sources=sources)) == (
        f"Stream('sales').sources: source column {twice!r} is declared twice\n"
        "  allowed: each once\n"
        "  next: give one another name"
    )


def test_two_columns_may_change_places_at_the_source() -> None:
    assert stream(sources={"amount": "items", "items": "amount"}).source("items") == "amount"


def test_what_fits_is_taken() -> None:
    assert Request("moment", hour()).features[0].name == "hour"
    assert Training(hidden=[8], exclude=("a__b",)).hidden == [8]
    assert decayed_sum("amount", half_life="26062d")[0].name == "decayed_sum_amount_26062d"
