"""One clock for all processes: it never goes back, and no reader sees half of a move."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.clock import FileClock, HandClock, WallClock, from_datetime, open_clock, rfc3339, to_datetime, to_second
from sluice.errors import SettingsError

pytestmark = pytest.mark.unit


@given(st.lists(st.integers(0, 2**53), min_size=1))
def test_a_clock_stands_at_the_latest_instant_it_was_moved_to(instants: list[int]) -> None:
    clock = HandClock()
    for instant in instants:
        clock.move_to(instant)

    assert clock.now() == max(instants)


def test_a_shared_clock_never_goes_back(tmp_path: Path) -> None:
    clock = FileClock(tmp_path / "deep" / "clock")
    clock.move_to(7)
    clock.move_to(5)

    assert FileClock(tmp_path / "deep" / "clock").now() == 7


def test_a_clock_that_nobody_set_says_who_sets_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has not been set") as raised:
        FileClock(tmp_path / "clock").now()

    assert str(tmp_path / "clock") in str(raised.value)
    assert "SLUICE_CLOCK=wall" in str(raised.value)


def test_a_file_that_is_no_clock_is_named(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("noon")

    with pytest.raises(SettingsError, match="no number of microseconds"):
        FileClock(tmp_path / "clock").now()


def _instants(seed: int, top: int) -> list[int]:
    chance = random.Random(seed)
    return [chance.randrange(top) for _ in range(150)]


def _move(path: Path, seed: int, top: int) -> None:
    clock = FileClock(path)
    for instant in _instants(seed, top):
        clock.move_to(instant)


def _read(path: Path, found: multiprocessing.Queue[list[int]]) -> None:
    clock = FileClock(path)
    found.put([clock.now() for _ in range(1_500)])


def test_readers_see_whole_instants_in_order_while_several_drivers_move_the_clock(tmp_path: Path) -> None:
    path, top = tmp_path / "clock", 10**15
    FileClock(path).move_to(1)
    spawn = multiprocessing.get_context("fork")
    found = spawn.Queue()
    drivers = [spawn.Process(target=_move, args=(path, seed, top)) for seed in range(3)]
    reader = spawn.Process(target=_read, args=(path, found))
    for process in (*drivers, reader):
        process.start()
    seen = found.get(timeout=60)
    for process in (*drivers, reader):
        process.join()

    assert seen == sorted(seen)
    assert FileClock(path).now() == max(max(_instants(seed, top)) for seed in range(3))


def test_the_wall_clock_is_the_machines() -> None:
    before = time.time_ns() // 1_000

    assert before <= WallClock().now() <= time.time_ns() // 1_000


def test_a_clock_is_opened_by_its_uri(tmp_path: Path) -> None:
    path = tmp_path / "a b é%41"
    FileClock(path).move_to(12)

    opened = open_clock(path.as_uri())

    assert opened.now() == 12
    assert isinstance(open_clock("wall"), WallClock)


@pytest.mark.parametrize("uri", ["", "Wall", "redis://h/0", "/var/clock", "file://", "file:///", "file://host/clock"])
def test_another_clock_is_refused_with_those_there_are(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"allowed: wall, file:///path"):
        open_clock(uri)


@given(st.integers(-(2**55), 2**56))
def test_instants_are_exact(instant: int) -> None:
    assert from_datetime(to_datetime(instant)) == instant


def test_a_naive_datetime_is_utc() -> None:
    assert from_datetime(dt.datetime(2026, 1, 31, 12)) == 1_769_860_800_000_000  # noqa: DTZ001 that is the point
    assert from_datetime(dt.datetime.fromisoformat("2026-01-31T13:00:00+01:00")) == 1_769_860_800_000_000


@pytest.mark.parametrize(
    ("instant", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1_769_860_800_000_000, "2026-01-31T12:00:00Z"), (1, "1970-01-01T00:00:00.000001Z")],
)
def test_times_are_told_in_rfc_3339(instant: int, text: str) -> None:
    assert rfc3339(instant) == text


def test_people_are_told_the_second_that_an_instant_is_in() -> None:
    assert to_second(1_767_264_000_999_999) == "2026-01-01T10:40:00Z"
