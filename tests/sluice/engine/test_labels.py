"""What became of an event, as far as it was known by a moment."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.facts import encoded_schema, id_type
from sluice.engine.labels import label_at
from tests.sluice.engine.oracle import DELETE, PUT, Version, originals, standing
from tests.sluice.engine.pipelines import clinic, shop
from tests.sluice.engine.worlds import START, World, table, worlds

pytestmark = pytest.mark.unit

SHOP, CLINIC = shop(), clinic()


def naive(pipeline: Pipeline, versions: list[Version], id_: int | str, time: int, at: int) -> int | None:
    """The definition, word for word: the latest standing event that tells about this one, of those known by then."""
    label = pipeline.label
    link, _ = label.told_by.parent
    told = originals(v for v in versions if v.stream == label.told_by.name)
    known = [v for v in told if v.known <= at]
    about = [v for v in standing(known) if v.values[link] == id_]
    if about:
        return max(about, key=lambda v: (v.time, v.id)).values[label.name]
    return label.absent if label.absent is not None and time + label.after <= at else None


def found(
    pipeline: Pipeline, versions: list[Version], asked: list[tuple[int | str | None, int]], at: int
) -> list[int | None]:
    stream = pipeline.label.told_by
    told = table(stream, [v for v in versions if v.stream == stream.name])
    ids = pa.array([id_ for id_, _ in asked], id_type(pipeline.events))
    times = np.array([time for _, time in asked], np.int64)
    values, known = label_at(pipeline.label, {stream.name: told}, ids, times, at)
    return [int(value) if here else None for value, here in zip(values, known, strict=True)]


@pytest.mark.parametrize("pipeline", [SHOP, CLINIC], ids=lambda pipeline: pipeline.name)
@settings(deadline=None)
@given(data=st.data())
def test_a_label_is_what_its_definition_says(pipeline: Pipeline, data: st.DataObject) -> None:
    world: World = data.draw(worlds(pipeline))
    at = data.draw(st.integers(-4, 9)) * MINUTE + START + data.draw(st.sampled_from([-1, 0, 1]))
    asked = [(request.id, request.time) for request in world.requests if request.id is not None]

    assert found(pipeline, world.versions, asked, at) == [
        naive(pipeline, world.versions, id_, time, at) for id_, time in asked
    ]


def claim(id_: int, about: int | None, flag: int, minute: int, *, revision: int = 0, op: int = PUT) -> Version:
    time = START + minute * MINUTE
    values = {"order_id": about, "is_bad": flag, "cost": 0}
    return Version("claims", id_, time, values, hash=id_ + flag, revision=revision, op=op, known=time)


def test_nobody_told_is_absent_only_once_the_declared_time_has_passed() -> None:
    asked = [(1, START)]

    assert found(SHOP, [], asked, START + 2 * MINUTE - 1) == [None]
    assert found(SHOP, [], asked, START + 2 * MINUTE) == [0]


def test_without_an_absent_value_a_label_stays_unknown() -> None:
    assert found(CLINIC, [], [("a", START)], START + 10**15) == [None]


def test_a_label_is_not_known_before_it_was_told() -> None:
    told = [claim(1, 7, 1, minute=1)]

    assert found(SHOP, told, [(7, START)], START + MINUTE - 1) == [None]
    assert found(SHOP, told, [(7, START)], START + MINUTE) == [1]


def test_of_two_tellers_the_later_one_is_believed() -> None:
    told = [claim(1, 7, 1, minute=2), claim(2, 7, 0, minute=1)]

    assert found(SHOP, told, [(7, START)], START + 5 * MINUTE) == [1]


def test_a_label_that_is_taken_back_counts_as_never_told() -> None:
    told = [claim(1, 7, 1, minute=1), claim(1, 7, 1, minute=1, revision=1, op=DELETE)]

    assert found(SHOP, told, [(7, START)], START + 5 * MINUTE) == [0]


def test_a_correction_moves_a_label_to_another_event() -> None:
    told = [claim(1, 7, 1, minute=1), claim(1, 8, 1, minute=1, revision=1)]

    assert found(SHOP, told, [(7, START), (8, START)], START + 5 * MINUTE) == [0, 1]


def test_an_event_without_id_has_no_teller() -> None:
    told = [claim(1, None, 1, minute=1)]

    assert found(SHOP, told, [(None, START)], START + 5 * MINUTE) == [0]


def test_a_stream_that_has_told_nothing_yet_is_enough() -> None:
    nothing = {"claims": encoded_schema(SHOP.label.told_by).empty_table()}

    values, known = label_at(
        SHOP.label, nothing, pa.array([1, 2]), np.array([START, START + MINUTE]), START + 2 * MINUTE
    )

    assert (values.tolist(), known.tolist()) == ([0, 0], [True, False])
