"""How stale served vectors were: what of all that is known by now they did not know, by cause and by how much.

A feature's steps are its values at the stages of `sluice.monitor.stages`, from what was known to all there is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sluice.lake.tables import Lake

Cause = Literal["pending", "lateness", "expiry"]
"""Why events were not known; each is the step from one stage to the next."""
CAUSES: tuple[Cause, ...] = get_args(Cause)
Value: TypeAlias = float | int | None
"""A number, the code of a category, or null."""
Steps: TypeAlias = tuple[Value, ...]
"""The values of a feature: known, with what was pending, with what came later, with what has expired."""
QUANTILES = (0.5, 0.9, 1.0)
"""The shares of differences that do not exceed the sizes given."""
SEVERAL = "several"


def causes_of(steps: Steps) -> Iterator[tuple[Cause, Value, Value]]:
    """The causes that change a feature, each with the value before it and after it."""
    for cause, (before, after) in zip(CAUSES, pairwise(steps), strict=True):
        if repr(before) != repr(after):
            yield cause, before, after


def staleness_columns(found: Mapping[str, Steps]) -> dict[str, object]:
    """What a row of the table `audits` says of staleness: how many features each cause changed, and their steps."""
    causes = [cause for steps in found.values() for cause, _, _ in causes_of(steps)]
    counts: dict[str, object] = {cause: causes.count(cause) for cause in CAUSES}
    return counts | {"staleness": json.dumps({name: list(steps) for name, steps in found.items()})}


@dataclass(frozen=True, slots=True)
class Change:
    """What one cause changed in one feature: of how many vectors, and by how much.

    `absolute` is in the feature's own unit, `relative` to the greater of both values, each at `QUANTILES`. Both are
    empty where nothing that changed is a number before and after.
    """

    cause: Cause
    feature: str
    vectors: int
    absolute: tuple[float, ...]
    relative: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Staleness:
    """How many audited vectors knew less than there is to know by now, and why."""

    measured: int
    """Vectors whose staleness was measured."""
    vectors: Mapping[str, int]
    """How many of them one cause alone changed, and `several` for those that more than one did."""
    changes: Sequence[Change]
    """By cause and feature, those of the most vectors first."""
    relative: Mapping[Cause, tuple[float, ...]]
    """Of all features that a cause changed, the relative differences at `QUANTILES`; empty for none."""

    @property
    def stale(self) -> int:
        """Vectors with a feature that some cause changed."""
        return sum(self.vectors.values())

    def features(self, cause: Cause) -> int:
        """How many features of all vectors a cause changed."""
        return sum(change.vectors for change in self.changes if change.cause == cause)


def staleness_in(lake: Lake) -> Staleness:
    """What a pipeline's table `audits` says of staleness: nothing while nobody has written it."""
    held = lake.open("audits")
    there = set() if held is None else {column.name for column in held.schema().fields}
    wanted = [name for name in ("request_id", "event_id", "at", "staleness") if name in there]
    return staleness(lake.read("audits", columns=wanted) if wanted else pa.table({}))


def staleness(audits: pa.Table) -> Staleness:
    """What the table `audits` says of staleness; of a vector that was audited again the newest row counts.

    Rows from before it was measured say nothing.
    """
    found: dict[tuple[Cause, str], list[tuple[Value, Value]]] = {}
    vectors = dict.fromkeys([*CAUSES, SEVERAL], 0)
    newest = _newest(audits)
    for text in newest.filter(pc.not_equal(newest.column("staleness"), "{}")).column("staleness").to_pylist():
        steps: Mapping[str, Sequence[Value]] = json.loads(text)
        changed = [(cause, name, pair) for name, values in steps.items() for cause, *pair in causes_of(tuple(values))]
        for cause, name, pair in changed:
            found.setdefault((cause, name), []).append((pair[0], pair[1]))
        causes = {cause for cause, _, _ in changed}
        if causes:
            vectors[SEVERAL if len(causes) > 1 else causes.pop()] += 1
    changes = [Change(cause, name, len(pairs), *_sizes(pairs)) for (cause, name), pairs in found.items()]
    changes.sort(key=lambda change: (CAUSES.index(change.cause), -change.vectors, change.feature))
    relative = {
        cause: _sizes([pair for (named, _), pairs in found.items() if named == cause for pair in pairs])[1]
        for cause in CAUSES
    }
    return Staleness(len(newest), vectors, changes, relative)


def _newest(audits: pa.Table) -> pa.Table:
    """The newest row of every vector whose staleness was measured."""
    if "staleness" not in audits.column_names:
        return pa.table({"staleness": pa.array([], pa.string())})
    measured = audits.filter(audits.column("staleness").is_valid()).sort_by("at")
    last = measured.group_by(["request_id", "event_id"], use_threads=False).aggregate([("staleness", "last")])
    return last.rename_columns({"staleness_last": "staleness"})


def _sizes(pairs: Sequence[tuple[Value, Value]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Quantiles of the absolute and the relative differences of numbers; a code has no size, nor has infinity."""
    numbers = [pair for pair in pairs if all(isinstance(value, float) and math.isfinite(value) for value in pair)]
    if not numbers:
        return (), ()
    before, after = np.array(numbers, np.float64).T
    absolute, greater = np.abs(after - before), np.maximum(np.abs(before), np.abs(after))
    return _quantiles(absolute), _quantiles(absolute / np.where(greater > 0, greater, 1))


def _quantiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    """By nearest rank, so that each is a difference that occurred."""
    return tuple(np.quantile(values, QUANTILES, method="inverted_cdf").tolist())
