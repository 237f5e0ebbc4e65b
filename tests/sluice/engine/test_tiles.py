from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import SLOTS, Windows
from sluice.engine.build import build, stored_tiles
from sluice.engine.changes import table_rows
from sluice.engine.history import keep, rows
from sluice.engine.layout import FLAGS, PRESENT, TIME, VALUES, width
from sluice.engine.tiles import Rows, divided, id_word, in_order, lay_out, read_chunk, read_head
from tests.sluice.engine.folding import batches_of, fold_all
from tests.sluice.engine.pipelines import ALL, clinic, shop
from tests.sluice.engine.stores import Opened, contents, every_store
from tests.sluice.engine.worlds import several, tables, worlds

unit = pytest.mark.unit
on_every_store = every_store(pytest.mark.unit, server=pytest.mark.integration)
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
TILL, PATIENT = shop().view("till"), clinic().view("patient")


@pipelines
@on_every_store
@several
@given(data=st.data())
def test_backfilled_tiles_are_the_bytes_that_the_fold_writes(
    pipeline: Pipeline, opened: Opened, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    events = tables(pipeline, world.versions)
    built = [
        tile
        for view in pipeline.windows
        for tile in stored_tiles(view.name, build(view, rows(view, events, kept=keep(pipeline))))
    ]
    with opened() as store:
        fold_all(pipeline, store, data.draw(batches_of(world.versions)))
        found = contents(store)
        assert found.heads == {(view, key): body for view, key, start, body in built if start is None}
        assert found.chunks == {(view, key, start): body for view, key, start, body in built if start is not None}


@unit
@pipelines
@several
@given(data=st.data())
def test_an_entity_is_laid_out_the_same_whatever_order_its_rows_come_in(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    view = data.draw(st.sampled_from(pipeline.windows))
    found = rows(view, tables(pipeline, data.draw(worlds(pipeline)).versions), kept=keep(pipeline))
    shuffled = found.take(pa.array(data.draw(st.permutations(range(len(found)))), pa.int64()))
    one, other = (lay_out(view, in_order(table_rows(view, table))) for table in (found, shuffled))
    assert one == other


@unit
@pipelines
@several
@given(data=st.data())
def test_the_rows_of_an_entity_come_back_from_its_head_and_chunks(pipeline: Pipeline, data: st.DataObject) -> None:
    view = data.draw(st.sampled_from(pipeline.windows))
    found = rows(view, tables(pipeline, data.draw(worlds(pipeline)).versions), kept=keep(pipeline))
    before = in_order(table_rows(view, found))
    laid = lay_out(view, before)
    head = read_head(view, laid.head)
    parts = (
        [head.rows]
        if head.rows is not None
        else [read_chunk(view, laid.chunks[at]) for at in head.leaves.starts.tolist()]
    )
    assert np.concatenate([part.matrix for part in parts]).tolist() == before.matrix.tolist()
    assert before.ids is None or [text for part in parts for text in part.ids] == before.ids
    assert (head.rows is None) == (len(before.matrix) > view.leaf)


def minutes(view: Windows, *times: int) -> Rows:
    matrix = np.zeros((len(times), width(view)), np.int64)
    matrix[:, TIME] = [time * MINUTE for time in times]
    matrix[:, FLAGS] = PRESENT
    return Rows(matrix, None)


@unit
def test_a_slot_with_too_many_rows_is_divided_until_few_are_left_or_it_is_the_shortest() -> None:
    view = shop().view("customer")  # two rows together
    found = divided(view, minutes(view, 0, 1, 1, 1, 4, 9, 59, 60, 200, 400, 24 * 60), 0)
    assert [(leaf.start // MINUTE, leaf.span // MINUTE, leaf.size) for leaf in found] == [
        (0, 1, 1),
        (1, 1, 3),
        (4, 1, 1),
        (5, 5, 1),
        (45, 15, 1),
        (60, 60, 1),
        (180, 180, 1),
        (360, 360, 1),
        (24 * 60, 24 * 60, 1),
    ]


@unit
def test_the_longest_slot_reaches_as_far_as_the_longest_window_and_a_day_at_least() -> None:
    assert TILL.slots == (DAY, 6 * HOUR, 3 * HOUR, HOUR, 15 * MINUTE, 5 * MINUTE, MINUTE)
    assert [slot // DAY for slot in SLOTS[:6]] == [512, 128, 32, 8, 2, 1]


@unit
def test_a_slot_is_a_whole_number_of_the_next_ones_and_of_five_at_most() -> None:
    """So an entity whose events come steadily has tiles of a hundred at least, and few of them."""
    assert all(longer % shorter == 0 for longer, shorter in pairwise(SLOTS))
    assert max(longer // shorter for longer, shorter in pairwise(SLOTS)) == 5


@unit
def test_a_row_has_a_word_for_each_column_and_a_labels_two_more() -> None:
    pipeline = shop()
    assert width(pipeline.view("customer")) == VALUES + len(["amount", "items", "gift"])
    assert width(pipeline.view("risk")) == VALUES + len(["is_bad"]) + 2


@unit
def test_no_rows_give_no_tiles() -> None:
    assert len(build(TILL, rows(TILL, tables(shop(), []), kept=0))) == 0
    assert lay_out(TILL, minutes(TILL)).head is None


@unit
@given(st.lists(st.text(), min_size=2))
def test_words_of_texts_are_never_in_another_order_than_the_texts(texts: list[str]) -> None:
    listed = sorted(texts, key=str.encode)
    assert [id_word(text) for text in listed] == sorted(id_word(text) for text in listed)


@unit
def test_text_ids_that_begin_alike_keep_their_order() -> None:
    texts = ["eight bytes b", "eight bytes a", "eight bytes"]
    matrix = np.zeros((3, width(PATIENT)), np.int64)
    matrix[:, 1] = [id_word(text) for text in texts]
    assert in_order(Rows(matrix, texts)).ids == ["eight bytes", "eight bytes a", "eight bytes b"]
