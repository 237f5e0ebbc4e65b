"""How streams arrive: every injection counted against the clean stream by independent means."""

from dataclasses import replace

import pandas as pd
import pytest

from sluice.local.simulator import Simulation, simulate
from sluice.local.simulator.delivery import FATES, TIMINGS
from sluice.local.simulator.injections import MALFORMED

pytestmark = pytest.mark.unit

COLUMNS = ["transaction_id", "event_time", "customer_id", "terminal_id", "amount", "channel", "country"]
HOUR = 3_600_000_000


def arrived(simulation: Simulation, stream: str = "transactions") -> pd.DataFrame:
    frame = simulation.deliveries[stream].to_pandas()
    frame["fate"] = frame.fate.map(dict(enumerate(FATES)))
    frame["timing"] = frame.timing.map(dict(enumerate(TIMINGS)))
    frame.isetitem(0, frame.iloc[:, 0].astype("Int64"))
    return frame


@pytest.fixture(scope="module")
def frame(troubled: Simulation) -> pd.DataFrame:
    return arrived(troubled)


def test_a_quiet_stream_is_the_clean_stream_arriving_as_it_happens(quiet):
    frame = arrived(quiet)
    assert frame[COLUMNS].astype({"transaction_id": "int64"}).equals(quiet.transactions.to_pandas())
    assert (frame.arrival == quiet.transactions["event_time"].cast("int64").to_pandas()).all()


def test_the_clean_rows_of_a_troubled_stream_are_exactly_the_clean_stream(troubled, frame):
    clean = frame[frame.fate == "clean"].sort_values("transaction_id")[COLUMNS].reset_index(drop=True)
    assert clean.astype({"transaction_id": "int64"}).equals(troubled.transactions.to_pandas())


def test_rows_come_in_order_of_arrival(frame):
    assert frame.arrival.is_monotonic_increasing


def test_a_duplicate_is_the_same_row_again_within_a_day(frame):
    duplicates, clean = frame[frame.fate == "duplicate"], frame[frame.fate == "clean"]
    both = duplicates.merge(clean, on=COLUMNS, suffixes=("", "_first"))
    assert len(both) == len(duplicates) > 200
    assert (both.arrival - both.arrival_first).between(1_000_000 - 1, 24 * HOUR).all()


def test_a_conflict_has_the_same_id_another_amount_and_comes_within_ten_minutes(frame):
    conflicts, clean = frame[frame.fate == "conflict"], frame[frame.fate == "clean"]
    both = conflicts.merge(clean, on="transaction_id", suffixes=("", "_first"))
    assert len(both) == len(conflicts) > 100
    assert (both.amount != both.amount_first).all()
    assert (both.amount * 100 - (both.amount * 100).round()).abs().max() < 1e-6
    assert (both.arrival - both.arrival_first).between(1_000_000 - 1, 10 * 60_000_000).all()
    same = [column for column in COLUMNS if column not in {"transaction_id", "amount"}]
    assert all((both[column] == both[f"{column}_first"]).all() for column in same)


def test_no_event_has_both_a_duplicate_and_a_conflict(frame):
    duplicated = set(frame[frame.fate == "duplicate"].transaction_id)
    assert not duplicated & set(frame[frame.fate == "conflict"].transaction_id)


def test_late_events_take_hours_and_disorder_only_minutes(frame):
    delay = frame.arrival - frame.event_time.astype("int64")
    assert delay[frame.timing == "late"].between(2 * HOUR - 1, 48 * HOUR).all()
    assert delay[frame.timing == "disorder"].between(1_000_000 - 1, HOUR / 4).all()
    assert (delay[(frame.timing == "on_time") & (frame.fate == "clean")] == 0).all()


def test_disorder_brings_events_behind_later_ones(frame):
    clean = frame[(frame.fate == "clean") & (frame.timing != "late")]
    assert (clean.event_time.diff() < pd.Timedelta(0)).sum() > 100


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("missing_id", lambda rows: rows.transaction_id.isna()),
        ("negative_amount", lambda rows: rows.amount < 0),
        ("unknown_channel", lambda rows: ~rows.channel.isin(["pos", "online", "atm"])),
        ("null_time", lambda rows: rows.event_time.isna()),
    ],
)
def test_a_malformed_row_is_broken_in_the_way_its_kind_says_and_no_other_row_is(frame, kind, broken):
    rows = frame[frame.fate == kind]
    assert len(rows) > 50
    assert broken(rows).all()
    assert not broken(frame[frame.fate != kind]).any()


def test_malformed_rows_come_under_ids_that_no_event_has(troubled, frame):
    ids = set(frame[frame.fate.isin(MALFORMED)].transaction_id.dropna().astype("int64"))
    assert ids
    assert not ids & set(troubled.transactions["transaction_id"].to_pylist())


def test_rates_are_kept(troubled, frame):
    share = frame.fate.value_counts() / len(troubled.transactions)
    assert share["duplicate"] == pytest.approx(0.02, rel=0.15)
    assert share["conflict"] == pytest.approx(0.01, rel=0.2)
    assert share[list(MALFORMED)].sum() == pytest.approx(0.02, rel=0.15)
    assert (share[list(MALFORMED)] > 0.002).all()
    timing = frame.timing.value_counts() / len(troubled.transactions)
    assert timing["late"] == pytest.approx(0.02, rel=0.15)
    assert timing["disorder"] == pytest.approx(0.10, rel=0.1)


@pytest.mark.parametrize("switch", ["late", "disorder", "duplicates", "conflicts", "malformed"])
def test_switching_one_injection_off_leaves_what_the_others_do_as_it_was(world, troubled, frame, switch):
    without = arrived(simulate(world, replace(troubled.injections, **{switch: None})))
    mine = {
        "late": (frame.timing == "late"),
        "disorder": (frame.timing == "disorder"),
        "duplicates": (frame.fate == "duplicate"),
        "conflicts": (frame.fate == "conflict"),
        "malformed": frame.fate.isin(MALFORMED),
    }[switch]
    assert mine.any()
    if switch in {"late", "disorder"}:
        touched = set(frame[mine].transaction_id)
        untouched = ~frame.transaction_id.isin(touched) & ~frame.fate.isin(MALFORMED)
        rest = without[~without.transaction_id.isin(touched) & ~without.fate.isin(MALFORMED)]
        assert rest.reset_index(drop=True).equals(frame[untouched].reset_index(drop=True))
    else:
        assert without.reset_index(drop=True).equals(frame[~mine].reset_index(drop=True))


def test_chargebacks_come_twice_or_in_disorder_and_in_no_other_way(troubled):
    frame = arrived(troubled, "chargebacks")
    assert set(frame.fate) == {"clean", "duplicate"}
    assert set(frame.timing) == {"on_time", "disorder"}
    clean = frame[frame.fate == "clean"]
    assert sorted(clean.chargeback_id) == sorted(troubled.chargebacks["chargeback_id"].to_pylist())


def test_nothing_wrong_means_only_clean_rows_on_time(quiet):
    for stream in ("transactions", "chargebacks"):
        frame = arrived(quiet, stream)
        assert set(frame.fate) == {"clean"}
        assert set(frame.timing) == {"on_time"}
