from __future__ import annotations

import pytest

from sluice.declare.checks import distinct, named, one_of
from tests.sluice.declare.examples import refusal

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["a", "customer_id", "w7d"])
def test_a_name_is_one_that_every_engine_accepts(name: str) -> None:
    assert named(name, where="x") == name


@pytest.mark.parametrize("name", ["", "A", "7d", "_a", "a__b", "a-b", "é", "a b", 7, None])
def test_any_other_is_refused(name: str) -> None:
    assert refusal(lambda: named(name, where="x")) == (
        f"x: {name!r} cannot be a name\n  allowed: lower case letters, digits and single underscores, a letter first"
    )


def test_the_nearest_allowed_value_is_offered() -> None:
    assert one_of("a", ["b", "a"], where="x") == "a"
    assert refusal(lambda: one_of("amonut", ["count", "amount"], where="x", kind="column")) == (
        "x: unknown column 'amonut'\n  allowed: amount, count\n  next: did you mean 'amount'?"
    )
    assert refusal(lambda: one_of("zzz", ["amount"], where="x")) == "x: unknown value 'zzz'\n  allowed: amount"


def test_what_is_there_twice_is_named() -> None:
    distinct(["a", "b"], where="x", kind="view")
    assert refusal(lambda: distinct(["b", "a", "b", "a", "c"], where="x", kind="view")) == (
        "x: view 'a', 'b' is declared twice\n  allowed: each once\n  next: give one another name"
    )
