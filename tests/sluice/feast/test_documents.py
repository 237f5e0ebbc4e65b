"""The page on Feast says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sluice.feast.conftest import World

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs" / "feast.md"


def test_the_examples_run_one_after_the_other(worlds: dict[str, World], monkeypatch: pytest.MonkeyPatch) -> None:
    from sluice.declare.loading import load_pipeline
    from sluice.feast.registry import apply

    apply(load_pipeline("handbook"))
    monkeypatch.chdir(PAGE.parents[1])
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(examples) == 7
    session: dict[str, object] = {}
    for example in examples:
        exec(compile(example, PAGE.name, "exec"), session)  # noqa: S102 - our own documentation
