"""What is written down beside figures when they are measured."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.features.provenance import machine, measured, table, write

pytestmark = pytest.mark.unit


def test_what_is_measured_comes_with_commit_time_machine_and_versions() -> None:
    found = measured(lambda folder, pairs: {"pairs": pairs, "empty": list(folder.iterdir())}, 7)

    told = found.pop("measured")
    assert found == {"pairs": 7, "empty": []}
    assert told["commit"]
    assert (told["cores"], told["libraries"]["numpy"]) == (os.cpu_count(), np.__version__)


def test_figures_of_which_only_the_log_is_known_say_so() -> None:
    told = {"commit": "77bfabb, by the log of the file", "date": "2026-11-27T01:10+00:00"}

    assert list(table({"batch": {"measured": told}}))[2] == (
        "| batch | 77bfabb, by the log of the file | 2026-11-27T01:10+00:00 | not written down | not written down |"
    )


def test_a_machine_is_told_as_far_as_it_is_known() -> None:
    assert machine({"cores": 2, "load before": 1.0, "load after": 1.6}) == "2 cores, load 1.0 before and 1.6 after"


def test_raw_numbers_have_a_list_of_numbers_on_one_line(tmp_path: Path) -> None:
    found = {"pairs": [[1.5, 2e-3], [3, -4]], "names": ["a"]}

    write(tmp_path / "raw.json", found)

    text = (tmp_path / "raw.json").read_text()
    assert json.loads(text) == found
    assert "[1.5, 0.002]" in text
