"""The pages on serving and rolling out say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from serve.requests import MOST_BYTES, MOST_EVENTS
from serve.rollout import LEAST_CORRELATION
from serve.rollout_evidence import SAME
from serve.schema import RefusedField

pytestmark = pytest.mark.unit

DOCS = Path(__file__).parents[2] / "docs"


def test_the_examples_run() -> None:
    examples = re.findall(r"```python\n(.*?)```", (DOCS / "rollout.md").read_text(), flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "rollout.md", "exec"), {})  # noqa: S102 - our own documentation


@pytest.mark.parametrize("page", ["rollout.md", "serving.md"])
def test_examples_that_need_a_service_can_be_compiled(page: str) -> None:
    for example in re.findall(r"```python no-run\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL):
        compile(example, page, "exec")


def test_every_rule_is_explained() -> None:
    page = (DOCS / "serving.md").read_text()
    rules = set(get_args(RefusedField.model_fields["rule"].annotation))
    assert {rule for rule in rules if f"`{rule}`" in page} == rules


def test_the_numbers_are_those_of_the_code() -> None:
    serving, rollout = ((DOCS / page).read_text() for page in ("serving.md", "rollout.md"))
    assert f"1,000 events ({MOST_BYTES // 1_000_000} MB)" in serving.replace("\n", " ")
    assert MOST_EVENTS == 1_000
    assert f"correlation with the champion below {LEAST_CORRELATION}" in rollout
    assert f"up to {SAME}" in rollout
