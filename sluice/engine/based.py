"""Windows over a lifetime whose first events are known only as the state that they add up to.

The batch kernel counts the rows that there are; what a request's entity had before them comes to that. A state is
merged as on the read path (`engine.hot`), so a value has the bits that it would have if every row were there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.functions import LIFETIME
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers
from sluice.engine.evaluate import Sums
from sluice.engine.hot import told
from sluice.engine.layout import Matrix
from sluice.engine.order import turned
from sluice.engine.plan import LOOP_OF, plan_of
from sluice.engine.states import Tally, merged_tally, read_fixed, read_tallies, shape, tallied, tally
from sluice.engine.tiles import Id

Bases = Mapping[Id, Ints]
"""The states of what entities had before the rows that are known of them, by key."""
NO_BASES: Bases = MappingProxyType({})


@dataclass(frozen=True)
class Based:
    """For each of some requests what its entity had before: the place of a state, or -1."""

    place: Ints
    sums: Sums
    """A row for each state, with the places that states have (`states.shape`)."""
    tallies: Sequence[Sequence[Tally]]


@dataclass(frozen=True)
class Seen:
    """What some requests see of the rows: from where on by window, up to where, when they are made, and their own."""

    rows: Matrix
    first: Matrix
    stop: Ints
    times: Ints
    own: Matrix


def based(view: Windows, bases: Bases, keys: pa.ChunkedArray, places: Ints) -> Based | None:
    """What the entities of requests had before, by the keys of these, each at its place; None without any bases."""
    if not bases:
        return None
    fixed, known = shape(view).fixed, pa.array(list(bases), keys.type)
    place, found = integers(pc.index_in(keys.combine_chunks(), value_set=known, skip_nulls=True))
    words = list(bases.values())
    sums = read_fixed(view, np.stack([one[:fixed] for one in words]))
    return Based(turned(np.where(found, place, -1), places), sums, [read_tallies(view, one[fixed:]) for one in words])


def add(view: Windows, before: Based, part: slice, seen: Seen, found: Sums) -> None:
    """Add to the sums of some requests, over the rows that they see, what their entities had before."""
    place = before.place[part]
    mine = np.flatnonzero(place >= 0)
    at = place[mine]
    root = 0
    for number, feature in enumerate(view.functions):
        if view.window(feature) == LIFETIME and len(mine):
            loop = LOOP_OF[feature.function]
            if shape(view).place[number] < 0:
                _tallies(view, before, number, seen, mine, at, found)
            elif loop == "sums":
                _sums(view, before, number, mine, at, found)
            else:
                _picks(view, before, number, seen, mine, at, found)
            if feature.function == "std":
                _squares(view, before, root, mine, at, found)
        root += feature.function == "std"


def _sums(view: Windows, before: Based, number: int, mine: Ints, at: Ints, found: Sums) -> None:
    kept = shape(view).place[number]
    found.number[mine, number] += before.sums.number[at, kept]
    found.total[mine, number] += before.sums.total[at, kept]


def _squares(view: Windows, before: Based, root: int, mine: Ints, at: Ints, found: Sums) -> None:
    kept = shape(view).root[root]
    found.high[mine, root] += before.sums.high[at, kept]
    found.low[mine, root] += before.sums.low[at, kept]


def _picks(view: Windows, before: Based, number: int, seen: Seen, mine: Ints, at: Ints, found: Sums) -> None:
    """Extremes and ends: the one of the state, or of the rows, which come after it."""
    kept, function = shape(view).place[number], view.functions[number].function
    there, held = before.sums.number[at, kept] > 0, before.sums.total[at, kept]
    if function.startswith("since"):
        # a state counts times to the epoch
        held = held + seen.times[mine]
    count, total = found.number[mine, number], found.total[mine, number]
    if function in {"last", "since_last"}:
        better = count == 0
    elif function in {"first", "since_first"}:
        better = np.ones(len(mine), bool)
    else:
        better = (count == 0) | (held > total if function == "max" else held < total)
    taken = there & better
    found.total[mine, number] = np.where(taken, held, total)
    found.number[mine, number] = np.where(taken, 1, count)


def _tallies(view: Windows, before: Based, number: int, seen: Seen, mine: Ints, at: Ints, found: Sums) -> None:
    feature, window = view.functions[number], plan_of(view).windows.tolist().index(LIFETIME)
    kept = tallied(view).index(feature)
    for request, state in zip(mine.tolist(), at.tolist(), strict=True):
        rows = seen.rows[seen.first[window, request] : seen.stop[request]]
        own = seen.own[request : request + 1]
        parts = [before.tallies[state][kept], *(tally(view, feature, some) for some in (rows, own) if len(some))]
        pair = told(view, number, merged_tally(feature, parts), int(seen.times[request]))
        found.number[request, number], found.total[request, number] = pair
