"""Three small pipelines that together use every word of the vocabulary, with windows of minutes."""

from __future__ import annotations

from sluice import (
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


def shop() -> Pipeline:
    """Integer ids, a label told by another stream and absent after a while, keys inherited from the parent event."""
    orders = Stream(
        "orders",
        id="order_id",
        time="ordered_at",
        columns={
            "customer": Key(),
            "till": Key("text"),
            "amount": Decimal(scale=2, min=-1_000, max=100_000, nullable=True),
            "items": Integer(min=-5, max=2**53 - 1),
            "gift": Flag(nullable=True),
            "channel": Category("web", "desk", nullable=True),
            "country": Category(nullable=True),
        },
        accept_late="2min",
    )
    claims = Stream(
        "claims",
        id="claim_id",
        time="claimed_at",
        columns={"order_id": ForeignKey(orders, nullable=True), "is_bad": Flag(), "cost": Decimal(max=1_000)},
        accept_late="3min",
    )
    bad = Label("is_bad", of=orders, told_by=claims, absent=0, after="2min")
    customer = Windows(
        "customer",
        of="customer",
        over=orders,
        include_request=True,
        leaf=2,
        features=[
            count("1min", "3min"),
            sum_("amount", "3min"),
            mean("amount", "1min", "3min", fill=-1),
            sum_("items", "3min"),
            mean("items", "1min"),
            share("gift", "3min"),
            since_last(),
        ],
    )
    till = Windows("till", of="till", over=orders, features=[count("1min"), mean("amount", "1min"), since_last()])
    risk = Windows(
        "risk",
        of="till",
        over=bad,
        delay="2min",
        leaf=3,
        features=[count("1min", "3min"), share("is_bad", "1min", "3min", fill=0), since_last()],
    )
    reports = Windows("reports", of="till", over=claims, features=[count("2min"), mean("cost", "2min"), since_last()])
    moment = Request(
        "moment",
        value("amount"),
        value("channel"),
        value("country"),
        cross("channel", "country"),
        hour(),
        weekday(),
        is_weekend(),
        is_night(22, 4),
        ratio("amount", customer["mean_amount_3min"]),
        ratio(customer["count_1min"], customer["count_3min"], name="pace"),
    )
    return Pipeline("shop", views=[customer, till, risk, reports, moment], label=bad)


def clinic() -> Pipeline:
    """Text ids and a label that is a column of the row: unknown until it is told, and nothing stands for absent."""
    visits = Stream(
        "visits",
        id="visit_id",
        id_type="text",
        time="began_at",
        columns={"patient": Key("text"), "ward": Key(), "cost": Decimal(scale=3, max=10_000)},
        accept_late="1min",
    )
    relapse = Label("relapse", of=visits, column="RELAPSE", known_after="1min")
    patient = Windows(
        "patient", of="patient", over=visits, leaf=2, features=[count("2min"), sum_("cost", "2min"), since_last()]
    )
    ward = Windows(
        "ward", of="ward", over=relapse, delay="1min", features=[count("1min", "2min"), share("relapse", "2min")]
    )
    early = Windows(
        "early", of="ward", over=visits, delay="1min", include_request=True, features=[mean("cost", "1min")]
    )
    usual, dear = early["mean_cost_1min"], difference("cost", early["mean_cost_1min"], name="dear")
    now = Request(
        "now",
        month(),
        season(),
        season(hemisphere="south", name="southern"),
        minutes_since_midnight(name="minute"),
        dear,
        ratio(dear, usual),
        difference(minutes_since_midnight(), hour(), name="rest"),
        zscore("cost", mean=usual, std=patient["sum_cost_2min"]),
        zscore(dear, mean=patient["since_last"], std=dear, name="odd"),
        cross(month(), season(hemisphere="south"), hour(), name="when"),
    )
    moment = Request("moment", hour(name="h"))
    return Pipeline("clinic", views=[patient, ward, early, moment, now], label=relapse)


def sensors() -> Pipeline:
    """A second stream without ids (`position`), with the key of the scored events and ids of another type."""
    checks = Stream(
        "checks",
        id="check_id",
        time="checked_at",
        columns={"machine": Key(), "load": Integer(max=100), "kind": Category("lathe", "press", nullable=True)},
        accept_late="2min",
    )
    readings = Stream(
        "readings",
        id=position,
        time="read_at",
        columns={"machine": Key(), "heat": Integer(min=-50, max=500, nullable=True)},
        accept_late="2min",
    )
    failed = Label("failed", of=checks, column="failed", known_after="1min")
    heat = Windows(
        "heat", of="machine", over=readings, features=[count("1min", "2min"), mean("heat", "2min"), since_last()]
    )
    load = Windows("load", of="machine", over=checks, include_request=True, features=[mean("load", "2min")])
    warm = difference(load["mean_load_2min"], heat["mean_heat_2min"])
    moment = Request(
        "moment",
        difference("load", load["mean_load_2min"], name="more"),
        zscore("load", mean=load["mean_load_2min"], std=heat["count_1min"]),
        ratio(warm, difference(warm, "load"), name="share"),
        cross("kind", season(), is_weekend()),
        cross(cross("kind", weekday()), is_night(22, 4), name="shift"),
    )
    return Pipeline("sensors", views=[heat, load, moment], label=failed)


def bazaar() -> Pipeline:
    """Every function, filtered and not, exact and by slots, over windows from a minute to a lifetime; few are exact."""
    sales = Stream(
        "sales",
        id="sale_id",
        time="sold_at",
        columns={
            "stall": Key(),
            "buyer": Key("text"),
            "price": Decimal(scale=2, min=-500, max=10_000, nullable=True),
            "pieces": Integer(min=-40, max=70_000),
            "kind": Category("fruit", "cloth", "spice", nullable=True),
            "paid": Flag(nullable=True),
        },
        accept_late="2min",
    )
    returned = Label("returned", of=sales, column="returned", known_after="1min")
    dear = (col("price") >= 9.5) & (col("kind") != "cloth")
    stall = Windows(
        "stall",
        of="stall",
        over=sales,
        include_request=True,
        leaf=3,
        features=[
            count("1min", "lifetime"),
            count("3min", where=dear, name="dear"),
            min_("price", "1min", "lifetime"),
            max_("price", "3min", where=~(col("paid") == 1), name="most_unpaid", fill=0),
            std("price", "1min", "lifetime"),
            std("pieces", "3min", where=col("kind").isin(["fruit", "spice"]), name="std_food"),
            percentile("price", 0.5, "1min", "3min", exact=2, error=0.1),
            percentile("pieces", 0.95, "lifetime", exact=3),
            distinct("buyer", "1min", "lifetime", exact=2),
            distinct("pieces", "3min", exact=1, where=col("price") < 100, name="cheap_sizes"),
            first("price", "3min", "lifetime"),
            last("price"),
            last("kind", where=col("paid").is_null() | (col("paid") == 0), name="last_unpaid"),
            first("kind", "lifetime"),
            top("kind", "1min", "lifetime", cardinality=2),
            top_share("kind", "3min"),
            decayed_count(half_life="1min"),
            decayed_sum("price", half_life="2min"),
            decayed_mean("pieces", half_life="1min", where=col("pieces") > 0, name="fading_pieces", fill=-2),
            since_last(),
            since_first("lifetime"),
            since_last("1min", where=col("kind") == "spice", name="since_spice"),
        ],
    )
    buyer = Windows(
        "buyer",
        of="buyer",
        over=sales,
        edge="slot",
        slot="1min",
        features=[count("1min", "2min"), mean("price", "2min"), max_("pieces", "2min"), top("kind", "2min")],
    )
    early = Windows(
        "early",
        of="stall",
        over=sales,
        delay="1min",
        features=[
            percentile("price", 0.9, "2min"),
            std("price", "2min"),
            last("kind"),
            decayed_sum("price", half_life="1min"),
        ],
    )
    returns = Windows(
        "returns",
        of="stall",
        over=returned,
        delay="1min",
        leaf=2,
        features=[
            share("returned", "2min", "lifetime"),
            count("2min", where=col("kind") == "fruit", name="fruit"),
            mean("returned", "1min", where=col("price") > 0, name="sold_returned"),
        ],
    )
    now = Request("now", value("price"), ratio(stall["dear"], stall["count_lifetime"], name="dear_share"))
    return Pipeline("bazaar", views=[stall, buyer, early, returns, now], label=returned)


ALL = (shop(), clinic(), sensors(), bazaar())
