"""A file that a command is to write is looked at before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sluice.cli.main import application
from sluice.cli.places import check_written
from sluice.errors import UserError
from tests.spark_jobs.deliveries import FILE

pytestmark = pytest.mark.unit


def test_a_new_file_and_one_that_is_there_can_be_written(tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    check_written(file, "--draw", ".svg")
    file.write_text("old")
    check_written(file, "--draw", ".svg")
    assert file.read_text() == "old"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a.png", "--draw: {}/a.png does not end in .svg\n  allowed: a name that ends in .svg"),
        ("no/a.svg", "--draw: there is no folder {}/no\n  next: mkdir -p {}/no"),
        ("folder.svg", "--draw: {}/folder.svg is a folder\n  next: name a file in it"),
    ],
)
def test_a_name_that_is_none_for_a_file_says_what_would_be(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(UserError) as refused:
        check_written(tmp_path / name, "--draw", ".svg")
    assert str(refused.value) == told.replace("{}", str(tmp_path))


@pytest.mark.parametrize(
    ("called", "told"),
    [
        (("lineage", "table", str(FILE), "silver/orders", "--draw", "/none/x.svg"), "--draw: there is no folder /none"),
        (("lineage", "model", str(FILE), "shop-web/1", "--draw", "x.png"), "--draw: x.png does not end in .svg"),
        (("lineage", "prediction", str(FILE), "a", "--draw", "x"), "--draw: x does not end in .svg"),
        (("quarantine", "show", str(FILE), "--out", "/none/rows.jsonl"), "--out: there is no folder /none"),
    ],
)
def test_a_command_that_cannot_write_its_file_does_nothing(called: tuple[str, ...], told: str) -> None:
    found = CliRunner().invoke(application(called), called).exception
    assert isinstance(found, UserError)
    assert str(found).startswith(told)
