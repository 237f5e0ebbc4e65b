"""Every row store keeps the newest row of an entity, whatever the order and the batches that rows are written in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.errors import Outage, SettingsError
from sluice.feast.plain.places import open_rows
from sluice.feast.plain.rows import MemoryRows, Row, RowStore
from sluice.feast.plain.sqlite_rows import SqliteRows
from tests.properties import examples
from tests.redis_server import RedisServer

Open = Callable[[], RowStore]
HOUR = 3_600_000_000
STORES = [
    pytest.param("memory", marks=pytest.mark.unit),
    pytest.param("sqlite", marks=pytest.mark.unit),
    pytest.param("redis", marks=pytest.mark.integration),
]


@pytest.fixture(params=STORES)
def rows(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RowStore]:
    if request.param == "memory":
        store: RowStore = MemoryRows()
    elif request.param == "sqlite":
        store = open_rows(f"sqlite:///{tmp_path}", "shop")
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        store = open_rows(server.url, "shop")
    yield store
    store.close()


def row(time: int, values: bytes = b"v", *, key: bytes = b"k", created: int | None = None) -> Row:
    return Row(key, time, created, values)


def held(rows: RowStore, view: str = "view", key: bytes = b"k") -> Row | None:
    return rows.read([(view, [key])])[0][0]


def test_what_was_written_is_read_whole_and_what_was_not_is_none(rows: RowStore) -> None:
    written = [row(1, b"\x00\xff", key=b"a"), row(-5, b"", key=b"\x00*?[", created=7)]
    rows.write("view", written, at=0)
    assert rows.read([("view", [b"\x00*?[", b"nobody", b"a", b"a"]), ("other", [b"a"])]) == [
        [written[1], None, written[0], written[0]],
        [None],
    ]


def test_the_newest_event_time_stands_whatever_is_written_last(rows: RowStore) -> None:
    rows.write("view", [row(3, b"new")], at=0)
    rows.write("view", [row(2, b"old")], at=0)
    assert held(rows) == row(3, b"new")


def test_the_newest_of_a_batch_stands_whatever_its_order(rows: RowStore) -> None:
    rows.write("view", [row(3, b"new"), row(2, b"old")], at=0)
    assert held(rows) == row(3, b"new")


def test_two_rows_a_microsecond_apart_are_told_apart(rows: RowStore) -> None:
    now = 1_767_225_600_000_001
    rows.write("view", [row(now, b"new"), row(now - 1, b"old")], at=0)
    assert held(rows) == row(now, b"new")


def test_of_one_event_time_the_newest_creation_stands_and_none_is_oldest(rows: RowStore) -> None:
    rows.write("view", [row(1, b"late", created=9), row(1, b"early", created=-8), row(1, b"never")], at=0)
    assert held(rows) == row(1, b"late", created=9)


def test_of_equals_the_one_written_later_stands(rows: RowStore) -> None:
    rows.write("view", [row(1, b"first", created=2), row(1, b"second", created=2)], at=0)
    assert held(rows) == row(1, b"second", created=2)
    rows.write("view", [row(1, b"third", created=2)], at=0)
    assert held(rows) == row(1, b"third", created=2)


def test_views_are_apart_even_when_one_name_begins_another(rows: RowStore) -> None:
    views = ("a", "a:b", "a*", "a_b", "aa", "ab@v1")
    for view in views:
        rows.write(view, [row(1, view.encode())], at=0)
    rows.drop(["a", "a*"])
    assert [view for view in views if held(rows, view) == row(1, view.encode())] == ["a:b", "a_b", "aa", "ab@v1"]


def test_a_view_takes_its_versions_along(rows: RowStore) -> None:
    for view in ("a", "a@v0", "a@v12"):
        rows.write(view, [row(1, view.encode())], at=0)
    assert held(rows, "a@v12") == row(1, b"a@v12")
    rows.drop(["a"])
    assert [held(rows, view) for view in ("a", "a@v0", "a@v12")] == [None, None, None]


def test_everything_can_be_dropped(rows: RowStore) -> None:
    rows.write("a", [row(1, key=str(number).encode()) for number in range(2_500)], at=0)
    rows.write("b", [row(1)], at=0)
    rows.drop(None)
    assert rows.read([("a", [b"1", b"2499"]), ("b", [b"k"])]) == [[None, None], [None]]


def test_many_rows_are_written_and_read_at_once(rows: RowStore) -> None:
    written = [row(number, key=str(number).encode()) for number in range(2_500)]
    rows.write("view", written, at=0)
    assert rows.read([("view", [one.key for one in written])]) == [written]


def test_nothing_is_asked_and_nothing_written(rows: RowStore) -> None:
    rows.write("view", [], at=0)
    assert rows.read([]) == []
    assert rows.read([("view", []), ("other", [])]) == [[], []]


def test_a_row_stays_while_it_may_not_be_forgotten_yet(rows: RowStore) -> None:
    now = time.time_ns() // 1_000
    rows.write("view", [row(now - 100 * HOUR, b"old", key=b"o"), row(now, b"new", key=b"n")], at=now, lasting=HOUR)
    rows.write("view", [row(now, key=b"another")], at=now + 2 * HOUR - 1, lasting=HOUR)
    assert rows.read([("view", [b"o", b"n"])]) == [
        [row(now - 100 * HOUR, b"old", key=b"o"), row(now, b"new", key=b"n")]
    ]


@pytest.mark.unit
def test_a_file_forgets_at_a_later_write(tmp_path: Path) -> None:
    rows = SqliteRows(tmp_path / "rows.db")
    rows.write("view", [row(5 * HOUR)], at=0, lasting=HOUR)
    rows.write("view", [row(0, key=b"other")], at=7 * HOUR)
    assert held(rows) == row(5 * HOUR)
    rows.write("view", [row(0, key=b"other")], at=7 * HOUR + 1)
    assert held(rows) is None
    rows.close()


@pytest.mark.integration
def test_redis_forgets_by_itself(redis_server: RedisServer) -> None:
    rows = open_rows(redis_server.url, "shop")
    now = time.time_ns() // 1_000
    rows.write("view", [row(now)], at=now, lasting=50_000)
    assert held(rows) == row(now)
    time.sleep(0.2)
    assert held(rows) is None
    rows.close()


@pytest.mark.unit
def test_a_file_is_shared_by_processes(tmp_path: Path) -> None:
    one, other = SqliteRows(tmp_path / "rows.db"), SqliteRows(tmp_path / "rows.db")
    one.write("view", [row(2, b"new")], at=0)
    other.write("view", [row(1, b"old")], at=0)
    assert held(other) == held(one) == row(2, b"new")
    one.close()
    other.close()


@pytest.mark.unit
def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    rows = open_rows("redis://:secret@127.0.0.1:1/0", "shop")
    with pytest.raises(Outage, match=r"redis://127\.0\.0\.1:1/0(?s:.*)sluice up redis") as raised:
        held(rows)
    assert "secret" not in str(raised.value)


@pytest.mark.unit
def test_a_place_that_no_store_speaks_is_refused() -> None:
    with pytest.raises(SettingsError, match="no online store speaks 'carrier-pigeon'"):
        open_rows("carrier-pigeon://roof", "shop")


moments = st.integers(-(10**17), 10**17) | st.integers(0, 3)
written = st.builds(Row, st.sampled_from([b"a", b"b", b""]), moments, st.none() | moments, st.binary(max_size=3))


@pytest.mark.parametrize("kind", STORES)
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(st.sampled_from(["x", "y"]), st.lists(written, max_size=6)), max_size=5))
def test_a_store_holds_what_the_greatest_rank_says(
    kind: str,
    batches: list[tuple[str, list[Row]]],
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if kind == "memory":
        rows: RowStore = MemoryRows()
    elif kind == "sqlite":
        rows = SqliteRows(tmp_path_factory.mktemp("rows") / "rows.db")
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        rows = open_rows(server.url, "shop")
        rows.drop(None)
    for view, batch in batches:
        rows.write(view, batch, at=0)
    for view in ("x", "y"):
        for key in (b"a", b"b", b""):
            mine = [one for where, batch in batches if where == view for one in batch if one.key == key]
            ranked = [(one.time, -math.inf if one.created is None else one.created, n) for n, one in enumerate(mine)]
            assert held(rows, view, key) == (mine[max(ranked)[-1]] if ranked else None)
    rows.close()
