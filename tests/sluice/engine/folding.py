"""Folding a history in any split into micro-batches, and reading it back as bits."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.read import answer
from sluice.engine.store import Position, TileStore
from sluice.engine.vectors import pack, unpack
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.worlds import asked_table, tables

PARTITION = ("orders", 0)


def fold_all(pipeline: Pipeline, store: TileStore, batches: Sequence[Sequence[Version]], *, start: int = 0) -> None:
    """Fold batches one after another; the offset counts batches."""
    for offset, batch in enumerate(batches, start):
        moved = {PARTITION: Position(offset + 1, None)}
        fold(pipeline, store, MicroBatch(tables(pipeline, batch), {PARTITION: offset or None}, moved))


def answered(pipeline: Pipeline, store: TileStore, requests: Sequence[Asked]) -> list[bytes]:
    """The packed vectors of requests from a store."""
    return pack(pipeline, answer(pipeline, store, asked_table(pipeline, requests)).values)


def assert_same_bits(pipeline: Pipeline, found: Sequence[bytes], expected: Sequence[bytes]) -> None:
    """Equal packed vectors; a failure names the features that differ, with both values."""
    if list(found) == list(expected):
        return
    rows = zip(legible(pipeline, found), legible(pipeline, expected), strict=True)
    wrong = [
        f"request {number}, {name}: found {has[name]}, expected {wants[name]}"
        for number, (has, wants) in enumerate(rows)
        for name in has
        if has[name] != wants[name]
    ]
    raise AssertionError("\n".join(wrong or ["the words under null places differ"]))


def legible(pipeline: Pipeline, packed: Sequence[bytes]) -> list[dict[str, str]]:
    values = unpack(pipeline, list(packed))
    return [
        {name: str(value[index]) if valid[index] else "null" for name, (value, valid) in values.items()}
        for index in range(len(packed))
    ]


@st.composite
def batches_of(draw: st.DrawFn, versions: Sequence[Version]) -> list[list[Version]]:
    """Any split of the versions in their order of arrival, each batch followed by some that had come before."""
    cuts = sorted(draw(st.lists(st.integers(0, len(versions)), max_size=4)))
    bounds = list(zip([0, *cuts], [*cuts, len(versions)], strict=True))
    again = [draw(st.lists(st.sampled_from(versions[:end]), max_size=2)) if end else [] for _, end in bounds]
    return [[*versions[start:end], *more] for (start, end), more in zip(bounds, again, strict=True)]
