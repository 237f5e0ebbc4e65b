from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from serve.app import create_app
from serve.requests import MOST_BYTES
from serve.routing import Routing
from serve.schema import Errors, Health, Readiness, ScoreResponse
from serve.scoring import ScoringService
from sluice.stream.predictions import MemoryLog
from tests.serve.conftest import payment

pytestmark = pytest.mark.unit


@pytest.fixture
def client(service: ScoringService) -> Iterator[TestClient]:
    with TestClient(create_app(service)) as client:
        yield client


def test_an_event_is_scored(client: TestClient) -> None:
    reply = client.post("/score", json={"events": [payment(5)]})
    assert reply.status_code == 200
    answer = ScoreResponse.model_validate_json(reply.content, strict=True)
    assert (answer.results[0].id, answer.results[0].decision) == (5, "review")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"x" * (MOST_BYTES + 100_000), 400),
        (b'{"events": [{}]}', 422),
        (b'{"events": [{"amount": "\\ud800"}]}', 400),
    ],
)
def test_what_cannot_be_scored_is_an_error_of_the_caller(client: TestClient, content: bytes, status: int) -> None:
    reply = client.post("/score", content=content)
    assert reply.status_code == status
    assert Errors.model_validate_json(reply.content).errors


def test_a_request_may_come_in_pieces(client: TestClient) -> None:
    pieces = (b'{"events": [{"amount": 1.5, ', b'"channel": "pos", "country": "DE"}]}')
    assert client.post("/score", content=iter(pieces)).status_code == 200


def test_other_methods_and_paths_are_refused(client: TestClient) -> None:
    assert client.get("/score").status_code == 405
    assert client.get("/nothing").status_code == 404


def test_a_living_process_says_so(client: TestClient) -> None:
    reply = client.get("/health")
    assert (reply.status_code, Health.model_validate_json(reply.content).status) == (200, "ok")


def test_a_ready_service_shows_its_routing(client: TestClient, service: ScoringService) -> None:
    reply = client.get("/ready")
    state = Readiness.model_validate_json(reply.content, strict=True)
    assert reply.status_code == 200
    assert state.routing == service.models.routing.version
    assert {name: segment.models for name, segment in state.segments.items()} == {
        "*": ["fraud-all/1"],
        "pos": ["fraud-pos/1"],
    }


def test_a_service_without_models_is_not_ready(client: TestClient, service: ScoringService) -> None:
    service.models = replace(service.models, routing=Routing())
    reply = client.get("/ready")
    assert reply.status_code == 503
    assert Readiness.model_validate_json(reply.content).missing == "no models are routed"


def test_the_metrics_are_prometheus_text(client: TestClient) -> None:
    client.post("/score", json={"events": [payment(5)]})
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'sluice_requests_total{status="200"} 1.0' in reply.text


def test_the_interface_describes_itself(client: TestClient) -> None:
    body = client.get("/openapi.json").json()["paths"]["/score"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ScoreRequest"}
    assert client.get("/docs").status_code == 200


def test_the_log_is_flushed_when_the_application_ends(service: ScoringService, log: MemoryLog) -> None:
    with TestClient(create_app(service)) as client:
        for number in range(20):
            client.post("/score", json={"events": [payment(number)]})
    assert [row.event_id for row in log.written] == [str(number) for number in range(20)]
