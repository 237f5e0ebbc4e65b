from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sluice.errors import DataError, DeclarationError
from sluice.scoring import Calibration, Input, ModelSpec, Threshold

pytestmark = pytest.mark.unit

SPEC = ModelSpec(
    name="fraud-pos",
    segment="pos",
    algorithm="network",
    inputs=(Input("amount", "number"), Input("country", "category", 64, open=True)),
    thresholds=(Threshold("approve", 0.0), Threshold("review", 0.2), Threshold("block", 0.9)),
    calibration=Calibration(0.8, -0.1),
    definition_hash="d1",
    data_version="vectors@7",
    code_version="0.1.0",
    weights_hash="w1",
)


def test_a_decision_is_the_label_of_the_highest_threshold_reached() -> None:
    assert SPEC.decide([0.0, 0.19999, 0.2, 0.89, 0.9, 1.0]) == [
        "approve",
        "approve",
        "review",
        "review",
        "block",
        "block",
    ]


def test_a_spec_survives_its_file_to_the_last_bit(tmp_path: Path) -> None:
    spec = replace(SPEC, calibration=Calibration(0.1 + 0.2, 1 / 3))
    spec.save(tmp_path)
    assert ModelSpec.load(tmp_path) == spec


def test_the_version_is_the_registrys_and_nothing_else_changes() -> None:
    assert SPEC.version is None
    assert SPEC.numbered(4) == replace(SPEC, version=4)


@pytest.mark.parametrize("floors", [(), (0.1, 0.5), (0.0, 0.5, 0.5), (0.0, 0.5, 0.2)])
def test_thresholds_that_leave_a_probability_undecided_are_refused(floors: tuple[float, ...]) -> None:
    with pytest.raises(DeclarationError, match="thresholds"):
        replace(SPEC, thresholds=tuple(Threshold(str(place), floor) for place, floor in enumerate(floors)))


def test_a_spec_from_before_knowledge_was_told_is_that_of_a_model_whose_vectors_knew_everything() -> None:
    older = json.loads(replace(SPEC, knowledge="as_served").to_json())
    assert older.pop("knowledge") == "as_served"
    assert ModelSpec.from_json(json.dumps(older)) == SPEC
    assert SPEC.knowledge == "event_time"


def test_an_unknown_key_is_refused() -> None:
    text = json.dumps(json.loads(SPEC.to_json()) | {"colour": "red"})
    with pytest.raises(DataError, match="colour"):
        ModelSpec.from_json(text)


def test_a_folder_without_a_spec_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=str(tmp_path)):
        ModelSpec.load(tmp_path)
