from __future__ import annotations

import pytest

from flows.train import model_inputs, yardstick
from tests.sluice.stream.priced import pipeline

pytestmark = pytest.mark.integration


def test_looked_up_and_calendar_features_are_inputs_like_any_other() -> None:
    inputs = {each.name: (each.kind, each.size, each.open) for each in model_inputs(pipeline)}
    assert list(inputs) == [place.name for place in pipeline.features]
    assert inputs["calendar__is_holiday"] == ("number", None, False)
    assert inputs["prices__level"] == ("number", None, False)
    assert inputs["terms__plan"] == ("category", 2, False)
    assert inputs["moment__season"] == ("category", 4, False)
    assert inputs["moment__kind"] == ("category", 64, True)
    assert yardstick(pipeline) is None
