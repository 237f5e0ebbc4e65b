from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import Label, Request, Windows, count, hour, mean, share, since_last, value
from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.request import ViewFeature
from tests.sluice.declare.examples import CHARGEBACKS, FRAUD, TRANSACTIONS, refusal, windows

pytestmark = pytest.mark.unit

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
        (lambda: windows(edge="slot"), "Windows('spend').edge: unknown edge 'slot'\n  allowed: exact"),
        (
            lambda: windows(features=count("1d")),
            "Windows('spend').features: Windowed in it\n  allowed: a list such as [count('7d'), since_last()]",
        ),
        (
            lambda: windows(features=[since_last()]),
            (
                "Windows('spend'): no feature has a window\n"
                "  next: since_last needs one to look back through, such as count('30d')"
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
    ("shortest", "slot"),
    [("1min", MINUTE), ("4min", MINUTE), ("5min", 5 * MINUTE), ("59min", 5 * MINUTE), ("1h", HOUR), ("36h", DAY)],
)
def test_a_slot_is_the_longest_that_fits_the_shortest_window(shortest: str, slot: int) -> None:
    assert windows(features=[count(shortest, "30d")]).slot == slot


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
