"""The worlds that properties are tried on hold every case that a rule is about: otherwise they would prove nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from sluice.declare.functions import LIFETIME
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from tests.sluice.engine.oracle import DELETE, PUT, Asked, Version
from tests.sluice.engine.pipelines import ALL
from tests.sluice.engine.worlds import World, worlds

pytestmark = pytest.mark.unit

BESIDE = {-1: "a microsecond before", 0: "exactly", 1: "a microsecond after"}
EDGES = ("the near edge", "the far edge", "the delay", "what is known", "the horizon", "how far a parent may be")
CASES = {f"{edge}, {beside}" for edge in EDGES for beside in BESIDE.values()} | {
    "a smaller id at the request's moment",
    "the request's own id at the request's moment",
    "a greater id at the request's moment",
    "another revision",
    "another payload of one revision",
    "the same put and deleted",
    "the same again",
    "two at one moment",
    "a delete",
    "told of nothing",
    "an event of nobody",
    "a request of nobody",
    "a request without id",
}


def near(edge: str, distance: int) -> Iterator[str]:
    """The case of a distance from an edge, if it is one."""
    if distance in BESIDE:
        yield f"{edge}, {BESIDE[distance]}"


def of_windows(view: Windows, request: Asked, event: Version) -> Iterator[str]:
    """How an event of the request's entity stands to the edges of a view's windows."""
    distance = event.time - request.time + view.lag
    yield from near("the delay" if view.lag else "the near edge", distance)
    for feature in view.functions:
        if view.window(feature) != LIFETIME:
            yield from near("the far edge", distance + view.window(feature))
    if event.time == request.time and type(event.id) is type(request.id) and not view.lag:
        order = "a smaller" if event.id < request.id else "a greater" if event.id > request.id else "the request's own"
        yield f"{order} id at the request's moment"


def of_pairs(one: Version, other: Version) -> Iterator[str]:
    """How two versions of one stream stand to each other."""
    if one.id != other.id:
        if one.time == other.time:
            yield "two at one moment"
    elif one.revision != other.revision:
        yield "another revision"
    elif one.hash != other.hash:
        yield "another payload of one revision"
    else:
        yield "the same again" if one.op == other.op else "the same put and deleted"


def of_versions(pipeline: Pipeline, version: Version) -> Iterator[str]:
    if version.op == DELETE:
        yield "a delete"
    if version.values.get(pipeline.keys[0], 0) is None:
        yield "an event of nobody"
    for view in pipeline.windows:
        if version.stream == view.stream.name and version.watermark is not None:
            yield from near("the horizon", version.watermark - view.horizon - version.time)


def cases(pipeline: Pipeline, world: World) -> Iterator[str]:
    """Which cases a world holds."""
    told_by = pipeline.label.told_by
    told = [version for version in world.versions if version.stream == told_by.name]
    events = [one for one in world.versions if one.stream == pipeline.events.name]
    for view, request, event in itertools.product(pipeline.windows, world.requests, events):
        if event.op == PUT and event.values[view.of] == request.values[view.of] is not None:
            yield from of_windows(view, request, event)
    for version in world.versions:
        yield from of_versions(pipeline, version)
    for one, other in itertools.combinations(world.versions, 2):
        if one.stream == other.stream:
            yield from of_pairs(one, other)
    for version in told:
        about = version.values[told_by.parent[0]]
        yield from ["told of nothing"] * (about is None)
        yield from itertools.chain(*(near("what is known", version.known - one.time) for one in world.requests))
        apart = [abs(version.time - event.time) for event in events if event.id == about]
        kept = max(view.horizon for view in pipeline.windows)
        yield from itertools.chain(*(near("how far a parent may be", distance - kept) for distance in apart))
    for request in world.requests:
        yield from ["a request without id"] * (request.id is None)
        yield from ["a request of nobody"] * (request.values[pipeline.keys[0]] is None)


def found(pipeline: Pipeline) -> set[str]:
    """The cases of a few worlds."""
    seen: set[str] = set()

    @settings(
        max_examples=40,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(worlds(pipeline))
    def draw(world: World) -> None:
        seen.update(cases(pipeline, world))

    draw()
    return seen


def test_worlds_hold_every_case_that_a_rule_is_about() -> None:
    missing = set(CASES)
    # sixteen hundred worlds at most; a hundred or so are enough
    for pipeline in itertools.islice(itertools.cycle(reversed(ALL)), 40):
        missing = missing and missing - found(pipeline)
    assert missing == set()
