"""What a pipeline says of a warehouse, and what it may not say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import Key, Stream, Warehouse, position
from tests.sluice.declare.examples import refusal

pytestmark = pytest.mark.unit


def test_a_query_stands_where_a_table_does() -> None:
    assert Warehouse(table="sales.payments", watermark="seen").source == "sales.payments"
    assert Warehouse(query=" SELECT 1 ; ", watermark="seen").source == "(SELECT 1)"


def test_what_is_read_and_its_watermark_make_it_the_same_source() -> None:
    one = Warehouse(table="t", watermark="seen", overlap="1h", partition="n", parts=9)
    assert one.origin() == Warehouse(table="t", watermark="seen").origin()
    assert one.origin() != Warehouse(table="t", watermark="changed").origin()


def test_an_overlap_is_a_duration_of_a_time_and_steps_of_a_count() -> None:
    assert Warehouse(table="t", watermark="seen", overlap="1h").back(counts=False) == 3_600_000_000
    assert Warehouse(table="t", watermark="n", overlap=1000).back(counts=True) == 1000


def test_where_a_stream_comes_from_changes_nothing_that_is_computed_from_it() -> None:
    ledger = Warehouse(table="t", watermark="seen")
    told = [
        Stream("payments", id="payment_id", time="at", columns={"card": Key("text")}, warehouse=one)
        for one in (None, ledger)
    ]
    assert told[0].describe() == told[1].describe()


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: Warehouse(watermark="seen"),
            "Warehouse: say what is read\n  allowed: table=<name> or query=<SELECT …>",
        ),
        (
            lambda: Warehouse(table="t", query="SELECT 1", watermark="seen"),
            "Warehouse: say what is read\n  allowed: table=<name> or query=<SELECT …>",
        ),
        (
            lambda: Warehouse(table="t", watermark=" "),
            "Warehouse: watermark=' '\n  allowed: a text that is not empty",
        ),
        (
            lambda: Warehouse(table="t", watermark="seen", parts=0),
            "Warehouse: parts=0\n  allowed: 1 to 64",
        ),
        (
            lambda: Warehouse(table="t", watermark="seen", parts="4"),  # type: ignore[arg-type]
            "Warehouse: parts='4'\n  allowed: a whole number\n  next: write the number without quotes",
        ),
        (
            lambda: Warehouse(table="t", watermark="seen", overlap="soon"),
            (
                "Warehouse.overlap: 'soon' is not a duration\n"
                "  allowed: a whole number and a unit: us, ms, s, min, h, d\n  next: write it like '30d' or '5min'"
            ),
        ),
        (
            lambda: Stream("seen", id=position, time="at", columns={}, warehouse=Warehouse(table="t", watermark="at")),
            (
                "Stream('seen').warehouse: rows without an id cannot be told apart when they are read twice\n"
                "  next: declare the column that identifies a row as the stream's id"
            ),
        ),
        (
            lambda: Stream("seen", id="n", time="at", columns={"c": Key()}, warehouse="t"),  # type: ignore[arg-type]
            "Stream('seen'): warehouse='t'\n  allowed: a Warehouse or None",
        ),
    ],
)
def test_a_warehouse_that_cannot_be_read_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message
