"""Vector to tensor, LiteRT interpreters, calibration and thresholds: what training exports and serving runs."""

from __future__ import annotations

from sluice.scoring.inputs import Bools, Columns, Float64s, Input, Int64s, Vectors, pack
from sluice.scoring.scorer import Graph, Scorer
from sluice.scoring.spec import MODEL_FILE, SPEC_FILE, Calibration, ModelSpec, Threshold
from sluice.scoring.tensor import Float32s, to_tensor

__all__ = [
    "MODEL_FILE",
    "SPEC_FILE",
    "Bools",
    "Calibration",
    "Columns",
    "Float32s",
    "Float64s",
    "Graph",
    "Input",
    "Int64s",
    "ModelSpec",
    "Scorer",
    "Threshold",
    "Vectors",
    "pack",
    "to_tensor",
]
