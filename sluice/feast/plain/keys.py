"""Keys of several columns as one small number each, so that rows of one entity are found by comparing numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.feast.plain.asof import NOBODY


class Keys:
    """The entities of an entity frame as small numbers; each part of a key is compared by itself."""

    def __init__(self, columns: Sequence[pa.Array], rows: int) -> None:
        self._levels: list[tuple[pa.Array, np.ndarray]] = []
        self.codes = np.zeros(rows, np.int64)
        for column in columns:
            values = column.unique().drop_null()
            raw = _joined(self.codes, column, values)
            known = np.unique(raw[raw != NOBODY])
            self._levels.append((values, known))
            self.codes = _compact(raw, known)

    def find(self, columns: Sequence[pa.Array], rows: int) -> np.ndarray:
        """The numbers of other rows' entities; NOBODY for one that is not in the frame."""
        codes = np.zeros(rows, np.int64)
        for column, (values, known) in zip(columns, self._levels, strict=True):
            codes = _compact(_joined(codes, column, values), known)
        return codes


def _joined(codes: np.ndarray, column: pa.Array, values: pa.Array) -> np.ndarray:
    place = pc.index_in(column, value_set=values, skip_nulls=True).fill_null(NOBODY).to_numpy()
    return np.where((codes == NOBODY) | (place == NOBODY), NOBODY, codes * (len(values) + 1) + place)


def _compact(raw: np.ndarray, known: np.ndarray) -> np.ndarray:
    if not len(known):
        return np.full(len(raw), NOBODY)
    at = np.minimum(np.searchsorted(known, raw), len(known) - 1)
    return np.where(known[at] == raw, at, NOBODY)
