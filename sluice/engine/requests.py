"""Requests as the read path takes them: when, who, and their columns as whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sluice.declare.views import Windows
from sluice.engine.conditions import Words
from sluice.engine.encode import Ints, Mask
from sluice.engine.layout import FLAGS, TIME, VALUES, Matrix, columns_of, words_of
from sluice.engine.plan import plan_of
from sluice.engine.tiles import Id, id_word


class Moment(NamedTuple):
    """When a request happens: its event time and id; an id of None comes after every other."""

    time: int
    id: Id | None


@dataclass(frozen=True)
class Requests:
    """Some requests: their moments, their entity keys by name, and their columns as whole numbers."""

    moments: Sequence[Moment]
    keys: Mapping[str, Sequence[Id | None]]
    words: Words
    times: Ints
    last: Mask
    """Those without an id, which come after every other event of their moment."""
    _ties: dict[bool, Ints] = field(default_factory=dict)

    @classmethod
    def of(cls, moments: Sequence[Moment], keys: Mapping[str, Sequence[Id | None]], words: Words) -> Requests:
        """Requests from their moments, keys and columns."""
        times = np.array([moment.time for moment in moments], np.int64)
        return cls(moments, keys, words, times, np.array([moment.id is None for moment in moments], bool))

    @classmethod
    def of_table(cls, requests: pa.Table, keys: Sequence[str]) -> Requests:
        """Encoded requests, and the names of the keys that are asked of them."""
        listed = zip(requests.column("_time").to_pylist(), requests.column("_id").to_pylist(), strict=True)
        found = {name: requests.column(name).to_pylist() for name in keys}
        return cls.of([Moment(*one) for one in listed], found, words_of(requests))

    def __len__(self) -> int:
        return len(self.moments)

    def ties(self, *, texts: bool) -> Ints:
        """The words of their ids among rows whose ids are texts, or whole numbers; 0 without one."""
        if texts not in self._ties:
            ids = [moment.id for moment in self.moments]
            listed = [0 if one is None else id_word(str(one)) if texts else int(one) for one in ids]
            self._ties[texts] = np.array(listed, np.int64)
        return self._ties[texts]

    def own(self, view: Windows) -> Matrix:
        """The requests' own rows in a view that includes them, without flags where they have no key; else no rows."""
        width = plan_of(view).width
        if not view.include_request:
            return np.empty((0, width), np.int64)
        rows = np.zeros((len(self.moments), width), np.int64)
        flags, columns = columns_of(view, len(rows), self.words, self.words)
        rows[:, TIME], rows[:, FLAGS] = self.times, flags
        for place, column in enumerate(columns, VALUES):
            rows[:, place] = column
        for place, key in enumerate(self.keys[view.of]):
            if key is None:
                rows[place, FLAGS] = 0
        return rows
