from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import (
    Category,
    Integer,
    Key,
    Label,
    Request,
    Stream,
    Windows,
    col,
    count,
    decayed_sum,
    hour,
    last,
    max_,
    mean,
    percentile,
    share,
    since_first,
    since_last,
    std,
    top,
    top_share,
    value,
)
from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.functions import LIFETIME
from sluice.declare.request import ViewFeature
from tests.sluice.declare.examples import CHARGEBACKS, FRAUD, TRANSACTIONS, refusal, windows

pytestmark = pytest.mark.unit
SLOTS = '  allowed: 1d, 1h, 5min, 1min\n  next: say how long a slot is, such as slot="1h"'

WIDE = Stream("wide", id="wide_id", time="at", columns={"customer_id": Key(), "size": Integer(max=2**53 - 1)})
RISK = [count("1d", "30d"), share("is_fraud", "7d")]
TOLD = Label("is_fraud", of=TRANSACTIONS, told_by=CHARGEBACKS)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: windows("Spend"),
            (
                "Windows(name): 'Spend' cannot be a name\n"
                "  allowed: lower case letters, digits and single underscores, a letter first"
            ),
        ),
        (
            lambda: windows(of="custmer_id"),
            (
                "Windows('spend').of: unknown key 'custmer_id'\n"
                "  allowed: customer_id, name\n  next: did you mean 'customer_id'?"
            ),
        ),
        (lambda: windows(of="amount"), "Windows('spend').of: unknown key 'amount'\n  allowed: customer_id, name"),
        (
            lambda: windows(over="transactions"),
            "Windows('spend'): over='transactions'\n  allowed: a Stream or a Label",
        ),
        (
            lambda: windows(delay="soon"),
            (
                "Windows('spend').delay: 'soon' is not a duration\n"
                "  allowed: a whole number and a unit: us, ms, s, min, h, d\n  next: write it like '30d' or '5min'"
            ),
        ),
        (
            lambda: windows(edge="slots"),
            "Windows('spend').edge: unknown edge 'slots'\n  allowed: exact, slot\n  next: did you mean 'slot'?",
        ),
        (lambda: windows(edge="slot"), f"Windows('spend'): slot=None\n{SLOTS}"),
        (lambda: windows(edge="slot", slot="2h"), f"Windows('spend'): slot='2h'\n{SLOTS}"),
        (
            lambda: windows(slot="1h"),
            "Windows('spend'): slot='1h' with exact edges\n  allowed: slot= beside edge=\"slot\"",
        ),
        (
            lambda: windows(edge="slot", slot="1h", features=[count("90min")]),
            "Windows('spend').count_90min: window 90min is no multiple of the slot\n  allowed: multiples of 1h",
        ),
        (lambda: windows(leaf=0), "Windows('spend'): leaf=0\n  allowed: 1 to 1,000,000 events"),
        (
            lambda: windows(features=[max_("channel", "1d")]),
            "Windows('spend').max_channel_1d: max of category 'channel'\n  allowed: amount, flag",
        ),
        (
            lambda: windows(features=[top("amount", "1d")]),
            "Windows('spend').top_amount_1d: top of decimal 'amount'\n  allowed: channel, country",
        ),
        (
            lambda: windows(features=[last("channel", "1d", fill=0)]),
            "Windows('spend').last_channel_1d: fill=0.0 for a category\n  allowed: None: it stays null",
        ),
        (
            lambda: windows(features=[count("1d", where=col("chanel") == "pos", name="pos")]),
            (
                "Windows('spend').pos: unknown column 'chanel'\n"
                "  allowed: amount, channel, country, customer_id, flag, name\n  next: did you mean 'channel'?"
            ),
        ),
        (
            lambda: windows(features=[count("1d", where=col("channel") == "onlin", name="online")]),
            (
                "Windows('spend').online, (channel == 'onlin'): unknown category 'onlin'\n"
                "  allowed: online, pos\n  next: did you mean 'online'?"
            ),
        ),
        (
            lambda: windows(over=FRAUD, delay="21d", features=[count("1d"), max_("is_fraud", "1d")]),
            (
                "Windows('spend').max_is_fraud_1d: max over a label\n"
                "  allowed: count, mean, share, since_first, since_last, sum"
            ),
        ),
        (
            lambda: windows(over=WIDE, features=[std("size", "1d")]),
            (
                "Windows('spend').std_size_1d: std of 'size' does not fit exact arithmetic at its bounds\n"
                "  next: declare narrower bounds for the column"
            ),
        ),
        (
            lambda: windows(over=WIDE, features=[count("1d"), decayed_sum("size", half_life="1h")]),
            (
                "Windows('spend').decayed_sum_size_1h: decayed_sum of 'size' does not fit exact arithmetic at its "
                "bounds\n  next: declare narrower bounds for the column"
            ),
        ),
        (
            lambda: windows(features=count("1d")),
            "Windows('spend').features: Windowed in it\n  allowed: a list such as [count('7d'), since_last()]",
        ),
        (
            lambda: windows(features=[since_last()]),
            (
                "Windows('spend'): no feature has a window for since_last to look back through\n"
                "  allowed: at least one feature with a window\n"
                "  next: add one that reaches as far back as they should, such as count('30d')"
            ),
        ),
        (
            lambda: windows(features=[count("1d"), count("24h")]),
            (
                "Windows('spend'): feature 'count_1d' is declared twice\n"
                "  allowed: each once\n  next: give one another name"
            ),
        ),
        (
            lambda: windows(features=[mean("amonut", "1d")]),
            (
                "Windows('spend').mean_amonut_1d: unknown column 'amonut'\n"
                "  allowed: amount, flag\n  next: did you mean 'amount'?"
            ),
        ),
        (
            lambda: windows(features=[mean("channel", "1d")]),
            "Windows('spend').mean_channel_1d: mean of category 'channel'\n  allowed: amount, flag",
        ),
        (
            lambda: windows(features=[share("amount", "1d")]),
            "Windows('spend').share_amount_1d: share of decimal 'amount'\n  allowed: flag",
        ),
        (
            lambda: windows(over=FRAUD, delay="7d", features=RISK),
            (
                "Windows('spend'): delay 7d is shorter than the label takes to be known\n"
                "  allowed: 21d or more\n  next: a shorter delay would see the frauds before the genuine events"
            ),
        ),
        (
            lambda: windows(over=FRAUD, delay="21d", features=RISK, include_request=True),
            "Windows('spend').include_request: a request has no label yet\n  allowed: False",
        ),
        (
            lambda: windows(over=FRAUD, delay="21d", features=[mean("amount", "1d")]),
            "Windows('spend').mean_amount_1d: unknown column 'amount'\n  allowed: is_fraud",
        ),
        (
            lambda: windows(over=TOLD, features=[count("1d"), since_last()]),
            (
                "Windows('spend').since_last: since_last over a label that may be unknown\n"
                "  allowed: a stream, or a label with absent=0 or absent=1"
            ),
        ),
        (
            lambda: windows()["count_2d"],
            "Windows('spend'): unknown feature 'count_2d'\n  allowed: count_1d\n  next: did you mean 'count_1d'?",
        ),
        (
            lambda: Request("moment", hour(), value("amount", name="hour")),
            "Request('moment'): feature 'hour' is declared twice\n  allowed: each once\n  next: give one another name",
        ),
    ],
)
def test_a_view_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message


def test_a_view_over_a_label_stands_on_the_events_that_the_label_is_about() -> None:
    risk = windows(over=FRAUD, delay="21d", features=RISK)
    assert (risk.stream, risk.label, risk.lag) == (TRANSACTIONS, FRAUD, 21 * DAY)
    assert risk.value_columns == ("is_fraud",)
    assert windows(over=FRAUD, delay="21d", features=[count("1d"), since_last()]).functions[1].name == "since_last"


def test_a_view_over_what_is_told_inherits_the_key_of_the_event() -> None:
    assert windows(over=CHARGEBACKS).inherits_key
    assert not windows().inherits_key
    assert windows(over=CHARGEBACKS).key == TRANSACTIONS.columns["customer_id"]


def test_a_horizon_is_the_longest_window_and_the_delay_and_what_may_still_come() -> None:
    view = windows(over=FRAUD, delay="21d", features=RISK)
    assert (view.longest, view.horizon) == (30 * DAY, 30 * DAY + 21 * DAY + TRANSACTIONS.micros("accept_late"))


@pytest.mark.parametrize(
    ("longest", "slot"),
    [
        ("1min", DAY),
        ("1d", DAY),
        ("2d", 2 * DAY),
        ("3d", 8 * DAY),
        ("30d", 32 * DAY),
        ("200d", 512 * DAY),
        ("900d", 512 * DAY),
    ],
)
def test_the_longest_slot_reaches_as_far_as_the_longest_window(longest: str, slot: int) -> None:
    assert windows(features=[count(longest, "lifetime")]).slots[0] == slot


def test_slots_end_with_a_minute_or_with_the_slot_that_edges_keep_to() -> None:
    assert windows().slots == (DAY, 6 * HOUR, 3 * HOUR, HOUR, 15 * MINUTE, 5 * MINUTE, MINUTE)
    assert windows(edge="slot", slot="1h").slots == (DAY, 6 * HOUR, 3 * HOUR, HOUR)


def test_a_lifetime_does_not_lengthen_the_horizon() -> None:
    view = windows(features=[count("7d", "lifetime"), since_last(), since_first("lifetime")])
    assert (view.longest, view.horizon) == (7 * DAY, 7 * DAY + TRANSACTIONS.micros("accept_late"))
    assert [view.window(item) for item in view.functions] == [7 * DAY, LIFETIME, 7 * DAY, LIFETIME]
    alone = windows(features=[count("lifetime"), since_last()])
    assert [alone.window(item) for item in alone.functions] == [LIFETIME, LIFETIME]


def test_what_only_says_how_rows_are_stored_changes_no_meaning() -> None:
    assert windows(leaf=7).describe() == windows().describe()


def test_filters_slots_and_parameters_change_the_meaning() -> None:
    online, pos = (count("1d", where=col("channel") == kind, name="n") for kind in ("online", "pos"))
    one, other = (percentile("amount", 0.9, "1d", error=error, name="n") for error in (0.01, 0.1))
    views = [windows(features=[group]) for group in (online, pos, one, other, count("1d", name="n"))]
    described = [view.describe() for view in [*views, windows(edge="slot", slot="1h"), windows(edge="slot", slot="1d")]]
    assert all(described.count(one) == 1 for one in described)


def test_the_value_of_a_picked_category_is_its_code() -> None:
    view = windows(
        features=[top("country", "1d"), last("channel", "1d"), last("amount", "1d"), top_share("country", "1d")]
    )
    kinds = [view.category(feature) for feature in view.functions]
    assert kinds == [Category(), Category("pos", "online"), None, None]


def test_a_feature_of_a_view_is_an_operand() -> None:
    assert windows()["count_1d"] == ViewFeature("spend", "count_1d")
    assert windows()["count_1d"].name == "spend__count_1d"


def test_what_changes_a_value_changes_the_description_and_nothing_else_does() -> None:
    def described(**changes: object) -> object:
        return windows(**({"features": [mean("amount", "1d")]} | changes)).describe()

    assert described() == described() == described(delay="0d") == described(delay=0)
    different = [
        described(of="name"),
        described(include_request=True),
        described(delay="1d"),
        described(features=[mean("amount", "2d")]),
        described(features=[mean("amount", "1d", fill=0)]),
        described(features=[mean("amount", "1d", name="m")]),
        described(features=[mean("flag", "1d")]),
        described(over=FRAUD, delay="21d", features=RISK),
    ]
    assert all([described(), *different].count(one) == 1 for one in different)


def test_an_edge_is_exact_by_default() -> None:
    assert Windows("w", of="customer_id", over=TRANSACTIONS, features=[count("1d")]).edge == "exact"
