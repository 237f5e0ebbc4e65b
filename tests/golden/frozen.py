"""Two pipelines that are never changed, which together use every word of the vocabulary in every form.

Their vectors for a stored history are stored beside it (`bits.json`); `freeze` made both. A new word gets a pipeline of
its own here, so that the bits of the old ones stay where they are.
"""

from __future__ import annotations

from sluice import (
    AsOf,
    Category,
    Decimal,
    Flag,
    ForeignKey,
    Integer,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
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
    position,
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
from sluice.declare.conditions import Condition
from sluice.declare.functions import Windowed


def every(where: Condition | None = None, *windows: str) -> list[tuple[Windowed, ...]]:
    """Every function over the given windows, few values exact; the filtered ones with names that say so."""

    def named(name: str) -> dict[str, object]:
        return {"name": f"{name}_{{window}}" if where is None else f"some_{name}_{{window}}", "where": where}

    def decayed(name: str) -> dict[str, object]:
        return {**named(name), "name": name if where is None else f"some_{name}"}

    return [
        count(*windows, **named("count")),
        sum_("price", *windows, **named("sum")),
        sum_("pieces", *windows, **named("pieces")),
        mean("price", *windows, **named("mean"), fill=-1),
        share("paid", *windows, **named("share")),
        min_("price", *windows, **named("min")),
        max_("pieces", *windows, **named("max"), fill=0),
        std("price", *windows, **named("std")),
        std("weight", *windows, **named("std_weight")),
        percentile("price", 0.5, *windows, **named("median")),
        percentile("weight", 0.8, *windows, **named("p80"), exact=4, error=0.05),
        distinct("buyer", *windows, **named("buyers")),
        distinct("pieces", *windows, **named("sizes"), exact=3),
        first("price", *windows, **named("first")),
        last("price", *windows, **named("last")),
        first("kind", *windows, **named("first_kind")),
        last("origin", *windows, **named("last_origin")),
        top("kind", *windows, **named("top")),
        top("origin", *windows, **named("top_origin"), cardinality=2),
        top_share("origin", *windows, **named("top_share")),
        since_last(*windows, **named("idle")),
        since_first(*windows, **named("known")),
        decayed_count(half_life="7min", **decayed("fading")),
        decayed_sum("price", half_life="11min", **decayed("fading_sum"), fill=3),
        decayed_mean("weight", half_life="1min", **decayed("fading_mean")),
    ]


def fair() -> Pipeline:
    """Whole numbers for ids; a label that is told; windows from minutes to a lifetime, exact and of slots."""
    sales = Stream(
        "sales",
        id="sale_id",
        time="sold_at",
        columns={
            "stall": Key(),
            "buyer": Key("text"),
            "price": Decimal(scale=2, min=-500, max=10_000, nullable=True),
            "weight": Decimal(scale=6, min=-8, max=8),
            "pieces": Integer(min=-40, max=2**40),
            "kind": Category("fruit", "cloth", "spice", nullable=True),
            "origin": Category(nullable=True),
            "paid": Flag(nullable=True),
        },
        accept_late="15min",
    )
    returns = Stream(
        "returns",
        id="return_id",
        time="returned_at",
        columns={"sale_id": ForeignKey(sales, nullable=True), "is_bad": Flag(), "cost": Decimal(max=1_000)},
        accept_late="20min",
    )
    bad = Label("is_bad", of=sales, told_by=returns, absent=0, after="10min")
    some = (col("price") >= 0) & ~col("kind").isin(["cloth"]) | (col("paid") == 1)
    stall = Windows("stall", of="stall", over=sales, include_request=True, leaf=8, features=every(None, "20min"))
    ever = Windows("ever", of="stall", over=sales, leaf=30, features=every(None, "lifetime"))
    chosen = Windows("chosen", of="stall", over=sales, include_request=True, leaf=5, features=every(some, "45min"))
    buyer = Windows("buyer", of="buyer", over=sales, edge="slot", slot="5min", leaf=20, features=every(None, "30min"))
    late = Windows("late", of="stall", over=sales, delay="7min", features=every(None, "25min"))
    told = [make("40min", "lifetime") for make in (count, since_first, since_last)]
    told += [make("is_bad", "40min", "lifetime", name=f"{name}_{{window}}") for name, make in _OF_FLAGS.items()]
    dear = [count("40min", where=col("price") > 20, name="dear"), share("is_bad", "40min", where=some, name="some_bad")]
    risk = Windows("risk", of="stall", over=bad, delay="10min", leaf=6, features=[*told, *dear])
    reports = Windows(
        "reports",
        of="buyer",
        over=returns,
        features=[count("1h"), mean("cost", "1h"), std("cost", "1h"), share("is_bad", "1h"), since_last()],
    )
    terms = AsOf(
        "terms",
        table="terms",
        on={"kind": "sort"},
        features={"fee": Decimal(scale=3, min=-10, max=10, nullable=True), "plan": Category("old", "new")},
        known_after="3min",
        valid_for="40min",
    )
    moment = Request(
        "now",
        value("price"),
        value("kind"),
        hour(),
        weekday(),
        month(),
        season(),
        season(hemisphere="south", name="southern"),
        minutes_since_midnight(),
        is_weekend(),
        is_night(23, 4),
        ratio("price", stall["mean_20min"], name="to_mean"),
        difference("price", stall["median_20min"], name="to_median"),
        zscore("price", mean=stall["mean_20min"], std=stall["std_20min"]),
        ratio("weight", terms["fee"], name="to_fee"),
        cross("kind", "origin", terms["plan"], name="offer"),
        cross(weekday(), hour(), name="when"),
    )
    return Pipeline("fair", views=[stall, ever, chosen, buyer, late, risk, reports, terms, moment], label=bad)


_OF_FLAGS = {"sum": sum_, "mean": mean, "share": share}


def wards() -> Pipeline:
    """Texts for ids, a label that is unknown until it is told, and a stream without ids."""
    visits = Stream(
        "visits",
        id="visit_id",
        id_type="text",
        time="began_at",
        columns={"ward": Key("text"), "cost": Decimal(scale=1, max=500, nullable=True), "kind": Category("a", "b")},
        accept_late="15min",
    )
    readings = Stream(
        "readings", id=position, time="read_at", columns={"ward": Key("text"), "heat": Integer(min=-50, max=500)}
    )
    relapse = Label("relapse", of=visits, column="RELAPSE", known_after="5min")
    ward = Windows(
        "ward",
        of="ward",
        over=visits,
        include_request=True,
        leaf=4,
        features=[
            count("10min", "lifetime"),
            std("cost", "10min"),
            first("cost"),
            last("kind"),
            top("kind", "lifetime"),
            decayed_sum("cost", half_life="5min"),
            since_last(),
        ],
    )
    heat = Windows("heat", of="ward", over=readings, leaf=4, features=[mean("heat", "10min"), last("heat", "1h")])
    back = Windows(
        "back", of="ward", over=relapse, delay="5min", leaf=3, features=[count("30min"), share("relapse", "30min")]
    )
    now = Request("now", difference("cost", heat["mean_heat_10min"]))
    return Pipeline("wards", views=[ward, heat, back, now], label=relapse)


ALL = (fair(), wards())
