"""Text is wrapped for a terminal, and neither wrapped nor cut for a file."""

from __future__ import annotations

import pytest

from sluice.cli.screen import hanging, show, table

pytestmark = pytest.mark.unit


def test_a_table_that_goes_to_a_file_has_a_line_for_each_row_and_nothing_is_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = table("table", "count", "because", right=("count",))
    shown.add_row("baselines/bike_rentals_of_the_north", "1,234", "kept " * 40 + "60d")
    shown.add_row("silver/x", "5", "")
    show(shown)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        "baselines/bike_rentals_of_the_north  1,234  " + "kept " * 40 + "60d",
        "silver/x                                 5",
    ]


def test_words_are_whole_however_narrow_the_terminal_is() -> None:
    assert list(hanging("  gate  ", "a b transactions_of_the_northern_district c", 20)) == [
        "  gate  a b",
        "        transactions_of_the_northern_district",
        "        c",
    ]
    assert list(hanging("  gate  ", "", 20)) == ["  gate"]
