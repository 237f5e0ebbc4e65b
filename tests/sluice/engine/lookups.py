"""A pipeline that looks things up in four ways, and tables to look them up in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from sluice import (
    AsOf,
    Category,
    Decimal,
    Flag,
    Integer,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Windows,
    count,
    cross,
    difference,
    ratio,
    value,
    zscore,
)
from sluice.declare.asof import VALID_FROM, AsOfTable
from sluice.declare.columns import Column
from sluice.engine.asof import Lookups
from sluice.engine.facts import column_type
from tests.sluice.engine.oracle import Asked, Tables, Version
from tests.sluice.engine.worlds import JITTER, choices_of, payloads, some, times, versions_of


def market() -> Pipeline:
    """By one category; by none; by a text key and a closed category of other names; and one table twice."""
    orders = Stream(
        "orders",
        id="order_id",
        time="ordered_at",
        columns={
            "card": Key(),
            "seller": Key("text"),
            "amount": Decimal(nullable=True),
            "country": Category(nullable=True),
            "channel": Category("web", "desk", nullable=True),
        },
        accept_late="1min",
    )
    own = Windows("own", of="card", over=orders, include_request=True, features=[count("1min")])
    days = Integer(min=-3, max=400, nullable=True)
    calendar = AsOf(
        "calendar",
        table="holidays",
        on="country",
        features={"is_holiday": Flag(), "days_to_next": days},
        valid_for="2min",
    )
    eve = AsOf("eve", table="holidays", on="country", features={"is_holiday": Flag()}, known_after="1min")
    prices = AsOf(
        "prices",
        table="price_index",
        features={
            "level": Decimal(scale=6, min=-1_000, max=9_000_000_000, nullable=True),
            "regime": Category("calm", "wild", nullable=True),
        },
        known_after="1min",
    )
    terms = AsOf(
        "terms",
        table="terms",
        on={"seller": "owner", "channel": "sold_by", "card": "card"},
        features={"fee": Decimal(scale=3), "plan": Category(nullable=True)},
        known_after="1min",
        valid_for="3min",
    )
    moment = Request(
        "moment",
        value("country"),
        difference("amount", prices["level"], name="real"),
        ratio(calendar["days_to_next"], terms["fee"], name="odd"),
        zscore("amount", mean=prices["level"], std=eve["is_holiday"]),
        cross(prices["regime"], terms["plan"], "channel", name="offer"),
    )
    views = [moment, calendar, own, eve, prices, terms]
    return Pipeline("market", views=views, label=Label("bad", of=orders, column="BAD", known_after="1min"))


@dataclass(frozen=True)
class LookupWorld:
    """Orders, tables, and requests on the edges of what the tables' rows hold for."""

    versions: list[Version]
    requests: list[Asked]
    tables: Tables


@st.composite
def lookup_worlds(draw: st.DrawFn, pipeline: Pipeline) -> LookupWorld:
    versions = draw(some(versions_of(pipeline, pipeline.events)))
    tables = {name: draw(rows_of(table)) for name, table in pipeline.tables.items()}
    requests = draw(st.lists(asked_of(pipeline, tables), min_size=1, max_size=5))
    return LookupWorld(versions, requests, tables)


@st.composite
def rows_of(draw: st.DrawFn, table: AsOfTable) -> list[dict[str, Any]]:
    """Rows of few keys and moments, one for each of both."""
    columns = {VALID_FROM: times()} | {name: st.sampled_from(values_of(item)) for name, item in table.columns.items()}
    identity = (*table.keys, VALID_FROM)
    rows = st.lists(
        st.fixed_dictionaries(columns), max_size=8, unique_by=lambda row: tuple(row[name] for name in identity)
    )
    return draw(rows)


def values_of(column: Column) -> list[Any]:
    """Encoded values, of keys and open categories the same few as in requests."""
    return [value for value in dict.fromkeys(choices_of(column)) if value is not None or column.nullable]


@st.composite
def asked_of(draw: st.DrawFn, pipeline: Pipeline, tables: Tables) -> Asked:
    """A request with the key of some row where its view changes its mind, or any other."""
    values, time = draw(st.sampled_from(payloads(pipeline.events))), draw(times())
    rows = [(view, row) for view in pipeline.lookups for row in tables[view.table]]
    if rows and draw(st.sampled_from([True, True, True, False])):
        view, row = draw(st.sampled_from(rows))
        values = values | {name: row[in_table] for name, in_table in view.keys.items()}
        time = row[VALID_FROM] + draw(st.sampled_from([0, view.lag, view.span or 0])) + draw(JITTER)
    return Asked(time, draw(st.sampled_from([None, 0, 1])), values)


def lookups_of(pipeline: Pipeline, tables: Tables, versions: Mapping[str, int] | None = None) -> Lookups:
    """The tables as the engine looks things up in them."""
    encoded = {name: encoded_rows(table, tables[name]) for name, table in pipeline.tables.items()}
    return Lookups.of(pipeline, encoded, versions or dict.fromkeys(encoded, 0))


def encoded_rows(table: AsOfTable, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    types = {name: column_type(column) for name, column in table.columns.items()}
    return pa.Table.from_pylist(list(rows), schema=pa.schema({VALID_FROM: pa.int64(), **types}))
