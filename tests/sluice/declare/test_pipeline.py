from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import (
    ComplianceCritical,
    ForeignKey,
    HybridRetraining,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Training,
    Windows,
    count,
    cross,
    difference,
    hour,
    minutes_since_midnight,
    ratio,
    season,
    value,
    zscore,
)
from sluice.declare.loading import load_pipeline
from sluice.declare.operands import Feature
from sluice.declare.pipeline import hash_of
from sluice.declare.request import ViewFeature
from tests.sluice.declare.examples import CHARGEBACKS, FRAUD, LOGINS, PINGS, TRANSACTIONS, pipeline, refusal, windows

pytestmark = pytest.mark.unit

TWICE = "is declared twice\n  allowed: each once\n  next: give one another name"
OTHER = windows("other")
DISPUTES = Stream("disputes", id="d", time="t", columns={"c": ForeignKey(CHARGEBACKS), "customer_id": Key()})
TEXTUAL = Stream("logins", id="login_id", time="at", columns={"customer_id": Key("text")})
SECOND = Stream("chargebacks", id="d", time="t", columns={"transaction_id": ForeignKey(TRANSACTIONS)})


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: pipeline(segment_by="chanel"),
            (
                "Pipeline('fraud').segment_by: unknown closed category 'chanel'\n"
                "  allowed: channel\n  next: did you mean 'channel'?"
            ),
        ),
        (
            lambda: pipeline(segment_by="country"),
            "Pipeline('fraud').segment_by: unknown closed category 'country'\n  allowed: channel",
        ),
        (lambda: pipeline(card="name"), "Pipeline('fraud').card: unknown key 'name'\n  allowed: customer_id"),
        (lambda: pipeline(label="is_fraud"), "Pipeline('fraud'): label='is_fraud'\n  allowed: a Label"),
        (
            lambda: pipeline("spend"),
            "Pipeline('fraud').views: 'spend' is no view\n  allowed: Windows, AsOf and Request",
        ),
        (lambda: pipeline(windows(), windows()), f"Pipeline('fraud'): view 'spend' {TWICE}"),
        (
            lambda: pipeline(Request("moment", hour())),
            "Pipeline('fraud').views: no Windows is declared\n  allowed: at least one Windows",
        ),
        (
            lambda: pipeline(windows(), windows("told", over=SECOND)),
            f"Pipeline('fraud'): stream 'chargebacks' {TWICE}",
        ),
        (
            lambda: pipeline(windows(), windows("told", over=DISPUTES)),
            (
                "Pipeline('fraud').c: Stream('disputes') points at Stream('chargebacks')\n"
                "  allowed: ForeignKey(transactions), the scored events"
            ),
        ),
        (
            lambda: pipeline(windows("w", over=LOGINS, of="device")),
            "Pipeline('fraud').w.of: unknown key of the scored events 'device'\n  allowed: customer_id, name",
        ),
        (
            lambda: pipeline(windows("w", over=TEXTUAL)),
            "Pipeline('fraud').w.of: key 'customer_id' is text in Stream('logins')\n  allowed: integer",
        ),
        (
            lambda: pipeline(windows("w", over=LOGINS, include_request=True)),
            "Pipeline('fraud').w.include_request: a request is no event of Stream('logins')\n  allowed: False",
        ),
        (
            lambda: pipeline(windows("w", over=Label("late", of=LOGINS, column="LATE"))),
            (
                "Pipeline('fraud').login_id: Stream('logins_late') points at Stream('logins')\n"
                "  allowed: ForeignKey(transactions), the scored events"
            ),
        ),
        (
            lambda: pipeline(windows(), Request("moment", value("amonut"))),
            (
                "Pipeline('fraud').moment.amonut: unknown column 'amonut'\n"
                "  allowed: amount, channel, country, flag\n  next: did you mean 'amount'?"
            ),
        ),
        (
            lambda: pipeline(windows(), Request("moment", value("customer_id"))),
            ("Pipeline('fraud').moment.customer_id: value of 'customer_id'\n  allowed: amount, channel, country, flag"),
        ),
        (
            lambda: pipeline(windows(), Request("moment", ratio("amount", "channel", name="r"))),
            "Pipeline('fraud').moment.r: ratio of 'channel'\n  allowed: amount, flag",
        ),
        (
            lambda: pipeline(windows(), Request("moment", cross("amount", "channel", name="x"))),
            "Pipeline('fraud').moment.x: cross of 'amount'\n  allowed: channel, country",
        ),
        (
            lambda: pipeline(windows(), Request("moment", difference("amount", "channel", name="d"))),
            "Pipeline('fraud').moment.d: difference of 'channel'\n  allowed: amount, flag",
        ),
        (
            lambda: pipeline(windows(), Request("moment", zscore("amount", mean="flag", std="fla"))),
            (
                "Pipeline('fraud').moment.zscore_amount: unknown column 'fla'\n"
                "  allowed: amount, flag\n  next: did you mean 'flag'?"
            ),
        ),
        (
            lambda: pipeline(windows(), Request("moment", ratio("amount", season(), name="r"))),
            "Pipeline('fraud').moment.r: ratio of 'season'\n  allowed: numbers",
        ),
        (
            lambda: pipeline(windows(), Request("moment", ratio(difference("amount", "x"), "flag", name="r"))),
            "Pipeline('fraud').moment.r: unknown column 'x'\n  allowed: amount, flag",
        ),
        (
            lambda: pipeline(windows(), Request("moment", cross("channel", windows()["count_1d"], name="x"))),
            (
                "Pipeline('fraud').moment.x: cross of 'spend__count_1d'\n"
                "  allowed: categories, season, hour, weekday, month, is_weekend, is_night"
            ),
        ),
        (
            lambda: pipeline(windows(), Request("moment", cross("channel", minutes_since_midnight(), name="x"))),
            (
                "Pipeline('fraud').moment.x: cross of 'minutes_since_midnight'\n"
                "  allowed: categories, season, hour, weekday, month, is_weekend, is_night"
            ),
        ),
        (
            lambda: pipeline(windows(), Request("moment", ratio("amount", OTHER["count_1d"], name="r"))),
            "Pipeline('fraud').moment.r: unknown view 'other'\n  allowed: spend",
        ),
        (
            lambda: pipeline(windows(), Request("moment", ratio("amount", ViewFeature("spend", "count_2d"), name="r"))),
            (
                "Pipeline('fraud').moment.r: unknown feature 'count_2d'\n"
                "  allowed: count_1d\n  next: did you mean 'count_1d'?"
            ),
        ),
        (
            lambda: pipeline(training=Training(exclude=["spend__count_2d"])),
            (
                "Pipeline('fraud').training.exclude: unknown feature 'spend__count_2d'\n"
                "  allowed: spend__count_1d\n  next: did you mean 'spend__count_1d'?"
            ),
        ),
        (
            lambda: pipeline(
                segment_by="channel", retraining=HybridRetraining(overrides={"onlin": ComplianceCritical()})
            ),
            (
                "Pipeline('fraud').retraining.overrides: unknown segment 'onlin'\n"
                "  allowed: *, online, pos\n  next: did you mean 'online'?"
            ),
        ),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


def test_streams_are_the_scored_events_and_then_whatever_tells_or_is_counted() -> None:
    second = Label("suspicious", of=TRANSACTIONS, column="SUSPICIOUS", known_after="1d")
    declared = pipeline(
        windows(), windows("w", over=LOGINS), windows("s", over=second, delay="1d"), windows("t", over=CHARGEBACKS)
    )
    assert declared.events is TRANSACTIONS
    assert [stream.name for stream in declared.streams] == [
        "transactions",
        "chargebacks",
        "transactions_suspicious",
        "logins",
    ]
    assert declared.stream("logins") is LOGINS


def test_a_stream_without_ids_may_be_counted_and_needs_the_same_key() -> None:
    by_name = Windows("p", of="customer_id", over=PINGS, features=[count("1d")])
    assert refusal(lambda: pipeline(by_name)).startswith("Pipeline('fraud').p.of: key 'customer_id' is text")


def test_what_a_pipeline_knows_by_name_is_looked_up_with_a_hint() -> None:
    declared = pipeline()
    assert declared.view("spend") is declared.windows[0]
    assert refusal(lambda: declared.view("spent")) == (
        "Pipeline('fraud'): unknown view 'spent'\n  allowed: spend\n  next: did you mean 'spend'?"
    )
    assert refusal(lambda: declared.stream("chargeback")).endswith("next: did you mean 'chargebacks'?")


def test_segments_are_the_values_of_a_closed_category_or_all_traffic() -> None:
    assert pipeline(segment_by="channel").segments == ("pos", "online")
    assert pipeline().segments == ("*",)
    assert (pipeline().keys, pipeline().card_key) == (("customer_id",), "customer_id")
    assert pipeline(windows(), windows("w", of="name"), card="name").card_key == "name"


def test_a_vector_has_a_place_for_every_feature_in_declared_order() -> None:
    moment = Request("moment", value("amount"), value("channel"), value("country"), cross("channel", "country"), hour())
    later = Request("later", season(), cross("channel", season(), name="x"), difference("amount", "flag", name="d"))
    assert pipeline(windows(features=[count("1d", "7d")]), moment, later).features == (
        Feature("spend__count_1d", "number"),
        Feature("spend__count_7d", "number"),
        Feature("moment__amount", "number"),
        Feature("moment__channel", "category", 2),
        Feature("moment__country", "category"),
        Feature("moment__channel_x_country", "category"),
        Feature("moment__hour", "number"),
        Feature("later__season", "category", 4),
        Feature("later__x", "category"),
        Feature("later__d", "number"),
    )


def test_a_pipeline_without_views_loads_and_says_what_it_lacks_where_features_are_asked_for() -> None:
    bare = Pipeline("fraud", views=[], label=FRAUD)
    assert (bare.windows, bare.keys, [stream.name for stream in bare.streams]) == (
        (),
        (),
        ["transactions", "chargebacks"],
    )
    assert bare.definition != pipeline().definition
    for asked in ("features", "card_key"):
        assert refusal(lambda part=asked: getattr(bare, part)).startswith(  # type: ignore[misc]
            "Pipeline('fraud').views: no Windows is declared, so that there are no features"
        )


def test_the_definition_changes_with_what_a_value_means() -> None:
    views = [windows(features=[count("1d", "7d")]), Request("moment", hour())]
    different = [
        pipeline(*views),
        pipeline(*reversed(views)),
        pipeline(views[0]),
        pipeline(windows(features=[count("1d", "8d")]), views[1]),
        pipeline(windows(features=[count("7d", "1d")]), views[1]),
        pipeline(windows(features=[count("1d", "7d")], delay="1h"), views[1]),
        pipeline(views[0], Request("moment", hour(name="h"))),
    ]
    assert len({declared.definition for declared in different}) == len(different)


def test_the_definition_does_not_change_with_how_a_pipeline_is_run() -> None:
    run_otherwise = pipeline(
        segment_by="channel",
        card="customer_id",
        training=Training(history="90d", knowledge="as_served"),
        retraining=HybridRetraining(max_age="9d"),
    )
    assert run_otherwise.definition == pipeline().definition


def test_a_hash_is_that_of_the_canonical_description() -> None:
    assert hash_of({"b": 1, "a": [1.0, None]}) == hash_of({"a": [1.0, None], "b": 1}) == "8075c44d7e50dec3"


def test_the_handbooks_pipeline_has_the_features_of_the_book() -> None:
    handbook = load_pipeline("handbook")
    assert [feature.name for feature in handbook.features] == [
        *(f"customer__count_{days}d" for days in (1, 7, 30)),
        *(f"customer__mean_amount_{days}d" for days in (1, 7, 30)),
        *(f"terminal__count_{days}d" for days in (1, 7, 30)),
        *(f"terminal__share_is_fraud_{days}d" for days in (1, 7, 30)),
        "moment__amount",
        "moment__is_weekend",
        "moment__is_night",
        "moment__amount_to_mean_7d",
        "moment__amount_to_mean_30d",
    ]
    assert handbook.segments == ("*",)
    assert [stream.name for stream in handbook.streams] == ["transactions", "transactions_is_fraud"]


def test_the_fraud_pipeline_scores_payments_by_channel() -> None:
    fraud = load_pipeline("fraud")
    names = [feature.name for feature in fraud.features]
    assert len(names) == len(set(names)) == 34
    assert names[:8] == [
        *(f"customer_spend__count_{days}d" for days in (1, 7, 30)),
        *(f"customer_spend__mean_amount_{days}d" for days in (1, 7, 30)),
        "customer_spend__sum_amount_1d",
        "customer_spend__since_last",
    ]
    assert {feature.name: feature.size for feature in fraud.features if feature.kind == "category"} == {
        "moment__channel": 3,
        "moment__country": None,
        "moment__channel_x_country": None,
    }
    assert fraud.segments == ("pos", "online", "atm")
    assert (fraud.keys, fraud.card_key) == (("customer_id", "terminal_id"), "customer_id")
    assert fraud.label is not FRAUD
    assert fraud.label.settled_after == 21 * 86_400_000_000
