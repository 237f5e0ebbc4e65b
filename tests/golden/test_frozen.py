"""The bits of the frozen pipelines are those that were written down, on every path and whatever has been upgraded.

A change of them is a change of every model trained before it: it needs another definition, and new bits by
`python -m tests.golden.freeze bits`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import get_args

import pytest

from sluice.declare.functions import LIFETIME, OF_LABELS, Function
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import Moment
from sluice.engine.build import build
from sluice.engine.fold import load_base
from sluice.engine.history import keep, rows
from sluice.engine.read import answer
from sluice.engine.store import TileStore
from sluice.engine.vectors import Values, pack
from tests.golden.freeze import BITS, bits, computed, lookups, requests, table_rows, versions
from tests.golden.frozen import ALL
from tests.sluice.engine.folding import fold_all
from tests.sluice.engine.oracle import packed_vector
from tests.sluice.engine.stores import Opened, every_store
from tests.sluice.engine.worlds import asked_table, tables

pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
FROZEN = json.loads(BITS.read_text())
WINDOWS = [(view, feature) for pipeline in ALL for view in pipeline.windows for feature in view.functions]


def folded(pipeline: Pipeline, store: TileStore) -> None:
    """Everything in batches as it arrives."""
    history = versions(pipeline)
    fold_all(pipeline, store, [history[at : at + 120] for at in range(0, len(history), 120)])


def based(pipeline: Pipeline, store: TileStore) -> None:
    """Most of it as a base, and the rest folded."""
    history = versions(pipeline)
    events = tables(pipeline, history[:400])
    built = {view.name: build(view, rows(view, events, kept=keep(pipeline))) for view in pipeline.windows}
    load_base(pipeline, store, 1, built, events)
    fold_all(pipeline, store, [history[400:]])


def read(pipeline: Pipeline, store: TileStore) -> Values:
    return answer(pipeline, store, asked_table(pipeline, requests(pipeline)), lookups(pipeline)).values


@pytest.mark.unit
@pipelines
def test_what_is_computed_at_once_has_the_bits_that_were_written_down(pipeline: Pipeline) -> None:
    assert bits(computed(pipeline)) == FROZEN[pipeline.name]


@pipelines
@every_store(pytest.mark.unit, server=pytest.mark.integration)
@pytest.mark.parametrize("fill", [folded, based], ids=["folded", "a base and the rest"])
def test_what_is_read_from_a_store_has_the_bits_that_were_written_down(
    pipeline: Pipeline, opened: Opened, fill: Callable[[Pipeline, TileStore], None]
) -> None:
    with opened() as store:
        fill(pipeline, store)
        assert bits(read(pipeline, store)) == FROZEN[pipeline.name]


@pytest.mark.soak
@pipelines
def test_the_bits_are_those_of_the_definition(pipeline: Pipeline) -> None:
    history, asked, looked_up = versions(pipeline), requests(pipeline), table_rows(pipeline)
    expected = [packed_vector(pipeline, one, history, looked_up) for one in asked]
    assert pack(pipeline, computed(pipeline)) == expected


@pytest.mark.unit
def test_every_function_is_frozen_in_every_form() -> None:
    forms = defaultdict(set)
    for view, feature in WINDOWS:
        told = {
            "included": view.include_request,
            "slots": view.slot is not None,
            "delayed": view.lag > 0 and view.label is None,
            "label": view.label is not None,
            "lifetime": view.window(feature) == LIFETIME,
            "filtered": feature.where is not None,
        }
        forms[feature.function] |= {form for form, has in told.items() if has}
    plain = {"included", "slots", "delayed", "lifetime", "filtered"}
    labelled = {function: {"label"} if function in OF_LABELS else set() for function in get_args(Function)}
    assert forms == {function: plain | labels for function, labels in labelled.items()}


@pytest.mark.unit
def test_every_word_of_a_request_is_frozen() -> None:
    words = {feature.function for pipeline in ALL for view in pipeline.requests for feature in view.features}
    assert words == set(get_args(Moment))
    assert any(pipeline.lookups for pipeline in ALL)


@pytest.mark.unit
@pipelines
def test_a_feature_is_not_the_same_for_every_request(pipeline: Pipeline) -> None:
    """Else it would prove little; but three origins are more than `top_origin` keeps, so that it is null in the end."""
    frozen = FROZEN[pipeline.name]
    assert list(frozen) == [place.name for place in pipeline.features]
    seen = {name: len(set(words) - {None}) for name, words in frozen.items()}
    assert {name for name, different in seen.items() if different < 2} <= {"ever__top_origin_lifetime"}
