from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.routing import Assignment, Model, Role, Route, Routing
from sluice.errors import DataError, UserError

pytestmark = pytest.mark.unit


def model(name: str, version: int = 1) -> Model:
    return Model(f"fraud-{name}", str(version), f"/models/{name}/{version}", "d1")


POS, POS2, REST, REST2 = model("pos"), model("pos", 2), model("all"), model("all", 2)
PLAIN = Routing({"pos": Route(POS), "*": Route(REST)})


def test_a_segment_with_a_model_is_answered_by_it() -> None:
    assert PLAIN.assign("pos", 7) == Assignment(POS, Role.CHAMPION)


def test_a_segment_without_a_model_falls_back_to_all() -> None:
    assert PLAIN.assign("atm", 7) == Assignment(REST, Role.FALLBACK)


def test_the_segment_all_is_no_fallback_of_itself() -> None:
    assert PLAIN.assign("*", 7) == Assignment(REST, Role.CHAMPION)


def test_without_a_fallback_an_unknown_segment_has_no_model() -> None:
    assert Routing({"pos": Route(POS)}).assign("atm", 7) is None


def test_a_shadow_scores_what_the_champion_answers() -> None:
    assert Routing({"pos": Route(POS, POS2)}).assign("pos", 7) == Assignment(POS, Role.CHAMPION, (POS2,))


def test_in_a_canary_each_model_shadows_what_the_other_answers() -> None:
    routing = Routing({"pos": Route(POS, POS2, 0.5)})
    found = {routing.assign("pos", card) for card in range(50)}
    assert found == {Assignment(POS, Role.CHAMPION, (POS2,)), Assignment(POS2, Role.CANARY, (POS,))}


def test_both_models_of_all_shadow_other_segments_while_it_is_rolled_out() -> None:
    routing = Routing({"pos": Route(POS), "*": Route(REST, REST2, 0.5)})
    assert {routing.assign("pos", card) for card in range(50)} == {Assignment(POS, Role.CHAMPION, (REST, REST2))}


def test_an_event_without_a_card_stays_with_the_champion() -> None:
    found = Routing({"pos": Route(POS, POS2, 0.999)}).assign("pos", None)
    assert found is not None
    assert found.role is Role.CHAMPION


@given(st.integers() | st.text(), st.floats(0, 0.99), st.floats(0, 0.99))
def test_a_card_in_a_small_canary_stays_in_a_greater_one(card: object, one: float, other: float) -> None:
    small, great = sorted((one, other))
    roles = [Routing({"pos": Route(POS, POS2, share)}).assign("pos", card) for share in (small, great)]
    assert roles[0] is not None
    assert roles[1] is not None
    assert roles[0].role is Role.CHAMPION or roles[1].role is Role.CANARY


def test_a_canary_gets_its_share_of_the_cards() -> None:
    routing = Routing({"pos": Route(POS, POS2, 0.1)})
    found = [routing.assign("pos", card) for card in range(20_000)]
    assert sum(item is not None and item.role is Role.CANARY for item in found) == pytest.approx(2_000, abs=150)


def test_two_challengers_draw_different_cards() -> None:
    def drawn(challenger: Model) -> set[int]:
        routing = Routing({"pos": Route(POS, challenger, 0.1)})
        found = {card: routing.assign("pos", card) for card in range(1_000)}
        return {card for card, item in found.items() if item is not None and item.role is Role.CANARY}

    assert drawn(POS2) != drawn(model("pos", 3))


@pytest.mark.parametrize("routing", [PLAIN, Routing({"pos": Route(POS, POS2, 0.25)}), Routing()])
def test_a_routing_survives_its_json_form(routing: Routing) -> None:
    assert Routing.read(routing.describe()) == routing
    assert Routing.read(routing.describe()).version == routing.version


def test_another_share_is_another_version() -> None:
    one = Routing({"pos": Route(POS, POS2, 0.25)})
    assert one.version != replace(one, routes={"pos": Route(POS, POS2, 0.5)}).version


def test_the_order_of_segments_is_not_part_of_the_version() -> None:
    assert Routing({"*": Route(REST), "pos": Route(POS)}).version == PLAIN.version


@pytest.mark.parametrize(("share", "challenger"), [(1.0, POS2), (-0.1, POS2), (0.5, None)])
def test_an_impossible_share_is_refused(share: float, challenger: Model | None) -> None:
    with pytest.raises(UserError):
        Route(POS, challenger, share)


def test_what_is_no_routing_is_refused() -> None:
    with pytest.raises(DataError, match="no routing"):
        Routing.read({"routes": {"pos": {"champion": {"name": "x"}}}})


def test_a_folder_may_be_a_path_or_a_file_uri() -> None:
    assert replace(POS, folder="file:///a%20b/1").path == replace(POS, folder="/a b/1").path
    with pytest.raises(UserError, match="no folder of this machine"):
        _ = replace(POS, folder="s3://bucket/1").path
