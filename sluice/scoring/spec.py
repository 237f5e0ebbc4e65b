"""What a trained model says of itself: inputs, thresholds, calibration and where it came from, kept as spec.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sluice.errors import DataError, DeclarationError
from sluice.scoring.inputs import Float64s, Input

SPEC_FILE = "spec.json"
MODEL_FILE = "model.tflite"


@dataclass(frozen=True, slots=True)
class Threshold:
    """From this probability on, the decision has this label."""

    label: str
    at_least: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's two numbers, already inside the graph: probability = sigmoid(scale · logit + shift)."""

    scale: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's identity and contract; `version` is the registry's number, None until it has one."""

    name: str
    segment: str
    algorithm: str
    inputs: tuple[Input, ...]
    thresholds: tuple[Threshold, ...]
    calibration: Calibration
    definition_hash: str
    data_version: str
    code_version: str
    weights_hash: str
    version: int | None = None
    knowledge: str = "event_time"
    """What the vectors knew that it learnt from, `event_time` or `as_served`; of older models it was not told."""

    def __post_init__(self) -> None:
        floors = [each.at_least for each in self.thresholds]
        if not floors or floors[0] != 0 or floors != sorted(set(floors)):
            raise DeclarationError(
                f"thresholds {floors} leave a probability without a decision",
                where=self.name,
                allowed="a first threshold at 0, then strictly rising",
            )

    def decide(self, probabilities: Float64s | Sequence[float]) -> list[str]:
        """The label of each probability: that of the highest threshold it reaches."""
        floors = [each.at_least for each in self.thresholds]
        places = np.searchsorted(floors, probabilities, side="right") - 1
        return [self.thresholds[place].label for place in places.tolist()]

    def numbered(self, version: int) -> ModelSpec:
        """The same spec under the version that the registry gave it."""
        return replace(self, version=version)

    def to_json(self) -> str:
        """The spec as JSON text with sorted keys; the same spec is the same text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    def save(self, folder: Path) -> Path:
        """Write spec.json into the folder and return its path."""
        path = folder / SPEC_FILE
        path.write_text(self.to_json())
        return path

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """The spec that `to_json` wrote; DataError when a key is missing or unknown."""
        try:
            return _from_dict(json.loads(text))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"this is not the spec of a model: {error}", where=SPEC_FILE) from error

    @classmethod
    def load(cls, folder: Path) -> ModelSpec:
        """The spec in a model's folder; DataError if there is none."""
        path = folder / SPEC_FILE
        if not path.is_file():
            raise DataError("no model here: spec.json is missing", where=str(folder))
        return cls.from_json(path.read_text())


def _from_dict(raw: dict[str, Any]) -> ModelSpec:
    raw["inputs"] = tuple(Input(**each) for each in raw["inputs"])
    raw["thresholds"] = tuple(Threshold(**each) for each in raw["thresholds"])
    raw["calibration"] = Calibration(**raw["calibration"])
    return ModelSpec(**raw)
