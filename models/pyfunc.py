"""A registered model as stock MLflow loads it: feature columns in, probabilities out, by the scorer that serving runs.

MLflow keeps this file with the model and executes it at loading (models from code); nothing else imports it.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from sluice.scoring import Float64s, Scorer


class ScoredByLiteRT(PythonModel):  # type: ignore[misc]  # mlflow has no types
    """Calibrated fraud probabilities of a frame with one column per input, in any order."""

    def load_context(self, context: Any) -> None:
        """Load the graph and its spec from the model's artefacts."""
        self._scorer = Scorer.load(context.artifacts["model"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Float64s:  # noqa: ARG002
        """Probabilities [n], float64, one per row."""
        return self._scorer.score_vectors(model_input)


set_model(ScoredByLiteRT())
