from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from feature_repo import fraud, handbook
from serve.openapi import REFERENCE, openapi
from serve.requests import Refusal, RequestReader
from serve.rules import Problem
from serve.schema import Errors, request_model
from sluice.clock import HandClock
from sluice.declare.pipeline import Pipeline
from tests.properties import examples
from tests.serve.conftest import NOW, payment
from tests.serve.test_requests import near
from tests.sluice.engine import pipelines

pytestmark = pytest.mark.unit


def test_the_committed_interface_is_the_one_that_is_served() -> None:
    assert REFERENCE.read_text() == openapi(), "run `python -m serve.openapi`"


def test_the_request_schema_says_what_the_declaration_says() -> None:
    event = json.loads(openapi())["components"]["schemas"]["Event"]
    assert set(event["properties"]) == set(fraud.pipeline.events.all_columns)
    assert event["required"] == ["amount", "channel", "country"]
    assert event["additionalProperties"] is False
    assert event["properties"]["amount"]["maximum"] == 100_000
    assert event["properties"]["channel"]["enum"] == ["pos", "online", "atm"]


def test_every_path_is_there() -> None:
    assert set(json.loads(openapi())["paths"]) == {"/score", "/health", "/ready", "/metrics"}


@pytest.mark.parametrize("pipeline", [fraud.pipeline, *pipelines.ALL], ids=lambda pipeline: str(pipeline.name))
@given(data=st.data())
@settings(max_examples=examples(40))
def test_what_the_schema_accepts_is_scored_but_for_the_digits_of_decimals(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    event = data.draw(near(pipeline))
    try:
        request_model(pipeline).model_validate_json(json.dumps({"events": [event]}), strict=True)
    except ValidationError:
        return
    found = RequestReader(pipeline, HandClock(NOW)).read(orjson.dumps({"events": [event]}))
    rules = {problem.rule for problem in found.problems} if isinstance(found, Refusal) else set()
    assert rules <= {"scale"}


@pytest.mark.parametrize("pipeline", [fraud.pipeline, handbook.pipeline, *pipelines.ALL])
def test_every_pipeline_has_a_schema(pipeline: Pipeline) -> None:
    assert request_model(pipeline).model_json_schema()["properties"]["events"]["maxItems"] == 1_000


def test_a_refusal_has_the_published_shape() -> None:
    found = RequestReader(fraud.pipeline, HandClock(NOW)).read(orjson.dumps({"events": [payment(amount=-1), 7]}))
    assert isinstance(found, Refusal)
    shape: dict[str, Any] = {"errors": TypeAdapter(list[Problem]).dump_python(list(found.problems))}
    assert Errors.model_validate(shape).errors[1].rule == "json"
