"""A guess from a file's rows declares each column as the narrowest kind that takes every value."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import DataError, UserError
from sluice.lake.guessing import Asked, Guess, free, guess, plain

pytestmark = pytest.mark.unit

TIME = "2026-01-01T10:0{}:00Z"


def written(folder: Path, columns: dict[str, list[str]]) -> Path:
    path = folder / "events.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(columns)
        out.writerows(zip(*columns.values(), strict=True))
    return path


def guessed(folder: Path, how: dict[str, Any] | None = None, **columns: list[str]) -> Guess:
    return guess(written(folder, columns), Asked(**(how or {})))


def events(count: int) -> dict[str, list[str]]:
    """Ids and times of so many events."""
    own = [str(number) for number in range(count)]
    return {"n": own, "at": [TIME.format(number) for number in range(count)]}


def of(folder: Path, values: list[str], name: str = "x") -> str | None:
    """How a column of these values is declared."""
    return guessed(folder, {"identity": "n"}, **events(len(values)), **{name: values}).columns.get(name)


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (["12", "7", "5"], "Integer(min=0, max=50)"),
        (["12", "-7", "5"], "Integer(min=-50, max=50)"),
        (["12", "", "5"], "Integer(min=0, max=50, nullable=True)"),
        (["12.5", "7", "5.25"], "Decimal(scale=2, min=0, max=50)"),
        (["12.50", "7.00", "5.10"], "Decimal(scale=2, min=0, max=50)"),
        (["1.50000000", "7", "5"], "Decimal(scale=1, min=0, max=20)"),
        (["0.00001", "7", "1"], "Decimal(scale=5, min=0, max=20)"),
        (["0", "0", "0", "2"], "Integer(min=0, max=5)"),
        (["1e3", "7.5", "1"], "Decimal(scale=1, min=0, max=2_000)"),
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
    assert (found.id, found.id_type, found.time, found.keys, found.rows) == ("payment_id", "text", "at", [], 2)


def test_a_number_with_decimals_is_no_id_however_different(tmp_path: Path) -> None:
    found = guessed(tmp_path, temp=["20.1", "20.2"], at=[TIME.format(1), TIME.format(2)], reading=["x", "y"])
    assert found.id == "reading"


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        ({"Station-von": ["Zoo", "Hbf", "Zoo"], "Bike #": ["7", "8", "7"]}, ["Bike #"]),
        ({"plan": ["a", "a", "b"], "machine": ["m1", "m2", "m1"], "temp": ["1.5", "1.5", "2"]}, ["machine"]),
        ({"plan": ["a", "a", "b"], "Kunden-Nr": ["1", "1", "2"], "store_id": ["5", "5", "6"]}, ["Kunden-Nr"]),
        ({"plan": ["a", "a", "b"], "userid": ["1", "1", "2"]}, ["userid"]),
        ({"plan": ["a", "a", "b"], "age": ["5", "5", "6"]}, ["plan"]),
        ({"age": ["5", "5", "6"]}, []),
        ({"temp": ["1.5", "1.5", "2"], "paid": ["0", "1", "1"], "ended": ["2026-01-01", "2026-01-01", ""]}, []),
        ({"note": ["x", "y", "z"]}, []),
        ({"note": ["", "", ""]}, []),
    ],
)
def test_a_key_is_what_repeats_and_is_called_like_one_or_is_the_only_text(
    tmp_path: Path, columns: dict[str, list[str]], keys: list[str]
) -> None:
    assert guessed(tmp_path, **events(3), **columns).keys == keys


def test_which_of_several_columns_is_the_key_is_asked_with_how_many_values_each_has(tmp_path: Path) -> None:
    columns = {**events(4), "plan": ["a", "a", "b", "b"], "zone": ["x", "2", "3", "x"]}
    with pytest.raises(UserError, match="--key: which column") as asked:
        guessed(tmp_path, **columns)
    assert asked.value.allowed == "`zone` 3 values, `plan` 2 values"
    found = guessed(tmp_path, {"keys": ["zone", "plan"]}, **columns)
    assert (found.keys, found.columns) == (["zone", "plan"], {"plan": 'Key("text")', "zone": 'Key("text")'})


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ({"label": "fare"}, r"--label: 'fare' has '12\.34', '9'\n  allowed: n, tip"),
        ({"time": "tip"}, "--time: 'tip' has '0', '1'\n  allowed: times such as 2026-01-31T12:00:00Z"),
        ({"keys": ["fare"]}, r"--key: 'fare' has '12\.34', '9', and a key is a whole number or a text"),
        ({"identity": "at"}, "--id: 'at' is the time, and cannot be the id too"),
        ({"keys": ["n"]}, "--key: 'n' is the id, the time or the label"),
        ({"keys": ["x"]}, "--key: unknown column 'x'"),
    ],
)
def test_a_column_that_cannot_be_what_it_is_said_to_be_is_refused_with_what_it_has(
    tmp_path: Path, how: dict[str, Any], refused: str
) -> None:
    with pytest.raises(UserError, match=refused):
        guessed(tmp_path, how, **events(2), fare=["12.34", "9"], tip=["0", "1"])


@pytest.mark.parametrize(("name", "written"), [("Datum", "01.02.2026 10:00"), ("ts", "1767225600")])
def test_a_time_in_a_form_that_is_not_read_is_shown(tmp_path: Path, name: str, written: str) -> None:
    with pytest.raises(UserError, match=f"--time: no column has a time in every row; '{name}' has '{written}'"):
        guessed(tmp_path, n=["1"], **{name: [written]}, x=["a"])


def test_columns_of_one_plain_name_are_called_apart_and_revisions_are_none(tmp_path: Path) -> None:
    found = guessed(tmp_path, **events(2), **{"Bike #": ["1", "1"], "bike": ["a", "b"], "_revision": ["0", "0"]})
    assert found.names == {"n": "n", "at": "at", "Bike #": "bike", "bike": "bike_2"}
    assert free("a", ["a", "a_2"]) == "a_3"


def test_a_label_is_a_flag_that_is_called_like_one(tmp_path: Path) -> None:
    own = {"n": ["1", "2"], "at": [TIME.format(1), TIME.format(2)]}
    assert guessed(tmp_path, **own, is_fraud=["0", "1"], paid=["0", "1"]).label == "is_fraud"
    assert guessed(tmp_path, **own, paid=["0", "1"]).label is None
    assert guessed(tmp_path, {"label": "paid"}, **own, paid=["0", "1"]).label == "paid"


def test_what_cannot_be_guessed_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"--time: no column has a time in every row\n.*allowed: times such as .*\n.*next: write one so: n, x",
    ):
        guessed(tmp_path, n=["1", "2"], x=["a", "a"])
    with pytest.raises(UserError, match="--id: no column has another value in every row"):
        guessed(tmp_path, at=[TIME.format(1), TIME.format(1)], x=["a", "a"])
    with pytest.raises(UserError, match=r"next: 'at' and 'machine' have together: join them .*: --id COLUMN"):
        guessed(tmp_path, at=[TIME.format(x) for x in (1, 1, 2)], temp=["1.5", "1.6", "1.7"], machine=["a", "b", "a"])
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
    assert declared.partition("(")[0] in {"Integer", "Decimal", "Flag", "Category", "Key"}
