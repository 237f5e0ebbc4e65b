"""Labels of the events that they are about: what each told version changes, and from when that is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Label
from sluice.declare.views import Windows
from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.layout import FOREVER
from sluice.engine.order import ordered
from sluice.engine.versions import PUT, are_late, id_codes, last_of, once, parent_of, rank_of

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
    """Told versions beside the events that they may change, by event, speaker and rank."""

    place: Ints
    speaker: Ints
    """A number for each, in the order of their ids."""
    time: Ints
    known: Ints
    until: Ints
    counts: Mask
    """Whether it speaks of that event, in time, and was not taken back; who has it stand may count or be silent."""
    value: Ints


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
        absent = self._label.absent
        speech = self._speech(np.flatnonzero(~self._single))
        bounds = np.append(0, np.flatnonzero(last_of(speech.place)) + 1) if len(speech.place) else np.zeros(1, np.int64)
        at, known, weight, value = _chains(speech, bounds, int(absent is not None), absent or 0)
        return speech.place[at], known, weight, value

    def _speech(self, spoken: Ints) -> _Speech:
        """What every speaker about an event ever said, of it or of others, but for what came too late for it."""
        told, place = self._told.take(pa.array(spoken)), self._place[spoken]
        speaker, _ = ordered(told.column("_id"), told.column("_id").slice(0, 0), needed=True)
        about, mine = _heard(place, speaker)
        late = are_late(self._view, told.select(["_watermark"]).take(pa.array(mine)), self._times[about])
        about, mine = about[~late], mine[~late]
        order = np.lexsort((*(part[mine] for part in rank_of(told)), speaker[mine], about))
        about, mine = about[order], mine[order]
        put = integers(told.column("_op"))[0][mine] == PUT
        return _Speech(
            about,
            speaker[mine],
            integers(told.column("_time"))[0][mine],
            integers(told.column("_known"))[0][mine],
            self._until[spoken][mine],
            (place[mine] == about) & self._near[spoken][mine] & put,
            integers(told.column(self._label.name))[0][mine],
        )


def _heard(place: Ints, speaker: Ints) -> tuple[Ints, Ints]:
    """The pairs of an event and a version by any speaker that ever spoke of it."""
    named = np.flatnonzero(place >= 0)
    order = named[np.lexsort((speaker[named], place[named]))]
    pairs = order[last_of(place[order], speaker[order])] if len(order) else order
    by_speaker = np.argsort(speaker, kind="stable")
    first, stop = (np.searchsorted(speaker[by_speaker], speaker[pairs], side) for side in ("left", "right"))
    many = stop - first
    at = np.repeat(first - (np.cumsum(many) - many), many) + np.arange(many.sum())
    return np.repeat(place[pairs], many), by_speaker[at]


@compiled
def _chains(speech: _Speech, bounds: Ints, weight: int, value: int) -> Changes:
    """The changes of each event's label in the order they became known; weight and value are those of silence.

    Of each the place of a version of its event, the moment, and what to add to what stood before.
    """
    found = np.empty((4, 2 * len(speech.known)), np.int64)
    count = 0
    for event in range(len(bounds) - 1):
        begin, end = bounds[event], bounds[event + 1]
        before = weight, value
        moments = np.append(speech.known[begin:end], speech.until[begin:end])
        moments.sort()
        for i in range(len(moments)):
            moment = moments[i]
            if moment == FOREVER or (i > 0 and moment == moments[i - 1]):
                continue
            latest = _latest(speech, begin, end, moment)
            after = (weight, value) if latest < 0 else (1, speech.value[latest])
            if after != before:
                found[0, count], found[1, count] = begin, moment
                found[2, count], found[3, count] = after[0] - before[0], after[1] - before[1]
                count += 1
            before = after
    return found[0, :count], found[1, :count], found[2, :count], found[3, :count]


@compiled
def _latest(speech: _Speech, begin: int, end: int, moment: int) -> int:
    """The version that decides at a moment: of those that stand, one for each speaker, the latest; -1 for none."""
    latest = -1
    standing = -1
    for i in range(begin, end):
        if speech.known[i] <= moment < speech.until[i]:
            standing = i
        if i + 1 == end or speech.speaker[i + 1] != speech.speaker[i]:
            # speakers come in the order of their ids, which decide at one time
            if (
                standing >= 0
                and speech.counts[standing]
                and (latest < 0 or speech.time[standing] >= speech.time[latest])
            ):
                latest = standing
            standing = -1
    return latest


def _found(wanted: pa.ChunkedArray, ids: pa.ChunkedArray) -> Ints:
    """The place of each id among distinct ids, -1 where it is not."""
    if wanted.null_count == 0 and wanted.equals(ids):
        return np.arange(len(ids))
    place, found = integers(pc.index_in(wanted.combine_chunks(), value_set=ids.combine_chunks()))
    return np.where(found, place, -1)
