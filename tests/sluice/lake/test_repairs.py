"""A refused row is shown with what can be told of it, and goes back as it came unless a person edits it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from sluice.errors import UserError
from sluice.lake.refused import WAITING, Place, Refused
from sluice.lake.repairs import Repair, edited, mended, shown
from tests.sluice.declare.examples import TRANSACTIONS

pytestmark = pytest.mark.unit

LONG = Refused(
    stream="transactions",
    place=Place("file:a", 0, 7),
    batch="monday",
    run=None,
    state=WAITING,
    rule="json",
    column="",
    value="",
    allowed="2 fields, as the header has, and not 3",
    payload=b'[["1","","x"],["transaction_id","amount"]]',
)


def test_a_csv_row_of_another_length_has_its_fields_under_their_names_until_a_person_has_seen_to_it(
    tmp_path: Path,
) -> None:
    row = shown(LONG, (0, 0))
    assert {name: value for name, value in row.items() if not name.startswith("_")} == {
        "transaction_id": "1",
        "amount": None,
    }
    path = tmp_path / "rows.jsonl"
    path.write_bytes(orjson.dumps(row))
    with pytest.raises(UserError, match="still the text that nobody could read"):
        edited(path)
    path.write_bytes(orjson.dumps({name: value for name, value in row.items() if name != "_payload"}))
    (back,) = mended(TRANSACTIONS, [(LONG, (0, 0))], Repair(), edited(path), {})
    assert back.payload == b'{"transaction_id":"1","amount":null}'


def test_a_file_of_edited_rows_that_cannot_be_read_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    written = "\n  allowed: a file as `sluice quarantine show --out` writes it"
    for path, why in ((tmp_path / "no.jsonl", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(UserError) as refused:
            edited(path)
        assert str(refused.value) == f"{path}: it cannot be read: {why}{written}"
    (tmp_path / "latin.jsonl").write_bytes(b'{"_stream":"transactions","x":"\xe9"}\n')
    with pytest.raises(UserError, match=r"latin\.jsonl, line 1: no JSON object"):
        edited(tmp_path / "latin.jsonl")


def test_a_line_separator_of_unicode_in_a_value_does_not_end_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(orjson.dumps({**shown(LONG, (0, 0)), "amount": "a\u2028b"}).replace(b'"_payload"', b'"_place2"'))
    (row,) = edited(path).values()
    assert row["amount"] == "a\u2028b"


def test_without_an_edit_it_goes_back_as_it_came() -> None:
    (back,) = mended(TRANSACTIONS, [(LONG, (0, 0))], Repair(), None, {})
    assert back.payload == LONG.payload
