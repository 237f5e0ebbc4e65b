"""Vector to tensor: the one function in which a feature value becomes what a model reads, in training and serving."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.errors import DataError
from sluice.scoring.inputs import Columns, Input, Int64s, Vectors, pack

Float32s: TypeAlias = NDArray[np.float32]


def to_tensor(source: Vectors | Columns, inputs: Sequence[Input]) -> Float32s:
    """Float32 [n, k] in the order of the inputs, null as NaN; every further step is inside the model's graph.

    Numbers are cast to float32 before anything else touches them; a hash of an open category is folded as an integer
    (`hash mod size`) and then cast. DataError if a code lies outside its closed category.
    """
    vectors = source if isinstance(source, Vectors) else pack(source, inputs)
    layout = _layout(tuple(inputs))
    _refuse_shape(vectors, layout)
    tensor = np.empty(vectors.words.shape, dtype=np.float32)
    with np.errstate(over="ignore"):  # beyond float32 is infinity, which the graph clips
        tensor[:, layout.numbers] = vectors.words[:, layout.numbers].view(np.float64)
    if layout.categories.size:
        tensor[:, layout.categories] = _codes(vectors, layout)
    tensor[vectors.nulls] = np.nan
    return tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    inputs: tuple[Input, ...]
    numbers: Int64s
    categories: Int64s
    sizes: Int64s
    closed: NDArray[np.bool_]


@functools.lru_cache(maxsize=64)
def _layout(inputs: tuple[Input, ...]) -> _Layout:
    categories = [place for place, each in enumerate(inputs) if each.kind == "category"]
    return _Layout(
        inputs=inputs,
        numbers=np.array([place for place, each in enumerate(inputs) if each.kind == "number"], dtype=np.int64),
        categories=np.array(categories, dtype=np.int64),
        sizes=np.array([inputs[place].size for place in categories], dtype=np.int64),
        closed=np.array([not inputs[place].open for place in categories], dtype=bool),
    )


def _codes(vectors: Vectors, layout: _Layout) -> Int64s:
    codes = vectors.words[:, layout.categories]
    folded: Int64s = np.mod(codes, layout.sizes)
    outside = (folded != codes) & layout.closed & ~vectors.nulls[:, layout.categories]
    if outside.any():
        row, place = (int(at[0]) for at in np.nonzero(outside))
        each = layout.inputs[layout.categories[place]]
        raise DataError(
            f"code {codes[row, place]} is not one of the closed category",
            where=f"{each.name}, row {row}",
            allowed=f"0 to {layout.sizes[place] - 1}, or null",
            next_step="train a model on the present definition, or declare the category open",
        )
    return folded


def _refuse_shape(vectors: Vectors, layout: _Layout) -> None:
    if vectors.words.shape[1] != len(layout.inputs):
        raise DataError(
            f"a vector of {vectors.words.shape[1]} values for a model of {len(layout.inputs)} inputs",
            allowed=[each.name for each in layout.inputs],
        )
