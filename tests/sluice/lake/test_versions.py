"""Copies and contradictions: settled by what the rows are, never by the order in which they are told."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.engine.versions import settled
from sluice.lake.versions import settle

pytestmark = pytest.mark.unit


class Row(NamedTuple):
    """A row of silver, as far as it matters here."""

    id: int
    revision: int
    hash: int
    op: int
    watermark: int | None
    known: int
    source: str
    partition: int
    position: int

    @property
    def version(self) -> tuple[int, ...]:
        return self[:4]

    @property
    def arrival(self) -> tuple[Any, ...]:
        return (self.watermark is not None, self.watermark or 0, self.known)

    @property
    def place(self) -> tuple[Any, ...]:
        return self[6:]

    @property
    def rank(self) -> tuple[int, int]:
        return (self.hash % 2**64, self.op)


NAMES = ("_id", "_revision", "_hash", "_op", "_watermark", "_known", "_source", "_partition", "_position")
TYPES = [pa.int64(), pa.int32(), pa.int64(), pa.int8(), pa.int64(), pa.int64(), pa.string(), pa.int32(), pa.int64()]
SCHEMA = pa.schema(list(zip(NAMES, TYPES, strict=True)))


def table(rows: list[Row]) -> pa.Table:
    return pa.table(
        {
            name: pa.array([row[i] for row in rows], kind)
            for i, (name, kind) in enumerate(zip(NAMES, TYPES, strict=True))
        }
    )


def row(**changes: Any) -> Row:
    return Row(**{**Row(1, 0, 10, 0, None, 5, "file:a", 0, 0)._asdict(), **changes})


def told(arrived: list[Row], held: list[Row]) -> list[tuple[bool, bool, tuple[int, int] | None]]:
    """For each arriving row: is it first, is it a duplicate, and (kept, dropped) where it conflicts."""
    found = settle(table(arrived), table(held))
    return [
        (bool(found.first[i]), bool(found.duplicate[i]), (int(found.kept[i]), int(found.dropped[i])))
        if found.conflict[i]
        else (bool(found.first[i]), bool(found.duplicate[i]), None)
        for i in range(len(arrived))
    ]


NEW = (True, False, None)


def test_rows_of_different_events_are_all_new() -> None:
    assert told([row(id=1), row(id=2, position=1)], [row(id=3)]) == [NEW, NEW]


def test_the_same_bytes_again_are_a_duplicate() -> None:
    again = row(position=1)
    assert told([again, row()], []) == [(False, True, None), NEW]
    assert told([again], [row()]) == [(False, True, None)]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (row(watermark=None, known=9, source="file:z"), row(watermark=3, known=1)),
        (row(watermark=3, known=9), row(watermark=4, known=1)),
        (row(watermark=3, known=1, position=9), row(watermark=3, known=2, position=1)),
        (row(watermark=3, source="a", position=9), row(watermark=3, source="b", position=1)),
        (row(watermark=3, partition=0, position=9), row(watermark=3, partition=1, position=1)),
    ],
)
def test_of_copies_the_one_that_a_view_would_keep_is_first(better: Row, worse: Row) -> None:
    assert told([worse, better], []) == [(False, True, None), NEW]


def test_a_better_copy_of_what_history_holds_is_kept_and_is_still_a_duplicate() -> None:
    expired = row(watermark=1_000, source="kafka:t")
    assert told([row(source="file:b")], [expired]) == [(True, True, None)]
    assert told([row(watermark=1_001, source="kafka:t")], [expired]) == [(False, True, None)]
    assert told([expired._replace(source="a")], [expired]) == [(False, True, None)]


def test_other_bytes_under_the_same_revision_conflict_and_the_greater_unsigned_hash_stands() -> None:
    assert told([row(hash=-1, position=1), row(hash=7)], []) == [(True, False, (-1, 7)), NEW]
    assert told([row(hash=7)], [row(hash=-1)]) == [(True, False, (-1, 7))]
    assert told([row(hash=-1)], [row(hash=7)]) == [(True, False, (-1, 7))]


def test_a_higher_revision_is_no_conflict() -> None:
    assert told([row(revision=1, hash=7)], [row()]) == [NEW]


def test_the_same_bytes_put_and_deleted_conflict() -> None:
    assert told([row(op=1)], [row(op=0)]) == [(True, False, (10, 10))]


def test_a_duplicate_of_a_conflicting_version_conflicts_once() -> None:
    arrived = [row(hash=7, position=1), row(hash=7, position=2), row(hash=8, position=3)]
    assert told(arrived, [row()]) == [(True, False, (10, 7)), (False, True, None), (True, False, (10, 8))]


def test_nothing_is_settled_among_no_rows() -> None:
    assert told([], []) == []
    assert told([], [row()]) == []


def test_ids_may_be_text() -> None:
    ids = pa.array(["a", "b", "a"])
    rows = table([row(), row(position=1), row(position=2)]).set_column(0, "_id", ids)
    assert settle(rows, rows.slice(0, 0)).duplicate.tolist() == [False, False, True]


SMALL = st.builds(
    Row,
    st.integers(1, 3),
    st.integers(0, 1),
    st.sampled_from([-1, 0, 5]),
    st.integers(0, 1),
    st.none() | st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(["file:a", "kafka:t"]),
    st.integers(0, 1),
    st.integers(0, 10**6),
)
ROWS = st.lists(SMALL, max_size=12, unique_by=lambda one: one.place)


def by_definition(arrived: list[Row], held: list[Row]) -> list[tuple[bool, bool, bool]]:
    """First, duplicate and conflict of each arriving row, straight from the words of the design."""
    result = []
    for one in arrived:
        same_held = [other for other in held if other.version == one.version]
        same_new = [other for other in arrived if other.version == one.version]
        best = min(
            [*((o.arrival, False, o.place, o) for o in same_held), *((o.arrival, True, o.place, o) for o in same_new)],
            key=lambda item: item[:3],
        )[3]
        duplicate = best is not one or bool(same_held)
        rivals = [other for other in [*held, *arrived] if other[:2] == one[:2] and other.version != one.version]
        there = [o for o in rivals if o in held or (o.arrival, o.place) < (one.arrival, one.place)]
        result.append((best is one, duplicate, not duplicate and bool(there)))
    return result


@given(ROWS, st.integers(0, 12))
def test_it_is_what_the_definition_says(rows: list[Row], cut: int) -> None:
    arrived, held = rows[cut:], rows[:cut]
    found = [(first, duplicate, pair is not None) for first, duplicate, pair in told(arrived, held)]
    assert found == by_definition(arrived, held)


@given(ROWS, st.integers(0, 12), st.randoms(use_true_random=False))
def test_it_does_not_depend_on_the_order_of_rows(rows: list[Row], cut: int, shuffle: random.Random) -> None:
    arrived, held = rows[cut:], rows[:cut]
    expected = dict(zip(arrived, told(arrived, held), strict=True))
    shuffle.shuffle(arrived)
    shuffle.shuffle(held)
    assert dict(zip(arrived, told(arrived, held), strict=True)) == expected


@given(ROWS, st.lists(st.integers(0, 12), max_size=3).map(sorted))
def test_however_rows_are_cut_into_batches_the_same_versions_stand_and_the_counts_add_up(
    rows: list[Row], cuts: list[int]
) -> None:
    history: list[Row] = []
    conflicts = 0
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        arrived = rows[start:end]
        found = told(arrived, history)
        conflicts += sum(pair is not None for _, _, pair in found)
        history += [one for one, (first, _, _) in zip(arrived, found, strict=True) if first]
    assert {one.version for one in history} == {one.version for one in rows}
    assert conflicts == len({one.version for one in rows}) - len({one[:2] for one in rows})
    whole, parts = settled(table(rows)), settled(table(history))
    columns = ["_id", "_revision", "_hash", "_op", "_watermark", "_known"]
    assert whole.select(columns).sort_by("_id").equals(parts.select(columns).sort_by("_id"))
