from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sluice.local.simulator import CHARGEBACKS, TRANSACTIONS, Simulation
from sluice.local.simulator.tables import named

pytestmark = pytest.mark.unit


def test_transactions_have_the_declared_columns_and_no_other():
    assert (
        pa.schema(
            [
                ("transaction_id", pa.int64()),
                ("event_time", pa.timestamp("us", "UTC")),
                ("customer_id", pa.int64()),
                ("terminal_id", pa.int64()),
                ("amount", pa.float64()),
                ("channel", pa.string()),
                ("country", pa.string()),
            ]
        )
        == TRANSACTIONS
    )


def test_chargebacks_have_the_declared_columns_and_no_other():
    assert (
        pa.schema(
            [
                ("chargeback_id", pa.int64()),
                ("reported_time", pa.timestamp("us", "UTC")),
                ("transaction_id", pa.int64()),
                ("is_fraud", pa.int8()),
            ]
        )
        == CHARGEBACKS
    )


def test_no_stream_tells_the_scenario(troubled: Simulation):
    assert troubled.transactions.schema == TRANSACTIONS
    assert troubled.chargebacks.schema == CHARGEBACKS


def test_amounts_are_the_nearest_doubles_of_two_decimals(troubled):
    amounts = troubled.transactions["amount"].to_pylist()
    assert all(amount == float(round(Decimal(amount), 2)) for amount in amounts)
    assert min(amounts) >= 0.01
    assert max(amounts) <= 100_000


def test_ids_are_unique_and_in_time_order(troubled):
    frame = troubled.transactions.to_pandas()
    assert frame.transaction_id.is_monotonic_increasing
    assert frame.transaction_id.is_unique
    assert frame.event_time.is_monotonic_increasing
    assert frame.transaction_id.max() < 2**53


def test_keys_count_from_one(quiet):
    frame = quiet.transactions.to_pandas()
    assert (frame.customer_id.min(), frame.customer_id.max()) == (1, 200)
    assert frame.terminal_id.between(1, 200).all()
    assert set(frame.channel) == {"pos", "online", "atm"}
    assert set(frame.country) == {"DE", "FR", "NL", "AT", "PL", "IT", "ES", "US"}


def test_every_fraud_is_charged_back_once_between_one_and_twenty_days_later(troubled):
    chargebacks = troubled.chargebacks.to_pandas()
    frauds = troubled.truth.scenarios["transaction_id"].to_pylist()
    assert sorted(chargebacks.transaction_id) == frauds
    about = chargebacks.merge(troubled.transactions.to_pandas(), on="transaction_id")
    days = (about.reported_time - about.event_time) / pd.Timedelta("1D")
    assert len(days) == len(frauds)
    assert days.between(1, 20).all()
    assert days.min() < 3
    assert days.max() > 17
    assert 6 < days.median() < 10
    assert set(chargebacks.is_fraud) == {1}


def test_chargebacks_come_in_order_under_ids_that_no_transaction_has(troubled):
    chargebacks = troubled.chargebacks.to_pandas()
    assert chargebacks.reported_time.is_monotonic_increasing
    assert chargebacks.chargeback_id.is_unique
    assert chargebacks.chargeback_id.max() < 2**53
    assert chargebacks.chargeback_id.min() > troubled.transactions["transaction_id"].to_numpy().max()


def test_codes_become_their_names():
    assert named(("pos", "online"), np.array([1, 0, 1], np.int8)).to_pylist() == ["online", "pos", "online"]
