"""Counts of checked slices, and what the gates make of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Stream
from sluice.engine.encode import Mask, integers
from sluice.engine.versions import PUT
from sluice.lake.baselines.shifts import Shift
from sluice.lake.contract import Checked, present
from sluice.lake.control import CONTROL
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.parents import Keys, find_parents
from sluice.lake.restating import Restated
from sluice.lake.seam import Met, Seam, Steps
from sluice.lake.tables import Lake

_EXAMPLES = 3
K = TypeVar("K")


@dataclass(frozen=True)
class Tally:
    """What one slice of bronze holds."""

    index: int
    accepted: int
    refused: Mapping[tuple[str, str, str], int]
    """Rows by rule, column and what is allowed."""
    examples: Mapping[tuple[str, str, str], str]
    """The least of the refused values, for the same keys."""
    reached: Mapping[str, int]
    """The last position of every `source/partition`."""
    newest: int | None
    watermarks: Mapping[str, int]
    keys: Keys
    late: int
    columns: Mapping[str, int]
    puts: int
    entered: int
    """Accepted rows that put an event."""
    nulls: Mapping[str, int]
    """How many of them have no value of each nullable column."""
    steps: Steps
    """Accepted events around a seam, if one is asked for."""


def tally(
    contract: Stream, lake: Lake, index: int, bronze: pa.Table, checked: Checked, *, due: int, seam: Seam | None
) -> Tally:
    """Count one checked slice; `bronze` are its raw rows, and events up to `due` had their time to find a parent."""
    accepted = checked.accepted
    entered = accepted.filter(pc.equal(accepted.column("_op"), PUT))
    # a delete names its event and nothing else
    puts = [
        row
        for row, op in zip(checked.parsed, present(bronze).column("op").to_pylist(), strict=True)
        if row and op == PUT
    ]
    refused = checked.rejected.group_by(["rule", "column", "allowed"]).aggregate([("value", "count"), ("value", "min")])
    groups = {(row["rule"], row["column"], row["allowed"]): row for row in refused.to_pylist()}
    return Tally(
        index=index,
        accepted=len(accepted),
        refused={key: row["value_count"] for key, row in groups.items()},
        examples={key: row["value_min"] for key, row in groups.items()},
        reached=_greatest(bronze, "source", "partition", "position"),
        newest=pc.max(accepted.column("_time")).as_py(),
        watermarks=_greatest(accepted, "_source", "_partition", "_time"),
        keys=find_parents(contract, lake, accepted, due),
        late=int(late(contract, accepted).sum()),
        columns=Counter(chain.from_iterable(puts)),
        puts=len(puts),
        entered=len(entered),
        nulls={name: entered.column(name).null_count for name in _nullable(contract)},
        steps=Steps((), None) if seam is None else seam.steps(accepted),
    )


def late(contract: Stream, accepted: pa.Table) -> Mask:
    """Which accepted rows were known later than the stream's `late_after` allows."""
    known, time = integers(accepted.column("_known"))[0], integers(accepted.column("_time"))[0]
    return np.asarray(known - time > contract.micros("late_after"), bool)


def evidence(
    contract: Stream,
    tallies: Sequence[Tally],
    *,
    delay: int,
    overdue: Keys,
    gaps: Sequence[str],
    shifts: Sequence[Shift],
    restated: Restated | None,
    seam: Met | None,
) -> BatchEvidence:
    """All slices together, for the gates; `delay` is how much later than its event a row is told.

    `overdue` are keys of earlier batches whose time is over since, `gaps` what is missing between positions, `shifts`
    how far columns have moved, `restated` what is said anew of days that history has, `seam` how the files of a hybrid
    stream and its topic meet.
    """
    keys = [overdue, *(one.keys for one in tallies)]
    columns = _sums(one.columns for one in tallies)
    declared = [contract.source(name) for name in contract.all_columns]
    refused = _sums(one.refused for one in tallies)
    by_rule: Counter[str] = Counter()
    for (rule, _, _), count in refused.items():
        by_rule[rule] += count
    newest = max((one.newest for one in tallies if one.newest is not None), default=None)
    examples: dict[tuple[str, str, str], str] = {}
    for one in tallies:
        examples = {**one.examples, **examples}
    return BatchEvidence(
        rows=sum(one.accepted for one in tallies) + sum(refused.values()),
        quarantined=dict(by_rule),
        newest=None if newest is None else newest - delay,
        foreign_keys=sum(one.due for one in keys),
        orphans=sum(one.orphans for one in keys),
        waiting_keys=sum(one.waiting for one in keys),
        examples=[_in_words(key, examples[key]) for key, _ in refused.most_common(_EXAMPLES)],
        puts=sum(one.puts for one in tallies),
        undeclared={name: count for name, count in columns.items() if name not in {*declared, *CONTROL}},
        absent=[name for name in declared if name not in columns],
        entered=sum(one.entered for one in tallies),
        nulls=dict(_sums(one.nulls for one in tallies)),
        late=sum(one.late for one in tallies),
        gaps=gaps,
        shifts=shifts,
        restated=restated,
        seam=seam,
    )


def greatest(values: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The greatest value of each key."""
    found: dict[str, int] = {}
    for one in values:
        for key, value in one.items():
            found[key] = max(value, found.get(key, value))
    return found


def _nullable(contract: Stream) -> list[str]:
    return [name for name, column in contract.columns.items() if column.nullable]


def _greatest(rows: pa.Table, source: str, partition: str, value: str) -> dict[str, int]:
    groups = rows.group_by([source, partition]).aggregate([(value, "max")])
    return {f"{row[source]}/{row[partition]}": row[f"{value}_max"] for row in groups.to_pylist()}


def _sums(counts: Iterable[Mapping[K, int]]) -> Counter[K]:
    total: Counter[K] = Counter()
    for one in counts:
        total.update(one)
    return total


def _in_words(key: tuple[str, str, str], value: str) -> str:
    _, column, allowed = key
    return f"{column or 'a row'} is {value}, not {allowed}"
