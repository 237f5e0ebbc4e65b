from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.labels import label_at
from tests.sluice.engine.oracle import Version, originals, standing
from tests.sluice.engine.pipelines import clinic, shop
from tests.sluice.engine.worlds import START, several, tables, times, worlds

pytestmark = pytest.mark.unit


def told(pipeline: Pipeline, versions: list[Version], id_: int | str, time: int, at: int) -> int | None:
    """What is known of one event at a moment: the latest that stands, or absent once that may be said."""
    label = pipeline.label
    link, _ = label.told_by.parent
    heard = [v for v in originals(v for v in versions if v.stream == label.told_by.name) if v.known <= at]
    about = [v for v in standing(heard) if v.values[link] == id_]
    if about:
        return max(about, key=lambda v: (v.time, v.id)).values[label.name]
    return label.absent if time + label.after <= at else None


@pytest.mark.parametrize("pipeline", [shop(), clinic()], ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_a_label_is_what_the_latest_standing_version_says_or_absent_in_time(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    versions = data.draw(worlds(pipeline)).versions
    at = data.draw(times()) + 3 * MINUTE
    events = [version for version in versions if version.stream == pipeline.events.name]
    ids = pa.array([version.id for version in events], pa.string() if pipeline.name == "clinic" else pa.int64())
    moments = np.array([version.time for version in events], np.int64)
    value, known = label_at(pipeline.label, tables(pipeline, versions), ids, moments, at)
    found = [int(flag) if seen else None for flag, seen in zip(value, known, strict=True)]
    assert found == [told(pipeline, versions, version.id, version.time, at) for version in events]


def test_nobody_told_and_too_early_is_unknown_and_later_is_absent() -> None:
    pipeline = shop()
    empty = tables(pipeline, [])
    times_ = np.array([START, START + 1], np.int64)
    value, known = label_at(pipeline.label, empty, pa.array([1, 2]), times_, START + 2 * MINUTE)
    assert (value.tolist(), known.tolist()) == ([0, 0], [True, False])
