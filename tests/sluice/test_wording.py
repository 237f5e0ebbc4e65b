"""Counts, lists and commands in words."""

from __future__ import annotations

import pytest

from sluice import wording

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (wording.counted(1, "event"), "1 event"),
        (wording.counted(12_034, "event"), "12,034 events"),
        (wording.counted(2, "batch", "batches"), "2 batches"),
        (wording.listed([]), ""),
        (wording.listed(["a"]), "a"),
        (wording.listed(["a", "b"]), "a and b"),
        (wording.listed(["a", "b", "c"]), "a, b and c"),
        (wording.command("ingest", "my file.py", "--batch", "b"), "sluice ingest 'my file.py' --batch b"),
    ],
)
def test_counts_lists_and_commands_read_as_people_say_them(shown: str, words: str) -> None:
    assert shown == words
