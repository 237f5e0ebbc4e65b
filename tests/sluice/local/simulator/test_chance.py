import numpy as np
import pytest

from sluice.local.simulator.chance import across, evenly, lots, stream

pytestmark = pytest.mark.unit

IDS = np.arange(10_000, dtype=np.int64)


def test_a_named_stream_depends_on_seed_and_name_only():
    first = stream(1, "amounts").random(3)
    stream(1, "hours").random(1_000)
    assert stream(1, "amounts").random(3).tolist() == first.tolist()
    assert stream(1, "hours").random(3).tolist() != first.tolist()
    assert stream(2, "amounts").random(3).tolist() != first.tolist()


def test_a_lot_belongs_to_its_id_whatever_other_ids_are_drawn():
    together = lots(1, "late", IDS)
    assert lots(1, "late", IDS[5_000:5_001])[0] == together[5_000]
    assert lots(1, "late", IDS[::-1]).tolist() == together[::-1].tolist()


def test_lots_are_the_finaliser_of_splitmix64():
    key = int(np.random.SeedSequence(entropy=3, spawn_key=tuple(b"late")).generate_state(1, np.uint64)[0])
    word = ((42 ^ key) + 0x9E3779B97F4A7C15) % 2**64
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
    word ^= word >> 31
    assert lots(3, "late", np.array([42]))[0] == (word >> 11) / 2**53


def test_lots_fill_the_unit_interval_evenly():
    counts = np.histogram(lots(1, "late", IDS), bins=10, range=(0, 1))[0]
    assert counts.sum() == 10_000
    assert counts.min() > 850
    assert counts.max() < 1_150


def test_lots_of_two_names_are_unrelated():
    correlation = np.corrcoef(lots(1, "late", IDS), lots(1, "copies", IDS))[0, 1]
    assert abs(correlation) < 0.05


def test_an_even_pace_leaves_the_same_number_to_every_span():
    days = evenly(0.5, -10, 90, stream(1, "pace"))
    assert len(days) == 50
    assert np.histogram(days, bins=[-10, 10, 30, 50, 70, 90])[0].tolist() == [10, 10, 10, 10, 10]


def test_no_pace_means_no_days():
    assert evenly(0.0, 0, 100, stream(1, "pace")).tolist() == []


def test_picks_across_weights_keep_the_mean_weight_in_every_run():
    weight = stream(1, "weight").pareto(1.5, 1_000)
    picked = across(np.sort(weight), 500, stream(1, "picks"))
    middle = [np.median(picked[at : at + 20]) for at in range(0, 500, 20)]
    assert min(middle) > 400
    assert max(middle) < 600
