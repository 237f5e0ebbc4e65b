from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import Change, Position
from sluice.errors import Outage
from tests.sluice.engine.test_store import FACT, P

pytestmark = pytest.mark.unit


def test_everything_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "deep" / "online.db")
    first.load(4, [], [])
    first.apply(Change([FACT], [("v", 5, b"h")], [("v", 5, 60, b"c")], {P: None}, {P: Position(1, 2)}))
    first.close()
    again = SqliteStore(tmp_path / "deep" / "online.db")
    reading = again.read([("v", 5)], lambda _: [("v", 5, 60)])
    assert (reading.heads, reading.chunks) == ([b"h"], {("v", 5, 60): b"c"})
    assert (reading.knowledge.base, reading.knowledge.positions) == (4, {P: Position(1, 2)})
    assert again.facts([1]) == [FACT]
    again.close()


def test_whatever_breaks_in_the_middle_of_a_batch_leaves_nothing_of_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "online.db")
    broken = FACT._replace(id=2, anchor=2, time=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.apply(Change([FACT, broken], [], [], {P: None}, {P: Position(1, None)}))
    assert store.facts([1]) == []
    assert store.read([]).knowledge.positions == {}
    store.apply(Change([FACT], [], [], {P: None}, {P: Position(1, None)}))
    assert store.facts([1]) == [FACT]
    store.close()


def test_a_reader_elsewhere_never_sees_tiles_and_positions_of_different_batches(tmp_path: Path) -> None:
    writer = SqliteStore(tmp_path / "online.db")
    reader = SqliteStore(tmp_path / "online.db", read_only=True)
    seen: list[tuple[int, list[bytes]]] = []
    done = threading.Event()

    def write() -> None:
        for number in range(300):
            mark = str(number + 1).encode()
            heads, chunks = [("v", key, mark) for key in range(5)], [("v", key, 0, mark) for key in range(5)]
            writer.apply(Change([], heads, chunks, {P: number or None}, {P: Position(number + 1, None)}))
        done.set()

    writing = threading.Thread(target=write)
    writing.start()
    while not done.is_set():
        names = [("v", key) for key in range(5)]
        reading = reader.read(names, lambda heads: [("v", key, 0) for key in range(5)] if heads[0] else [])
        if reading.knowledge.positions:
            marks = [*(head or b"" for head in reading.heads), *reading.chunks.values()]
            seen.append((reading.knowledge.positions[P].offset, marks))
    writing.join()
    assert seen
    assert [marks for _, marks in seen] == [[str(offset).encode()] * 10 for offset, _ in seen]
    reader.close()
    writer.close()


def test_a_reader_cannot_write_and_says_when_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(
        Outage, match=r"nothing\.db: the online store is not there yet\n  next: run the flow `features`"
    ):
        SqliteStore(tmp_path / "nothing.db", read_only=True)
    SqliteStore(tmp_path / "online.db").close()
    reader = SqliteStore(tmp_path / "online.db", read_only=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.apply(Change([FACT]))
    reader.close()


@pytest.mark.parametrize("number", [0, 2])
def test_a_file_of_another_format_is_refused_and_not_misread(tmp_path: Path, number: int) -> None:
    other = sqlite3.connect(tmp_path / "online.db")
    other.execute("CREATE TABLE tiles (view TEXT)")
    other.execute(f"PRAGMA user_version = {number}")
    other.close()
    said = rf"format {number}, and this version reads 3\n  next: remove the file, and run the flow"
    with pytest.raises(Outage, match=said):
        SqliteStore(tmp_path / "online.db")
