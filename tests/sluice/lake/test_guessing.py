"""A guess from a file's rows declares each column as the narrowest kind that takes every value."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import DataError, UserError
from sluice.lake.guessing import Guess, guess, plain

pytestmark = pytest.mark.unit

TIME = "2026-01-01T10:0{}:00Z"


def written(folder: Path, columns: dict[str, list[str]]) -> Path:
    path = folder / "events.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(columns)
        out.writerows(zip(*columns.values(), strict=True))
    return path


def guessed(folder: Path, how: dict[str, str] | None = None, **columns: list[str]) -> Guess:
    return guess(written(folder, columns), **(how or {}))


def of(folder: Path, values: list[str], name: str = "x") -> str | None:
    """How a column of these values is declared."""
    own = {
        "n": [str(number) for number in range(len(values))],
        "at": [TIME.format(number) for number in range(len(values))],
    }
    return guessed(folder, {"identity": "n"}, **own, **{name: values}).columns.get(name)


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (["12", "7", "5"], "Integer(min=0, max=1_000)"),
        (["12", "-7", "5"], "Integer(min=-1_000, max=1_000)"),
        (["12", "", "5"], "Integer(min=0, max=1_000, nullable=True)"),
        (["12.5", "7", "5.25"], "Decimal(scale=2, min=0, max=1_000)"),
        (["0.00001", "7", "1"], "Decimal(scale=5, min=0, max=100)"),
        (["1e3", "7.5", "1"], "Decimal(scale=1, min=0, max=100_000)"),
        (["9007199254740990", "1", "2"], "Integer(min=0, max=9_007_199_254_740_991)"),
        (["true", "false", "true"], "Flag()"),
        (["0", "1", ""], "Flag(nullable=True)"),
        (["pos", "online", ""], "Category(nullable=True)"),
        (["", "", ""], "Category(nullable=True)"),
        (["NaN", "1.5", "2"], "Category()"),
    ],
)
def test_a_column_is_the_narrowest_kind_that_takes_all_values(tmp_path: Path, values: list[str], declared: str) -> None:
    assert of(tmp_path, values) == declared


@pytest.mark.parametrize(("values", "declared"), [(["7", "7", "8"], "Key()"), (["c7", "c7", ""], 'Key("text")')])
def test_an_id_that_repeats_names_something_with_several_events(
    tmp_path: Path, values: list[str], declared: str
) -> None:
    assert of(tmp_path, values, "CustomerId") == declared


def test_the_id_is_what_is_another_in_every_row_and_best_is_called_so(tmp_path: Path) -> None:
    found = guessed(tmp_path, amount=["1", "2"], payment_id=["a", "b"], at=[TIME.format(1), TIME.format(1)])
    assert (found.id, found.id_type, found.time, found.key, found.rows) == ("payment_id", "text", "at", None, 2)


def test_a_label_is_a_flag_that_is_called_like_one(tmp_path: Path) -> None:
    own = {"n": ["1", "2"], "at": [TIME.format(1), TIME.format(2)]}
    assert guessed(tmp_path, **own, is_fraud=["0", "1"], paid=["0", "1"]).label == "is_fraud"
    assert guessed(tmp_path, **own, paid=["0", "1"]).label is None
    assert guessed(tmp_path, {"label": "paid"}, **own, paid=["0", "1"]).label == "paid"


def test_what_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--time: no column has a time\n.*allowed: n, x\n.*next: name one: --time"):
        guessed(tmp_path, n=["1", "2"], x=["a", "a"])
    with pytest.raises(UserError, match="--id: no column has another value in every row"):
        guessed(tmp_path, at=[TIME.format(1), TIME.format(2)], x=["a", "a"])
    with pytest.raises(UserError, match="--label: unknown column 'fruad'"):
        guessed(tmp_path, {"label": "fruad"}, n=["1", "2"], at=[TIME.format(1), TIME.format(2)], fraud=["0", "1"])
    with pytest.raises(DataError, match="there is no row to guess from"):
        guessed(tmp_path, n=[], at=[])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TX_AMOUNT", "tx_amount"),
        ("PaymentId", "payment_id"),
        ("Größe (cm)", "gr_e_cm"),
        ("2nd", "column_2nd"),
        ("%", "column"),
    ],
)
def test_a_name_is_one_that_a_declaration_may_have(name: str, said: str) -> None:
    assert plain(name) == said


VALUES = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.decimals(-1_000, 1_000, places=2).map(str),
    st.sampled_from(["", "true", "false", "0", "1", "NaN", "1e5", "x", " 7 ", "2026-01-01"]),
)


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_every_column_of_texts_is_declared_somehow(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    declared: Any = of(tmp_path_factory.mktemp("guess"), values)
    assert declared.partition("(")[0] in {"Integer", "Decimal", "Flag", "Category"}
