"""Buckets with more rows than a task should hold are cut by time, and every request lies in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from sluice import Decimal, Key, Label, Pipeline, Stream, Windows, count
from sluice.declare.durations import DAY
from sluice.lake.handing import hand_over
from sluice.lake.pieces import Piece, counted, own, pieces, requests
from sluice.lake.workers import Here

pytestmark = pytest.mark.unit

SALES = Stream("sales", id="sale_id", time="sold_at", columns={"stall": Key(), "price": Decimal()})
BAD = Label("bad", of=SALES, column="bad", known_after="1d")
STALL = Windows("stall", of="stall", over=SALES, features=[count("1d", "2d")])
LATE = Windows("late", of="stall", over=SALES, delay="3d", features=[count("1d")])
SLOTS = Windows("slots", of="stall", over=SALES, edge="slot", slot="1h", features=[count("1d")])
EVER = Windows("ever", of="stall", over=SALES, features=[count("1d", "lifetime")])
FAIR = Pipeline("fair", views=[STALL, LATE, SLOTS, EVER], label=BAD)


@dataclass
class Job:
    folder: Path
    parts: int = 2

    def declared(self) -> Pipeline:
        return FAIR

    def work(self, *names: object) -> str:
        return str(self.folder.joinpath(*map(str, names)))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Ten rows a day apart for stall 7 in bucket 1 of every view, in two files and in no order."""
    made = Job(tmp_path)
    for view in FAIR.windows:
        for kind in ("counted", "requests"):
            for number, days in enumerate(([9, 3, 1, 0, 7], [2, 8, 4, 5, 6])):
                table = pa.table({"key": [7] * 5, "time": [day * DAY for day in days]})
                hand_over(made.work(kind, view.name, 1, f"{number}.arrow"), table)
    return made


def cut(job: Job, view: Windows, most: int) -> list[Piece]:
    counts = [{(view.name, 1): 4}, {(view.name, 1): 6}]
    return [piece for piece in pieces(Here(), job, counts, most) if piece.view == view.name]


def days(table: pa.Table | None) -> list[int]:
    return [] if table is None else sorted(time // DAY for time in table.column("time").to_pylist())


def test_a_bucket_with_more_rows_than_a_task_holds_is_cut_into_spans_of_about_as_many_rows(job: Job) -> None:
    assert cut(job, STALL, 10) == [Piece("stall", 0), Piece("stall", 1)]
    assert cut(job, STALL, 4) == [
        Piece("stall", 0),
        Piece("stall", 1, 0, None, 3 * DAY),
        Piece("stall", 1, 1, 3 * DAY, 6 * DAY),
        Piece("stall", 1, 2, 6 * DAY, None),
    ]


def test_each_request_lies_in_one_piece_and_each_row_is_one_pieces_own(job: Job) -> None:
    found = cut(job, STALL, 4)[1:]
    assert [days(requests(job, piece)) for piece in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert [days(own(piece, counted(job, piece))) for piece in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]


def test_a_piece_reads_as_far_back_as_a_window_reaches(job: Job) -> None:
    assert [view.reach for view in (STALL, LATE, SLOTS)] == [2 * DAY, 4 * DAY, DAY + DAY // 12]
    assert [days(counted(job, piece)) for piece in cut(job, STALL, 5)[1:]] == [[0, 1, 2, 3, 4], [3, 4, 5, 6, 7, 8, 9]]
    assert [days(counted(job, piece))[0] for piece in cut(job, LATE, 5)[1:]] == [0, 1]
    assert [days(counted(job, piece))[0] for piece in cut(job, SLOTS, 5)[1:]] == [0, 4]


def test_a_piece_reads_all_from_a_moment_on_that_is_asked_for(job: Job) -> None:
    last = cut(job, STALL, 4)[-1]
    assert days(counted(job, last, since=2 * DAY)) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert days(counted(job, last, since=8 * DAY)) == [4, 5, 6, 7, 8, 9]


def test_a_view_of_lifetimes_stays_whole(job: Job) -> None:
    assert cut(job, EVER, 2) == [Piece("ever", 0), Piece("ever", 1)]


def test_many_rows_of_one_moment_are_not_cut(tmp_path: Path) -> None:
    job = Job(tmp_path)
    hand_over(job.work("counted", "stall", 1, "0.arrow"), pa.table({"key": [7] * 10, "time": [DAY] * 10}))
    found = cut(job, STALL, 3)[1:]
    assert [days(own(piece, counted(job, piece))) for piece in found] == [[], [1] * 10]


def test_a_bucket_of_nobody_is_a_piece_without_requests(tmp_path: Path) -> None:
    job = Job(tmp_path)
    (first, second) = (piece for piece in pieces(Here(), job, [], 3) if piece.view == "stall")
    assert (first, second) == (Piece("stall", 0), Piece("stall", 1))
    assert requests(job, first) is None
    assert len(counted(job, first)) == 0
