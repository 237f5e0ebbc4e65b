"""A pipeline outside the feature repository: text ids and keys, a label inside the row, features made from others."""

from __future__ import annotations

from sluice import (
    Category,
    Decimal,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Windows,
    count,
    cross,
    difference,
    hour,
    mean,
    month,
    ratio,
    season,
    share,
    since_last,
    value,
    zscore,
)

visits = Stream(
    "visits",
    id="visit_id",
    id_type="text",
    time="began_at",
    columns={
        "patient": Key("text"),
        "ward": Key(),
        "cost": Decimal(scale=3, max=10_000),
        "reason": Category(nullable=True),
    },
)
relapse = Label("relapse", of=visits, column="RELAPSE", known_after="1d")
patient = Windows(
    "patient",
    of="patient",
    over=visits,
    include_request=True,
    features=[count("1d", "7d"), mean("cost", "7d"), since_last()],
)
ward = Windows("ward", of="ward", over=relapse, delay="1d", features=[count("7d"), share("relapse", "7d")])
more = difference("cost", patient["mean_cost_7d"], name="more")
moment = Request(
    "moment",
    hour(),
    value("reason"),
    ratio("cost", patient["mean_cost_7d"], name="dear"),
    season(),
    zscore(more, mean=patient["count_7d"], std=ward["count_7d"], name="odd"),
    cross("reason", month(), name="reason_in_month"),
)

pipeline = Pipeline("clinic", views=[patient, ward, moment], label=relapse)
