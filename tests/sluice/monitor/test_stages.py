"""What a vector knew, could have known, and what there is: every stage is its definition, and their steps add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import NOTHING
from sluice.engine.vectors import unpack
from sluice.monitor.stages import Seen, known, stale, with_all, with_expired, with_pending
from sluice.monitor.staleness import CAUSES, causes_of
from tests.sluice.engine.folding import assert_same_bits
from tests.sluice.engine.oracle import Version, packed_vector
from tests.sluice.engine.pipelines import ALL
from tests.sluice.engine.worlds import World, asked_table, several, table, worlds

pytestmark = pytest.mark.unit
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)

Known = Mapping[Version, bool]
"""Which versions lie within K."""


def stages(pipeline: Pipeline, world: World, within: Known) -> list[tuple[bytes, ...]]:
    """Of each request its vector at every stage."""
    versions = {stream.name: [v for v in world.versions if v.stream == stream.name] for stream in pipeline.streams}
    events = {stream.name: table(stream, versions[stream.name]) for stream in pipeline.streams}
    masks = {name: np.array([within[version] for version in mine], bool) for name, mine in versions.items()}
    asked = asked_table(pipeline, world.requests)
    # the entity keys apart, as where each is known by a shard of its own
    seen = [Seen(frozenset({key}), events, masks) for key in pipeline.keys]
    nearest = (function(pipeline, seen, asked, NOTHING) for function in (known, with_pending))
    rest = (function(pipeline, events, asked, NOTHING) for function in (with_all, with_expired))
    return list(zip(*nearest, *rest, strict=True))


def defined(pipeline: Pipeline, world: World, within: Known) -> list[tuple[bytes, ...]]:
    """The same by the definition, on what each stage has."""
    everything = world.versions
    forgiven = [v if v.watermark is None else replace(v, watermark=v.watermark - 2**61) for v in everything]

    def at(time: int) -> list[Sequence[Version]]:
        return [
            [version for version in everything if within[version]],
            [version for version in everything if within[version] or version.known <= time],
            everything,
            forgiven,
        ]

    return [tuple(packed_vector(pipeline, asked, some) for some in at(asked.time)) for asked in world.requests]


@pipelines
@several
@given(data=st.data())
def test_every_stage_has_the_bits_of_its_definition_and_the_steps_between_them_add_up(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    within = {version: data.draw(st.booleans()) for version in world.versions}
    found, expected = stages(pipeline, world, within), defined(pipeline, world, within)
    for mine, wanted in zip(found, expected, strict=True):
        assert_same_bits(pipeline, mine, wanted)
        assert_adding_up(pipeline, mine)


def assert_adding_up(pipeline: Pipeline, vectors: Sequence[bytes]) -> None:
    """The differences by cause come to that between what was known and all there is, and no others are named."""
    found, ends = stale(pipeline, vectors), unpack(pipeline, [vectors[0], vectors[-1]])
    for place in pipeline.features:
        value, valid = ends[place.name]
        first, last = (value[end].item() if valid[end] else None for end in (0, 1))
        steps = found.get(place.name, (first,) * 4)
        assert (steps[0], steps[-1]) == (first, last)
        parts = [(after, before) for _, before, after in causes_of(steps)]
        assert bool(parts) == (place.name in found)
        if None not in steps:
            assert sum(Fraction(after) - Fraction(before) for after, before in parts) == Fraction(last) - Fraction(
                first
            )


@pipelines
@several
@given(data=st.data())
def test_a_cause_that_is_not_there_changes_nothing(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    absent = data.draw(st.sampled_from(CAUSES))
    latest = max(asked.time for asked in world.requests)
    soonest = min(asked.time for asked in world.requests)
    versions = {
        "pending": world.versions,
        "lateness": [replace(version, known=min(version.known, soonest)) for version in world.versions],
        "expiry": [replace(version, watermark=None) for version in world.versions],
    }[absent]
    within = {v: absent == "pending" and v.known <= latest for v in versions}
    for vectors in stages(pipeline, World(list(versions), world.requests), within):
        causes = {cause for steps in stale(pipeline, vectors).values() for cause, _, _ in causes_of(steps)}
        assert absent not in causes
