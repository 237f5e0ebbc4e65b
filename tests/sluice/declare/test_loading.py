from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import sluice
from sluice.declare.loading import load_pipeline, registered
from tests.sluice.declare.examples import pipeline, refusal

pytestmark = pytest.mark.unit

OWN = """
    from sluice import Key, Label, Pipeline, Stream, Windows, count

    visits = Stream("visits", id="visit_id", time="at", columns={"patient": Key("text")})
    relapse = Label("relapse", of=visits, column="RELAPSE", known_after="30d")
    past = Windows("past", of="patient", over=visits, features=[count("90d")])
    pipeline = Pipeline("clinic", views=[past], label=relapse)
"""


def test_the_pipelines_that_ship_are_known_by_name() -> None:
    assert registered() == ["fraud", "handbook"]
    assert [load_pipeline(name).name for name in registered()] == ["fraud", "handbook"]


def test_a_pipeline_of_ones_own_is_a_file_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "clinic.py"
    file.write_text(textwrap.dedent(OWN))
    assert load_pipeline(str(file)).features[0].name == "past__count_90d"


def test_a_name_that_is_not_there_is_refused_with_the_nearest_one() -> None:
    assert refusal(lambda: load_pipeline("fruad")) == (
        "unknown pipeline 'fruad'\n  allowed: fraud, handbook, path/to/file.py\n  next: did you mean 'fraud'?"
    )


def test_a_file_that_is_named_without_its_ending_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fruad.py").write_text("")
    assert refusal(lambda: load_pipeline("fruad")).endswith("next: did you mean fruad.py?")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            'count("90d")',
            'count("90s")',
            ("{file}:6, count(): window '90s' is impossible\n  allowed: whole minutes, 1min or more, or lifetime"),
        ),
        (
            'count("90d")',
            'count("90d", wher=1)',
            (
                "{file}:6: TypeError: count() got an unexpected keyword argument 'wher'\n"
                "  next: docs/reference/declare.md shows what each word takes"
            ),
        ),
        (
            "Key, Label",
            "Label",
            "{file}:4: NameError: name 'Key' is not defined\n  next: add Key to the import from sluice",
        ),
        (
            'Key("text")',
            'Kee("text")',
            (
                "{file}:4: NameError: name 'Kee' is not defined\n"
                "  next: docs/reference/declare.md shows what each word takes"
            ),
        ),
        (
            "Key, Label",
            "Kee, Label",
            (
                "{file}:2: ImportError: cannot import name 'Kee' from 'sluice' ({package})\n"
                "  next: docs/reference/declare.md shows what each word takes"
            ),
        ),
        (
            "features=[",
            "features=]",
            (
                "{file}:6: SyntaxError: closing parenthesis ']' does not match opening parenthesis '(' "
                "(clinic.py, line 6)\n"
                "  next: docs/reference/declare.md shows what each word takes"
            ),
        ),
    ],
)
def test_what_a_file_raises_is_told_with_its_line(tmp_path: Path, before: str, after: str, told: str) -> None:
    file = tmp_path / "clinic.py"
    file.write_text(textwrap.dedent(OWN).replace(before, after))
    assert refusal(lambda: load_pipeline(str(file))) == told.format(file=file, package=sluice.__file__)


def test_a_pipeline_is_called_by_what_it_was_loaded_from(tmp_path: Path) -> None:
    file = tmp_path / "clinic.py"
    file.write_text(textwrap.dedent(OWN))
    assert load_pipeline(str(file)).reference == str(file)
    assert load_pipeline("fraud").reference == "fraud"
    assert pipeline().reference == "fraud"


def test_a_file_that_is_not_there_or_declares_nothing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "empty.py"
    assert refusal(lambda: load_pipeline(str(file))) == f"{file}: there is no such file"
    file.write_text("x = 1\n")
    assert refusal(lambda: load_pipeline(str(file))) == (
        f"{file}: no `pipeline = Pipeline(…)` in it\n  next: call the pipeline of the file `pipeline`"
    )
