from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from feature_repo.fraud import pipeline
from serve import promotions
from serve.advance import Advanced, Audit, Candidate, advance, roll_back, routing
from serve.rollout_state import Gain
from serve.routing import Model, Route, Routing
from serve.scoring import Parts, ScoringService
from sluice.clock import HandClock
from sluice.declare.durations import DAY
from sluice.engine.store import MemoryStore
from sluice.errors import UserError
from sluice.lake.tables import Lake
from sluice.stream.predictions import PREDICTIONS, MemoryLog, encode_prediction, prediction_row
from tests.serve.conftest import NOW, body, payment

pytestmark = pytest.mark.unit

BETTER, WORSE = Gain(0.05, 0.01, 0.09, 900, 40), Gain(-0.3, -0.4, -0.2, 900, 40)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), "fraud")


def step(lake: Lake, days: float = 0, **given: object) -> Advanced:
    return advance(lake, pipeline, now=NOW + int(days * DAY), **given)  # type: ignore[arg-type]


def serve(lake: Lake, route: Routing, days: float, count: int = 250) -> None:
    """Real traffic of a segment through a real service, its log brought into the lake as the archive does."""
    log = MemoryLog()
    service = ScoringService(
        pipeline, Parts(lambda: MemoryStore(base=0), lambda: log, HandClock(NOW + int(days * DAY)))
    )
    assert service.open()
    assert service.route(route)
    events = [payment(number, customer_id=number % 40, amount=float(number % 90)) for number in range(count)]
    assert service.score(body(*events)).status == 200
    service.close()
    rows = [prediction_row(encode_prediction(each), place) for place, each in enumerate(log.written)]
    lake.append("predictions", pa.Table.from_pylist(rows, schema=PREDICTIONS))


def test_the_first_candidates_are_promoted_from_nothing(lake: Lake, model: Callable[..., Model]) -> None:
    pos, rest = model("pos"), model()
    found = step(lake, candidates={"pos": Candidate(pos), "*": Candidate(rest)})
    assert [(move.segment, move.kind.value, move.leaving) for move in found.moves] == [
        ("pos", "promote", None),
        ("*", "promote", None),
    ]
    assert {hold.segment for hold in found.holds} == {"online", "atm"}
    assert found.routing == Routing({"pos": Route(pos), "*": Route(rest)})
    assert [row["from"] for row in promotions.moves(lake)] == [None, None]


def test_a_candidate_walks_from_shadow_to_champion_on_real_traffic(lake: Lake, model: Callable[..., Model]) -> None:
    one = model("pos", 1, weights={"moment__amount": 0.01})
    two = model("pos", 2, weights={"moment__amount": 0.0101})
    step(lake, candidates={"pos": Candidate(one)})
    found = step(lake, 1, candidates={"pos": Candidate(two, BETTER)})
    for day in (2, 3, 4):
        assert "0 of 200 requests" in step(lake, day).holds[0].reason
        serve(lake, found.routing, day)
        found = step(lake, day)
    assert [(row["move"], row["share"]) for row in promotions.moves(lake)] == [
        ("promote", 0.0),
        ("shadow", 0.0),
        ("canary", 0.1),
        ("canary", 0.5),
        ("promote", 0.0),
    ]
    assert found.routing == Routing({"pos": Route(two)})
    assert promotions.verify(lake).broken == ()


def test_a_challenger_that_learnt_nothing_is_rolled_back_in_the_shadow(lake: Lake, model: Callable[..., Model]) -> None:
    one, two = model("pos", 1), model("pos", 2)
    step(lake, candidates={"pos": Candidate(one)})
    assert step(lake, 1, candidates={"pos": Candidate(two, WORSE)}).moves[0].kind.value == "shadow"
    found = step(lake, 1)
    assert (found.moves[0].kind.value, found.moves[0].to) == ("rollback", one)
    assert found.routing == Routing({"pos": Route(one)})
    assert step(lake, 2, candidates={"pos": Candidate(two, BETTER)}).moves == ()


def test_a_failing_challenger_is_rolled_back_by_what_the_log_says(lake: Lake, model: Callable[..., Model]) -> None:
    one, two = model("online", 1), model("online", 2)
    step(lake, candidates={"online": Candidate(one)})
    found = step(lake, 1, candidates={"online": Candidate(two, BETTER)})
    serve_failing(lake, found.routing)
    (move,) = step(lake, 2).moves
    assert move.kind.value == "rollback"
    assert move.reason.startswith("30 of 30 requests failed")


def serve_failing(lake: Lake, route: Routing) -> None:
    """Traffic that the challenger cannot score: its spec is made to know the first channel only."""
    from tests.serve.test_scoring import narrow_channels

    challenger = route.routes["online"].challenger
    assert challenger is not None
    narrow_channels(challenger)
    log = MemoryLog()
    service = ScoringService(pipeline, Parts(lambda: MemoryStore(base=0), lambda: log, HandClock(NOW + 2 * DAY)))
    assert service.open()
    assert service.route(route)
    service.score(body(*(payment(number, channel="online") for number in range(30))))
    service.close()
    rows = [prediction_row(encode_prediction(each), place) for place, each in enumerate(log.written)]
    lake.append("predictions", pa.Table.from_pylist(rows, schema=PREDICTIONS))


def test_the_fallback_is_tried_on_all_traffic(lake: Lake, model: Callable[..., Model]) -> None:
    """No event is answered by `*` here, and still its challenger gathers evidence."""
    step(lake, candidates={"pos": Candidate(model("pos")), "*": Candidate(model())})
    found = step(lake, 1, candidates={"*": Candidate(model(version=2), BETTER)})
    serve(lake, found.routing, 2)
    (move,) = step(lake, 2).moves
    assert (move.segment, move.kind.value, move.evidence["requests"]) == ("*", "canary", 250)


def test_a_model_that_cannot_serve_is_held_and_says_why(lake: Lake, model: Callable[..., Model]) -> None:
    found = step(lake, candidates={"pos": Candidate(model("pos", definition="old"))})
    assert found.moves == ()
    assert "trained on definition old" in found.holds[0].reason


def test_doubts_about_the_features_hold_every_step(lake: Lake, model: Callable[..., Model]) -> None:
    step(lake, candidates={"pos": Candidate(model("pos"))})
    found = step(lake, 1, candidates={"pos": Candidate(model("pos", 2), BETTER)})
    serve(lake, found.routing, 2)
    held = step(lake, 2, audit=Audit(500, 1)).holds
    assert "1 of 500 audited vectors differ" in held[0].reason


def test_deciding_again_without_news_changes_nothing(lake: Lake, model: Callable[..., Model]) -> None:
    candidates = {"pos": Candidate(model("pos"))}
    first = step(lake, candidates=candidates)
    again = step(lake, candidates=candidates)
    assert (again.moves, again.routing) == ((), first.routing)
    assert routing(lake) == first.routing


def test_a_challenger_is_taken_back_by_hand_first_then_the_champion(lake: Lake, model: Callable[..., Model]) -> None:
    one, two = model("pos", 1), model("pos", 2)
    step(lake, candidates={"pos": Candidate(one)})
    step(lake, 1, candidates={"pos": Candidate(two, BETTER)})
    move = roll_back(lake, "pos", by="Ada", because="a complaint", now=NOW + DAY)
    assert (move.leaving, move.to, routing(lake)) == (two, one, Routing({"pos": Route(one)}))
    row = promotions.moves(lake)[-1]
    (told,) = lake.rows("rollbacks")
    assert (row["reason"], orjson.loads(row["evidence"])) == ("by hand", {"rollback": told["rollback"]})
    assert (told["segment"], told["by"], told["because"], told["at"]) == ("pos", "Ada", "a complaint", NOW + DAY)
    move = roll_back(lake, "pos", by="Ada", because="another", now=NOW + DAY)
    assert (move.leaving, move.to, routing(lake)) == (one, None, Routing())


@pytest.mark.parametrize(("by", "because"), [(" ", "no"), ("Ada", "")])
def test_a_rollback_by_hand_names_a_person_and_a_reason(lake: Lake, by: str, because: str) -> None:
    with pytest.raises(UserError, match="a rollback by hand names a person and a reason"):
        roll_back(lake, "pos", by=by, because=because, now=NOW)


def test_the_only_model_of_all_traffic_cannot_be_taken_back(lake: Lake, model: Callable[..., Model]) -> None:
    step(lake, candidates={"*": Candidate(model())})
    with pytest.raises(UserError, match="only model of all traffic"):
        roll_back(lake, "*", by="Ada", because="no", now=NOW)
    with pytest.raises(UserError, match="nothing has been rolled out"):
        roll_back(lake, "pos", by="Ada", because="no", now=NOW)


def test_a_model_trained_again_after_a_rollback_may_come_back_as_another_version(
    lake: Lake, model: Callable[..., Model]
) -> None:
    one, two = model("pos", 1), model("pos", 2)
    step(lake, candidates={"pos": Candidate(one)})
    step(lake, 1, candidates={"pos": Candidate(two, WORSE)})
    step(lake, 1)
    three = replace(two, version="3")
    assert step(lake, 2, candidates={"pos": Candidate(three, BETTER)}).moves[0].to == three
