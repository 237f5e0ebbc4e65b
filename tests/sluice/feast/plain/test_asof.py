"""The newest row at or before each moment, against a loop over all rows, however the rows are cut into parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.feast.plain.asof import NOBODY, Newest, Part
from sluice.feast.plain.keys import Keys
from tests.properties import examples

pytestmark = pytest.mark.unit
NEVER = np.iinfo(np.int64).min
small = st.integers(0, 6)
rows = st.lists(st.tuples(st.integers(-1, 2), small, st.none() | small), max_size=12)
asked = st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 7)), max_size=6)


def part(some: list[tuple[int, int, int | None]], start: int) -> Part:
    codes, times, created = (np.array([one[place] for one in some], object) for place in range(3))
    stamps = np.array([NEVER if stamp is None else stamp for stamp in created], np.int64)
    names = pa.table({"row": pa.array(range(start, start + len(some)), pa.int64())})
    return Part(codes.astype(np.int64), times.astype(np.int64), stamps, names)


def naive(
    held: list[tuple[int, int, int | None]], code: int, moment: int, lasting: int | None, *, known_only: bool
) -> int | None:
    best = None
    for place, (owner, time, created) in enumerate(held):
        if owner != code or code == NOBODY or time > moment:
            continue
        if known_only and (created is None or created > moment):
            continue
        rank = (time, -1 if created is None else created, place)
        best = rank if best is None or rank > best else best
    if best is None or (lasting is not None and best[0] < moment - lasting):
        return None
    return best[2]


@settings(max_examples=examples(400))
@given(held=rows, questions=asked, cut=st.integers(0, 12), lasting=st.none() | small, known_only=st.booleans())
def test_it_is_what_a_loop_over_all_rows_finds(
    held: list[tuple[int, int, int | None]],
    questions: list[tuple[int, int]],
    cut: int,
    lasting: int | None,
    *,
    known_only: bool,
) -> None:
    codes = np.array([code for code, _ in questions], np.int64)
    moments = np.array([moment for _, moment in questions], np.int64)
    newest = Newest(codes, moments, known_only=known_only)
    newest.fold(part(held[:cut], 0))
    newest.fold(part(held[cut:], min(cut, len(held))))
    found = newest.answers(lasting=lasting)
    assert found is not None
    assert found.column("row").to_pylist() == [
        naive(held, code, moment, lasting, known_only=known_only) for code, moment in questions
    ]


def test_without_any_part_there_is_no_answer() -> None:
    assert Newest(np.array([0]), np.array([0])).answers() is None


texts = st.none() | st.sampled_from(["1", "11", "1_1", ""])
keys = st.lists(st.tuples(texts, st.none() | st.sampled_from([1, 11, 111])), max_size=8)


@given(frame=keys, others=keys)
def test_entities_are_the_same_only_when_every_part_of_their_key_is(
    frame: list[tuple[str | None, int | None]], others: list[tuple[str | None, int | None]]
) -> None:
    def columns(listed: list[tuple[str | None, int | None]]) -> list[pa.Array]:
        return [pa.array([one[0] for one in listed], pa.string()), pa.array([one[1] for one in listed], pa.int64())]

    known = Keys(columns(frame), len(frame))
    found = known.find(columns(others), len(others))
    for mine, code in zip(frame, known.codes, strict=True):
        for other, other_code in zip(others, found, strict=True):
            assert (code == other_code != NOBODY) == (mine == other and None not in mine)


def test_a_frame_without_keys_is_one_entity() -> None:
    assert Keys([], 3).codes.tolist() == [0, 0, 0]
    assert Keys([], 3).find([], 2).tolist() == [0, 0]
