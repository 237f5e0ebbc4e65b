"""Labels of the events that they are about: what each told version changes, and from when that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Label
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers
from sluice.engine.layout import FOREVER
from sluice.engine.versions import PUT, are_late, id_codes, once, parent_of

Changes = tuple[Ints, Ints, Ints, Ints]
"""Of labels: the place of the event, the moment of knowledge, and the weight and value to add to what stood before."""


def changes_of(view: Windows, label: Label, about: pa.Table, told: pa.Table, kept: int) -> Changes:
    """The changes of the labels of some events, each there once, by what is told.

    Of the copies of a version there is one in `told`, or, each with an `_until` of its own, one at each moment.
    """
    found = _Told(view, label, about, told, kept)
    parts = [found.alone(), found.together()]
    if label.absent is not None:
        everything = np.arange(len(about))
        ones = np.ones(len(about), np.int64)
        times, _ = integers(about.column("_time"))
        parts.insert(0, (everything, times + int(label.after), ones, ones * label.absent))
    place, known, weight, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return place, known, weight, value


class _Speech(NamedTuple):
    id: int | str
    rank: tuple[int, int, int]
    time: int
    known: int
    until: int
    watermark: int | None
    place: int
    near: bool
    value: int


class _Told:
    """What the told versions of a label change in the events they are about, and when that becomes known."""

    def __init__(self, view: Windows, label: Label, about: pa.Table, told: pa.Table, kept: int) -> None:
        self._label, self._view, self._told = label, view, told
        self._times = integers(about.column("_time"))[0]
        self._place = _found(told.column(parent_of(label.told_by)[0]), about.column("_id"))
        self._present = self._place >= 0
        self._parent_times = self._times[self._place] if len(self._times) else np.zeros(len(told), np.int64)
        apart = np.abs(self._parent_times - integers(told.column("_time"))[0])
        self._near = self._present & (apart <= kept)
        ends = "_until" in told.column_names
        self._until = integers(told.column("_until"))[0] if ends else np.broadcast_to(np.int64(FOREVER), len(told))
        self._single = once(id_codes(told.column("_id"))) & (once(self._place) | ~self._present)

    def alone(self) -> Changes:
        """The changes of versions that are the only one of their event, about an event with no other."""
        told, absent = self._told, self._label.absent
        late = are_late(self._view, told, self._parent_times)
        put = integers(told.column("_op"))[0] == PUT
        value = integers(told.column(self._label.name))[0] - (absent or 0)
        changes = (value != 0) if absent is not None else np.ones(len(told), bool)
        here = np.flatnonzero(self._single & self._near & put & ~late & changes)
        weight = np.full(len(here), int(absent is None), np.int64)
        return self._place[here], integers(told.column("_known"))[0][here], weight, value[here]

    def together(self) -> Changes:
        """The changes where several versions speak of one event, or one speaker has several versions."""
        spoken = self._speeches(np.flatnonzero(~self._single))
        speakers: dict[int | str, list[_Speech]] = {}
        places: dict[int, dict[int | str, None]] = {}
        for speech in spoken:
            speakers.setdefault(speech.id, []).append(speech)
            if speech.place >= 0:
                places.setdefault(speech.place, {})[speech.id] = None
        found = [
            (place, *change)
            for place, ids in places.items()
            for change in self._chain(place, [speech for speaker in ids for speech in speakers[speaker]])
        ]
        place, known, weight, value = np.array(found, np.int64).reshape(-1, 4).T
        return place, known, weight, value

    def _chain(self, place: int, speeches: list[_Speech]) -> Iterator[tuple[int, int, int]]:
        """The changes of one event's label in the order they became known."""
        time = int(self._times[place])
        absent = self._label.absent
        nothing = (0, 0) if absent is None else (1, absent)
        before = nothing
        heard = [item for item in speeches if item.watermark is None or time >= item.watermark - self._view.horizon]
        heard.sort(key=lambda item: item.rank)
        for moment in sorted({item.known for item in heard} | {item.until for item in heard} - {FOREVER}):
            standing = {item.id: item for item in heard if item.known <= moment < item.until}
            after = _latest(place, standing, nothing)
            if after != before:
                yield moment, after[0] - before[0], after[1] - before[1]
            before = after

    def _speeches(self, index: Ints) -> list[_Speech]:
        names = ["_id", "_revision", "_hash", "_op", "_time", "_known", "_watermark", self._label.name]
        facts = self._told.select(names).take(pa.array(index))
        columns = zip(*(column.to_pylist() for column in facts.columns), strict=True)
        more = (column[index].tolist() for column in (self._until, self._place, self._near))
        return [
            _Speech(id_, (revision, digest % 2**64, op), time, known, until, watermark, place, near, value or 0)
            for (id_, revision, digest, op, time, known, watermark, value), until, place, near in zip(
                columns, *more, strict=True
            )
        ]


def _latest(place: int, standing: Mapping[int | str, _Speech], nothing: tuple[int, int]) -> tuple[int, int]:
    about = [item for item in standing.values() if item.place == place and item.near and item.rank[2] == PUT]
    latest = max(about, key=lambda item: (item.time, item.id), default=None)
    return nothing if latest is None else (1, latest.value)


def _found(wanted: pa.ChunkedArray, ids: pa.ChunkedArray) -> Ints:
    """The place of each id among distinct ids, -1 where it is not."""
    if wanted.null_count == 0 and wanted.equals(ids):
        return np.arange(len(ids))
    place, found = integers(pc.index_in(wanted.combine_chunks(), value_set=ids.combine_chunks()))
    return np.where(found, place, -1)
