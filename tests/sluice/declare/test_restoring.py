"""A declaration is made again from its description, and gives what it gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice.declare.loading import load_pipeline, registered
from sluice.declare.pipeline import Pipeline
from sluice.declare.restoring import restore
from sluice.errors import DataError
from tests.sluice.declare.test_changes import CASES, shop
from tests.sluice.engine.pipelines import ALL

pytestmark = pytest.mark.unit
CLINIC = str(Path(__file__).parents[1] / "feast" / "clinic.py")
PIPELINES = [*(load_pipeline(name) for name in (*registered(), CLINIC)), *ALL]


def kept(pipeline: Pipeline) -> Any:
    """A description as JSON keeps it."""
    return json.loads(json.dumps(pipeline.describe()))


@pytest.mark.parametrize("pipeline", PIPELINES, ids=lambda pipeline: pipeline.name)
def test_it_has_the_same_definition_and_the_same_places(pipeline: Pipeline) -> None:
    made = restore(pipeline.name, kept(pipeline))
    assert made.definition == pipeline.definition
    assert made.describe() == pipeline.describe()
    assert made.features == pipeline.features
    assert made.keys == pipeline.keys


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_part_is_made_again(name: str) -> None:
    pipeline = shop(**CASES[name][0])
    assert restore("shop", kept(pipeline)).describe() == pipeline.describe()


def test_a_part_that_the_vocabulary_has_grown_since_is_as_by_default() -> None:
    described = kept(shop())
    del described["events"]["columns"]["card"]["nullable"]
    assert restore("shop", described).definition == shop().definition


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (("events", "columns", "amount", "kind"), "quaternion", "KeyError: 'quaternion'"),
        (("events", "columns", "amount", "unit"), "EUR", "unexpected keyword argument 'unit'"),
        (("events", "colour"), "red", "events.colour means something else by now"),
        (("views", 0, "edge"), "blunt", "unknown edge 'blunt'"),
    ],
)
def test_what_this_code_no_longer_knows_is_named(place: tuple[Any, ...], value: str, why: str) -> None:
    described = kept(shop())
    part = described
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    with pytest.raises(DataError, match=why):
        restore("shop", described)
