"""The pages on watching and deciding say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sluice.declare.precedence import PRECEDENCE
from sluice.monitor.drift.choice import DETECTORS

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("page", ["drift.md", "retraining.md"])
def test_the_examples_run(page: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), {})  # noqa: S102 - our own documentation


def test_the_table_of_rules_is_in_the_order_in_which_they_speak() -> None:
    listed = re.findall(r"^\| \d+ \| `(\w+)`", (DOCS / "retraining.md").read_text(), flags=re.MULTILINE)
    assert listed == [rule.__name__.removeprefix("_") for rule in PRECEDENCE]


def test_every_detector_a_setting_can_name_is_explained() -> None:
    pages = (DOCS / "drift.md").read_text() + (DOCS / "decisions" / "0003-detectors.md").read_text()
    for name in set(DETECTORS) - {"clock"}:
        assert f"`{name}`" in pages
    assert "`ClockOnly`" in pages
