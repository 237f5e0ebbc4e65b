"""Shapes of columns: they merge as their values do, and say how far one day is from others, but not by chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sluice.declare.columns import Category, Decimal, Flag, Integer, Key
from sluice.declare.durations import DAY
from sluice.declare.streams import Stream
from sluice.lake.baselines.distances import Distance, distance, psi
from sluice.lake.baselines.shapes import Shape, by_column, by_day, frequent, quantiles, shapes_of, table_of
from tests.properties import examples

pytestmark = pytest.mark.unit

STREAM = Stream(
    "s",
    id="id",
    time="at",
    columns={
        "card": Key(),
        "amount": Decimal(nullable=True),
        "items": Integer(),
        "gift": Flag(),
        "land": Category(nullable=True),
        "channel": Category("web", "shop"),
    },
)


def rows(count: int, seed: int, *, day: int = 0, scale: float = 1.0, zero: float = 0.0, null: float = 0.0) -> pa.Table:
    """Rows of silver of one day."""
    chance = np.random.default_rng(seed)
    amount = chance.lognormal(3, 1, count) * scale
    amount[chance.random(count) < zero] = 0
    land = np.array(["DE", "FR", "IT"])[chance.choice(3, count, p=[0.7, 0.2, 0.1])]
    return pa.table(
        {
            "_time": np.full(count, day * DAY + 5),
            "amount": pa.array(amount, mask=chance.random(count) < null),
            "items": chance.integers(1, 5, count),
            "gift": chance.integers(0, 2, count),
            "land": pa.array(land.tolist(), pa.string()),
            "channel": pa.array(np.where(chance.random(count) < 0.6, "web", "shop").tolist(), pa.string()),
        }
    )


def shape(table: pa.Table) -> dict[str, Shape]:
    return by_column({(day, name): one for day, name, one in shapes_of(STREAM, table)})


def read(shapes: dict[str, Shape]) -> dict[str, tuple[Shape, dict[str, float] | None]]:
    """The shapes with what their sketches of texts say in place of the bytes, which have no order of their own."""
    return {
        name: (replace(one, texts=None), None if one.texts is None else frequent(one.texts))
        for name, one in shapes.items()
    }


def moved(column: str, **how: Any) -> Distance:
    before = shape(pa.concat_tables([rows(1_000, day, day=day) for day in range(10)]))
    found = distance(before[column], shape(rows(1_000, 99, day=11, **how))[column])
    assert found is not None
    return found


def test_every_column_but_a_key_has_a_shape_on_every_day() -> None:
    table = pa.concat_tables([rows(7, 1, day=3), rows(5, 2, day=1)])
    found = {(day // DAY, name): one.rows for day, name, one in shapes_of(STREAM, table)}
    names = ("amount", "items", "gift", "land", "channel")
    assert found == {**dict.fromkeys([(1, name) for name in names], 5), **dict.fromkeys([(3, n) for n in names], 7)}


def test_missing_and_zero_values_are_counted_apart() -> None:
    table = pa.table(
        {
            **{name: rows(4, 1).column(name) for name in ("_time", "items", "gift", "channel")},
            "amount": [None, 0.0, 0.0, 7.5],
            "land": ["DE", None, "DE", "FR"],
        }
    )
    found = shape(table)
    assert (found["amount"].rows, found["amount"].nulls, found["amount"].zeros) == (4, 1, 2)
    assert found["land"].nulls == 1
    assert frequent(found["land"].texts or b"") == {"DE": 2.0, "FR": 1.0}


def test_quantiles_are_those_of_the_values_within_two_in_a_hundred() -> None:
    table = rows(20_000, 3)
    found = quantiles(shape(table)["amount"].numbers or b"", 10)
    ranks = stats.rankdata(table.column("amount").to_numpy()) / len(table)
    order = np.sort(table.column("amount").to_numpy())
    at = np.searchsorted(order, found[1:-1]) / len(order)
    assert ranks.max() == 1
    assert np.abs(at - np.arange(1, 10) / 10).max() < 0.02


@given(sizes=st.lists(st.integers(0, 60), min_size=1, max_size=6), seed=st.integers(0, 1_000))
@settings(max_examples=examples(25), deadline=None)
def test_shapes_of_parts_merge_into_that_of_the_whole_in_any_order_of_files(sizes: list[int], seed: int) -> None:
    parts = [rows(size, seed + place, day=place % 2, zero=0.2, null=0.1) for place, size in enumerate(sizes)]
    stored = pa.concat_tables([table_of(shapes_of(STREAM, part), f"b{place}") for place, part in enumerate(parts)])
    merged = by_column(by_day(stored))
    backwards = by_column(by_day(stored.take(np.arange(len(stored))[::-1])))
    whole = shape(pa.concat_tables(parts))
    assert read(merged) == read(backwards)
    for name, one in whole.items():
        assert (merged[name].rows, merged[name].nulls, merged[name].zeros) == (one.rows, one.nulls, one.zeros)
        assert merged[name].counts == one.counts
        if one.texts is not None:
            assert frequent(merged[name].texts or b"") == frequent(one.texts)


@pytest.mark.parametrize("column", ["amount", "items", "gift", "land", "channel"])
def test_another_day_of_the_same_is_not_far(column: str) -> None:
    found = moved(column)
    assert found.psi < 0.05
    assert found.distance < 0.06


def test_a_column_in_other_units_is_as_far_as_can_be() -> None:
    found = moved("amount", scale=100)
    assert found.psi > 5
    assert found.distance > 0.9
    assert found.p_value < 1e-100


def test_values_that_become_zero_or_go_missing_are_far_too() -> None:
    assert moved("amount", zero=0.3).distance == pytest.approx(0.3, abs=0.05)
    assert moved("amount", null=0.3).distance == pytest.approx(0.3, abs=0.05)


def test_the_distance_of_numbers_is_about_that_of_kolmogorov_and_smirnov() -> None:
    before, now = rows(5_000, 1), rows(2_000, 2, scale=1.8)
    found = distance(shape(before)["amount"], shape(now)["amount"])
    exact = stats.ks_2samp(before.column("amount").to_numpy(), now.column("amount").to_numpy()).statistic
    assert found is not None
    assert exact - 0.08 < found.distance < exact
    assert exact > 0.2


def test_the_p_value_of_texts_is_that_of_chi_square() -> None:
    before, now = Shape(1_000, counts={"a": 600, "b": 400}), Shape(500, counts={"a": 270, "b": 230})
    found = distance(before, now)
    exact = stats.chi2_contingency([[600, 400], [270, 230]], correction=False)
    assert found is not None
    assert found.p_value == pytest.approx(exact.pvalue)
    assert found.distance == pytest.approx(0.06)


def test_the_index_is_the_sum_over_bins() -> None:
    """0.1 · ln(0.6 / 0.5) + 0.1 · ln(0.5 / 0.4) = 0.040547."""
    assert psi({"a": 50, "b": 50}, {"a": 60, "b": 40}) == pytest.approx(0.0405465, abs=1e-7)
    assert psi({"a": 5}, {"a": 7}) == 0


def test_of_few_rows_nothing_is_said() -> None:
    assert distance(Shape(49, counts={"a": 49}), Shape(1_000, counts={"b": 1_000})) is None


def texts_of(values: list[str]) -> Shape:
    stream = Stream("s", id="id", time="at", columns={"text": Category()})
    table = pa.table({"_time": np.zeros(len(values), np.int64), "text": pa.array(values, pa.string())})
    return by_column({(day, name): one for day, name, one in shapes_of(stream, table)})["text"]


@pytest.mark.parametrize("count", [100, 300, 1_000])
def test_texts_that_are_rare_in_both_are_no_news_in_a_small_batch(count: int) -> None:
    """Of thousands of texts each small batch has some that nobody saw before; by Zipf's law, half of its rows."""
    chance = np.random.default_rng(7)
    before, now = ([f"c{min(one, 5_000)}" for one in chance.zipf(1.2, size)] for size in (6_000, count))
    found = distance(texts_of(before), texts_of(now))
    assert found is not None
    assert found.psi < 0.25 or found.distance < 0.1 or found.p_value > 1e-4


def test_a_text_that_is_new_and_frequent_is_far_also_in_a_small_batch() -> None:
    found = distance(
        texts_of(["web"] * 3_000 + ["shop"] * 2_000), texts_of(["web"] * 60 + ["shop"] * 40 + ["fax"] * 50)
    )
    assert found is not None
    assert found.distance == pytest.approx(1 / 3, abs=0.01)
    assert found.psi > 1
    assert found.p_value < 1e-20


def test_the_distance_and_its_p_value_are_of_the_same_part() -> None:
    """A few values more go missing, surely; the numbers are as they were."""
    found = moved("amount", null=0.03)
    assert found.p_value < 1e-4
    assert found.distance == pytest.approx(0.03, abs=0.015)


def test_days_when_a_column_was_declared_as_another_kind_are_not_compared() -> None:
    stored = table_of([(0, "plan", texts_of(["a", "b"])), (DAY, "plan", Shape(3, counts={"a": 2, "b": 1}))], "b")
    assert by_column(by_day(stored, {"plan": "counts"})) == {"plan": Shape(3, counts={"a": 2, "b": 1})}
    assert by_column(by_day(stored, {"plan": "texts"}))["plan"].rows == 2
    assert by_day(stored, {"plan": "numbers"}) == {}


def test_chance_alone_moves_nothing_in_a_year_of_days() -> None:
    """A false alarm needs PSI, distance and p-value past their thresholds at once; 365 days of 60 rows have none."""
    before = shape(rows(20_000, 1))
    found = [distance(before[name], one) for day in range(365) for name, one in shape(rows(60, 1_000 + day)).items()]
    assert len(found) == 5 * 365
    assert [one for one in found if one and one.psi > 0.25 and one.distance > 0.1 and one.p_value < 1e-4 / 5] == []
