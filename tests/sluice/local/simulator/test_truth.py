import pytest

pytestmark = pytest.mark.unit


def test_every_kind_of_injection_is_listed(troubled):
    kinds = {(row["stream"], row["kind"]) for row in troubled.truth.injected.to_pylist()}
    transactions = {
        "late",
        "disorder",
        "duplicate",
        "conflict",
        "unparsable",
        "missing_id",
        "negative_amount",
        "unknown_channel",
        "null_time",
        "covariate_shift",
        "new_pattern",
    }
    chargebacks = {"duplicate", "disorder"}
    assert kinds == {("transactions", k) for k in transactions} | {("chargebacks", k) for k in chargebacks}


def test_a_quiet_world_has_nothing_injected(quiet):
    assert len(quiet.truth.injected) == 0


def test_all_five_scenarios_occur_and_none_is_genuine(troubled):
    assert set(troubled.truth.scenarios["fraud_scenario"].to_pylist()) == {
        "large_amount",
        "compromised_terminal",
        "compromised_card",
        "card_not_present",
        "new_pattern",
    }


def test_shifted_and_added_payments_are_named(troubled):
    injected = troubled.truth.injected.to_pandas()
    frame = troubled.transactions.to_pandas().set_index("transaction_id")
    shifted = frame.loc[injected[injected.kind == "covariate_shift"].id.astype("int64")]
    after = frame[(frame.channel == "online") & (frame.event_time >= "2026-02-10")]
    scenario = troubled.truth.scenarios.to_pandas().set_index("transaction_id").fraud_scenario
    burst = after.index.map(scenario) == "card_not_present"
    assert sorted(shifted.index) == sorted(after.index[~burst])
    added = injected[injected.kind == "new_pattern"].id.astype("int64")
    assert sorted(added) == sorted(scenario[scenario == "new_pattern"].index)


def test_contactless_cards_are_among_the_compromises(troubled):
    spells = troubled.truth.compromises.to_pandas()
    assert set(spells.what) == {"terminal", "card", "contactless_card"}
    cards = spells[spells.what == "contactless_card"]
    assert cards.first_day.min() >= 30
    assert ((cards.until_day - cards.first_day) == 4).all()
