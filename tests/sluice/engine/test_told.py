"""Labels that are told more than once cost what any loop over whole numbers does."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from sluice import Flag, ForeignKey, Key, Label, Stream, Windows, count
from sluice.engine.facts import encoded_schema
from sluice.engine.told import changes_of
from tests.sluice.engine.worlds import START

pytestmark = pytest.mark.unit

SALES = Stream("sales", id="sale", time="at", columns={"card": Key()})
CLAIMS = Stream("claims", id="claim", time="at", columns={"sale": ForeignKey(SALES), "bad": Flag()})
BAD = Label("bad", of=SALES, told_by=CLAIMS, absent=0, after="1d")
VIEW = Windows("card", of="card", over=BAD, delay="1d", features=[count("7d")])
NUMBERS = np.arange(20_000)


def claims(revision: int) -> pa.Table:
    """A claim about each sale, known a microsecond after the one before it; odd revisions say that it was bad."""
    zeros = np.zeros(len(NUMBERS), np.int64)
    said = {"_id": NUMBERS, "_time": NUMBERS + START, "_known": NUMBERS + START + revision, "_hash": NUMBERS}
    said |= {"_revision": zeros + revision, "sale": NUMBERS, "bad": zeros + revision % 2}
    columns = [
        pa.nulls(len(zeros), field.type) if field.name == "_watermark" else pa.array(said.get(field.name, zeros))
        for field in encoded_schema(CLAIMS)
    ]
    return pa.table(columns, [field.name for field in encoded_schema(CLAIMS)]).cast(encoded_schema(CLAIMS))


def seconds(told: pa.Table) -> float:
    about = pa.table({"_id": NUMBERS, "_time": NUMBERS + START})
    spent = []
    for _ in range(4):
        begun = time.process_time()
        changes_of(VIEW, BAD, about, told, 10**12)
        spent.append(time.process_time() - begun)
    return min(spent)


def test_labels_that_are_all_corrected_cost_a_few_times_what_those_told_once_do() -> None:
    assert seconds(pa.concat_tables([claims(1), claims(2)])) < 25 * seconds(claims(1))


def test_what_a_correction_adds_is_what_changes() -> None:
    about = pa.table({"_id": NUMBERS[:2], "_time": NUMBERS[:2] + START})
    told = pa.concat_tables([claims(1).slice(0, 2), claims(2).slice(0, 1)])
    place, known, weight, value = changes_of(VIEW, BAD, about, told, 10**12)
    found = sorted(zip(place.tolist(), (known - START).tolist(), weight.tolist(), value.tolist(), strict=True))
    day = 86_400_000_000
    assert found == [
        (0, 1, 0, 1),  # the first claim is that sale 0 was bad, the second that it was not
        (0, 2, 0, -1),
        (0, day, 1, 0),
        (1, 2, 0, 1),
        (1, day + 1, 1, 0),
    ]
