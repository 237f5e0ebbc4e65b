"""What a level holds, and how many examples its properties are tried on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import pytest_collection_modifyitems, pytest_ignore_collect
from tests.properties import examples

pytestmark = pytest.mark.unit


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "test_orders.py"
    path.write_text("@pytest.mark.unit\n@pytest.mark.soak\n")
    return path


def config(expression: str) -> Any:
    return SimpleNamespace(option=SimpleNamespace(markexpr=expression))


def item(path: Path, *marks: str) -> Any:
    return SimpleNamespace(nodeid="orders", path=path, get_closest_marker=lambda name: name in marks)


@pytest.mark.parametrize(
    ("expression", "unread"),
    [("unit", None), ("soak", None), ("scenario", True), ("not soak", None), ("scenario or soak", None), ("", None)],
)
def test_a_file_stays_unread_when_one_level_is_asked_for_and_it_has_none_of_it(
    written: Path, expression: str, unread: bool | None
) -> None:
    assert pytest_ignore_collect(written, config(expression)) is unread


def test_folders_and_files_beside_the_tests_are_never_left_out(tmp_path: Path) -> None:
    beside = tmp_path / "conftest.py"
    beside.touch()

    assert [pytest_ignore_collect(path, config("unit")) for path in (tmp_path, beside)] == [None, None]


@pytest.mark.parametrize("marks", [(), ("unit", "soak")])
def test_a_test_has_one_level(written: Path, marks: tuple[str, ...]) -> None:
    with pytest.raises(pytest.UsageError, match="orders needs exactly one of the marks"):
        pytest_collection_modifyitems([item(written, *marks)])


def test_a_level_that_the_file_does_not_name_is_refused_for_it_would_not_be_seen(written: Path) -> None:
    with pytest.raises(pytest.UsageError, match="orders needs its mark in its own file"):
        pytest_collection_modifyitems([item(written, "scenario")])


def test_fast_levels_come_first(written: Path) -> None:
    slow, fast = item(written, "soak"), item(written, "unit")
    items = [slow, fast]

    pytest_collection_modifyitems(items)

    assert items == [fast, slow]


@pytest.mark.parametrize(("profile", "plain", "of_fifty", "of_three"), [("quick", 10, 5, 1), ("full", 100, 50, 3)])
def test_a_property_is_tried_on_its_profiles_share_of_examples(
    profile: str, plain: int, of_fifty: int, of_three: int
) -> None:
    chosen = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        assert [tried(None), tried(50), tried(3)] == [plain, of_fifty, of_three]
    finally:
        settings.load_profile(chosen)


def tried(full: int | None) -> int:
    """On how many examples a property runs that says so many, or nothing."""
    seen: list[int] = []

    @settings(settings() if full is None else settings(max_examples=examples(full)), database=None)
    @given(st.integers())
    def holds(number: int) -> None:
        seen.append(number)

    holds()
    return len(seen)
