from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from feature_repo.fraud import pipeline
from serve.routing import Model, Route, Routing
from serve.scoring import NOTHING, Parts, ScoringService
from sluice.clock import HandClock
from sluice.engine.places import open_store
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import pack, vectors
from sluice.errors import Outage
from sluice.scoring import ModelSpec
from sluice.stream.predictions import MemoryLog, Prediction
from tests.properties import examples
from tests.serve.conftest import NOW, body, encoded, fill, payment
from tests.serve.test_requests import EVENTS

pytestmark = pytest.mark.unit


def results(service: ScoringService, *events: object) -> list[dict[str, Any]]:
    reply = service.score(body(*events))
    assert reply.status == 200, reply.body
    found: list[dict[str, Any]] = orjson.loads(reply.body)["results"]
    return found


def logged(service: ScoringService, log: MemoryLog) -> list[Prediction]:
    """What is in the log once nothing waits any more."""
    service.close()
    return log.written


def test_an_answer_says_who_gave_it(service: ScoringService) -> None:
    assert results(service, payment(7)) == [
        {
            "id": 7,
            "score": pytest.approx(0.5),
            "decision": "review",
            "segment": "pos",
            "model": "fraud-pos",
            "version": "1",
            "definition": pipeline.definition,
            "degraded": False,
        }
    ]


def test_events_of_one_request_go_to_their_segments_and_come_back_in_order(service: ScoringService) -> None:
    found = results(service, payment(1, channel="atm"), payment(2), payment(3, channel="online"))
    assert [(item["id"], item["segment"], item["model"]) for item in found] == [
        (1, "atm", "fraud-all"),
        (2, "pos", "fraud-pos"),
        (3, "online", "fraud-all"),
    ]
    assert [item["score"] for item in found] == pytest.approx([0.75, 0.5, 0.75])


def test_the_log_holds_what_is_needed_to_compute_a_vector_again(service: ScoringService, log: MemoryLog) -> None:
    reply = orjson.loads(service.score(body(payment(7, channel="atm"))).body)
    (row,) = logged(service, log)
    assert row.request_id == reply["request_id"]
    assert (row.event_id, row.segment, row.model, row.version, row.role) == ("7", "atm", "fraud-all", "1", "fallback")
    assert (row.event_time, row.answered) == (NOW + 30_600_000_000, NOW)
    assert row.request == payment(7, channel="atm")
    assert row.keys == {"customer_id": 3, "terminal_id": 4}
    assert row.knowledge == {"base": 0, "positions": {}}
    assert row.definition == pipeline.definition
    assert row.score == reply["results"][0]["score"]
    assert row.latency_us > 0


def test_a_served_vector_is_the_batch_kernels_to_the_bit(
    service: ScoringService, store: MemoryStore, log: MemoryLog
) -> None:
    past = [payment(day, event_time=f"2025-12-{day:02}T07:00:00Z", amount=float(day)) for day in range(5, 25)]
    fill(store, past)
    service.score(body(payment(99), payment(98, customer_id=None)))
    history = {"transactions": encoded(past), "chargebacks": _no_chargebacks()}
    asked = encoded([payment(99), payment(98, customer_id=None)])
    expected = pack_table(vectors(pipeline, history, asked))
    rows = logged(service, log)
    assert [row.vector for row in rows] == expected
    assert rows[0].knowledge == {"base": 0, "positions": {"fraud.transactions/0": 20}}


def test_a_bad_event_refuses_the_request_and_nothing_is_scored_or_logged(
    service: ScoringService, log: MemoryLog
) -> None:
    reply = service.score(body(payment(1), payment(2, amount=-1)))
    assert reply.status == 422
    assert orjson.loads(reply.body) == {
        "errors": [{"index": 1, "field": "amount", "rule": "range", "value": "-1", "allowed": "0 to 100000"}]
    }
    assert logged(service, log) == []


def test_a_shadow_is_logged_beside_the_answer_and_never_told(
    service: ScoringService, log: MemoryLog, model: Callable[..., Model]
) -> None:
    assert service.route(
        Routing({"pos": Route(service.models.routing.routes["pos"].champion, model("pos", 2, bias=-9))})
    )
    assert results(service, payment(7))[0]["version"] == "1"
    rows = logged(service, log)
    assert [(row.role, row.version, round(row.score, 3)) for row in rows] == [
        ("champion", "1", 0.5),
        ("shadow", "2", 0.0),
    ]
    assert rows[0].vector == rows[1].vector


def test_a_canary_answers_for_its_cards_and_the_champion_shadows_them(
    service: ScoringService, log: MemoryLog, model: Callable[..., Model]
) -> None:
    routing = Routing({"pos": Route(service.models.routing.routes["pos"].champion, model("pos", 2, bias=2), 0.5)})
    assert service.route(routing)
    found = results(service, *(payment(card, customer_id=card) for card in range(1, 41)))
    again = results(service, *(payment(card, customer_id=card) for card in range(1, 41)))
    versions = [item["version"] for item in found]
    assert [item["version"] for item in again] == versions
    assert 8 < versions.count("2") < 32
    rows = logged(service, log)
    assert sorted({(row.role, row.version) for row in rows}) == [
        ("canary", "2"),
        ("champion", "1"),
        ("shadow", "1"),
        ("shadow", "2"),
    ]
    assert len(rows) == 160


def test_a_failing_challenger_is_answered_for_by_the_champion_and_logged_as_a_failure(
    service: ScoringService, log: MemoryLog, model: Callable[..., Model]
) -> None:
    champion, broken = model("online", 1), model("online", 2)
    narrow_channels(broken)
    assert service.route(Routing({"online": Route(champion, broken, 0.99)}))
    found = results(service, payment(7, customer_id=11, channel="online"))
    assert [(item["version"], item["degraded"]) for item in found] == [("1", True)]
    failures = [row for row in logged(service, log) if row.version == "2"]
    assert [(row.role, row.degraded, row.score != row.score) for row in failures] == [("shadow", True, True)]


def test_a_routing_whose_model_cannot_be_loaded_changes_nothing(
    service: ScoringService, model: Callable[..., Model]
) -> None:
    before = service.models.routing
    strange = model("atm", 5, definition="old")
    assert not service.route(Routing({**before.routes, "atm": Route(strange)}))
    assert service.models.routing is before
    ready, state = service.readiness()
    assert ready
    assert "trained on definition old" in state["refused"]["reason"]
    assert results(service, payment())[0]["model"] == "fraud-pos"


def test_a_later_good_routing_clears_the_refusal(service: ScoringService, model: Callable[..., Model]) -> None:
    service.route(Routing({"*": Route(replace(model(version=3), folder="/nowhere"))}))
    assert service.refused is not None
    service.route(Routing({"*": Route(model(version=4))}))
    assert service.refused is None


def test_a_segment_that_nothing_answers_is_refused_as_closed(
    service: ScoringService, model: Callable[..., Model]
) -> None:
    service.route(Routing({"pos": Route(model("pos", 2))}))
    reply = service.score(body(payment(channel="atm")))
    assert reply.status == 503
    assert orjson.loads(reply.body)["errors"][0]["value"] == "atm"


class FailingStore(MemoryStore):
    """A store that breaks and comes back."""

    broken = False

    def read(self, names: Any, call: Any = None) -> Any:
        if self.broken:
            raise Outage("disk on fire")
        return super().read(names, call)


def test_without_the_store_answers_are_degraded_and_know_nothing(log: MemoryLog, model: Callable[..., Model]) -> None:
    store = FailingStore(base=0)
    service = ScoringService(pipeline, Parts(lambda: store, lambda: log, HandClock(NOW)))
    assert service.open()
    assert service.route(Routing({"*": Route(model())}))
    store.broken = True
    assert results(service, payment(7))[0]["degraded"] is True
    ready, state = service.readiness()
    assert not ready
    assert "disk on fire" in state["missing"]
    store.broken = False
    assert results(service, payment(8))[0]["degraded"] is True, "it is not asked before it was opened again"
    assert service.open()
    assert service.readiness()[0]
    assert results(service, payment(9))[0]["degraded"] is False
    rows = logged(service, log)
    assert [(row.degraded, row.knowledge["base"]) for row in rows] == [(True, NOTHING), (True, NOTHING), (False, 0)]


def test_until_everything_is_there_requests_are_refused_as_closed(
    tmp_path: Path, log: MemoryLog, model: Callable[..., Model]
) -> None:
    uri = f"sqlite:///{tmp_path}/online"
    parts = Parts(lambda: open_store(uri, "fraud", read_only=True), lambda: log, HandClock(NOW))
    service = ScoringService(pipeline, parts)
    service.route(Routing({"*": Route(model())}))
    assert not service.open()
    assert service.score(body(payment())).status == 503
    assert "the online store is not there yet" in service.readiness()[1]["missing"]
    written = open_store(uri, "fraud")
    fill(written, [payment(1, event_time="2025-12-31T10:00:00Z")])
    assert service.open()
    assert results(service, payment(7))[0]["degraded"] is False
    written.close()
    assert logged(service, log)[0].knowledge == {"base": -1, "positions": {"fraud.transactions/0": 1}}


def test_without_models_the_service_is_not_ready(store: MemoryStore, log: MemoryLog) -> None:
    service = ScoringService(pipeline, Parts(lambda: store, lambda: log, HandClock(NOW)))
    assert service.open()
    assert service.readiness()[1]["missing"] == "no models are routed"
    assert orjson.loads(service.score(body(payment())).body)["errors"][0]["rule"] == "ready"


class FullLog(MemoryLog):
    """A log that cannot take its last rows."""

    def close(self) -> None:
        raise Outage("the broker is gone")


def test_a_log_that_cannot_be_flushed_does_not_stop_the_end(
    model: Callable[..., Model], caplog: pytest.LogCaptureFixture
) -> None:
    service = ScoringService(pipeline, Parts(lambda: MemoryStore(base=0), FullLog, HandClock(NOW)))
    assert service.open()
    service.close()
    assert "could not be flushed" in caplog.text
    assert service.readiness()[1]["missing"] == "closed"


def test_the_metrics_count_answers_by_segment_and_refusals_by_rule(service: ScoringService) -> None:
    service.score(body(payment(1), payment(2, channel="atm")))
    service.score(body(payment(1, amount=-1, channel="moon")))
    text = service.metrics.exposition().decode()
    for line in (
        'sluice_requests_total{status="200"} 1.0',
        'sluice_requests_total{status="422"} 1.0',
        'sluice_errors_total{rule="range"} 1.0',
        'sluice_errors_total{rule="category"} 1.0',
        'sluice_score_count{role="champion",segment="pos"} 1.0',
        'sluice_score_count{role="fallback",segment="atm"} 1.0',
        "sluice_latency_seconds_count 1.0",
        "sluice_unlogged_total 0.0",
    ):
        assert line in text
    assert f'sluice_routing_info{{version="{service.models.routing.version}"}} 1.0' in text


@given(EVENTS)
@settings(max_examples=examples(80), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_no_request_is_ever_an_error_of_ours(service: ScoringService, events: list[object]) -> None:
    assert service.score(orjson.dumps({"events": events})).status in {200, 422}


def narrow_channels(model: Model) -> None:
    """Make the model know only the first channel, so that it fails on the others."""
    spec = ModelSpec.load(model.path)
    inputs = [replace(each, size=1) if each.name == "moment__channel" else each for each in spec.inputs]
    replace(spec, inputs=tuple(inputs)).save(model.path)


def pack_table(table: Any) -> list[bytes]:
    from sluice.engine.vectors import as_values

    return pack(pipeline, as_values(pipeline, table))


def _no_chargebacks() -> Any:
    from sluice.engine.facts import encoded_schema

    return encoded_schema(pipeline.stream("chargebacks")).empty_table()
