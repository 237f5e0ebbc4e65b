"""Everything that a store holds of a pipeline, read through the port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.store import ChunkName, Fact, Name, TileStore
from sluice.engine.tiles import read_head
from tests.sluice.engine.oracle import Version


@dataclass(frozen=True)
class Contents:
    heads: dict[Name, bytes]
    chunks: dict[ChunkName, bytes]
    facts: set[Fact]


def contents(pipeline: Pipeline, store: TileStore, versions: Sequence[Version]) -> Contents:
    """What a store holds after some versions of events."""
    heads: dict[Name, bytes] = {}
    chunks: dict[ChunkName, bytes] = {}
    for view in pipeline.windows:
        for key, head in store.scan(view.name):
            heads[view.name, key] = head
            index = read_head(view, head).leaves
            names = [(view.name, key, start) for start in index.starts.tolist()] if index else []
            chunks |= store.read([(view.name, key)], lambda _, names=names: names).chunks
    return Contents(heads, chunks, set(store.facts(anchors(pipeline, versions))))


def anchors(pipeline: Pipeline, versions: Sequence[Version]) -> list[int | str]:
    """Every id that a fact may be anchored at."""
    links = {stream.name: stream.parent[0] for stream in pipeline.streams if stream.parent}
    about = [version.values[links[version.stream]] for version in versions if version.stream in links]
    return [*(version.id for version in versions), *(one for one in about if one is not None)]


def with_leaf(pipeline: Pipeline, leaf: int) -> Pipeline:
    """The same pipeline with another number of events stored together."""
    views = [replace(view, leaf=leaf) if isinstance(view, Windows) else view for view in pipeline.views]
    return replace(pipeline, views=views)
