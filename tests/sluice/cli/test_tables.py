"""The commands around as-of tables, as a person calls them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.errors import DataError, SluiceError, exit_code
from sluice.lake.asof import load, loads
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.sluice.lake.lineage.told import runs
from tests.sluice.stream import priced

pytestmark = pytest.mark.integration
PIPELINE = str(Path(priced.__file__))
TWICE = (
    "valid_from: repeated: owner a, sold_by web, valid_from 2024-02-03 00:00:00+00:00 "
    "(allowed: one row for each owner and sold_by and valid_from)"
)
TERMS = "owner,sold_by,valid_from,fee,plan\na,pos,2024-02-03,1.25,free\na,web,2024-02-03,2,\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    (tmp_path / "terms.csv").write_text(TERMS)
    return tmp_path


def tables(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(["tables", *arguments]), ["tables", *arguments])


def lake() -> Lake:
    return Lake(settings().places.lake_uri, "priced")


def refusal(*arguments: str) -> SluiceError:
    found = tables(*arguments).exception
    assert isinstance(found, SluiceError), found
    return found


def test_a_file_becomes_the_newest_version_of_its_table(home: Path) -> None:
    assert tables("load", PIPELINE, "terms", str(home / "terms.csv")).output == "asof/terms@0: 2 rows\n"
    assert tables("load", PIPELINE, "terms", str(home / "terms.csv")).output == (
        "asof/terms@0: the same rows as before: there is no new version\n"
    )
    (home / "terms.csv").write_text(TERMS.replace("1.25", "1.5"))
    assert tables("load", PIPELINE, "terms", str(home / "terms.csv")).output == "asof/terms@1: 2 rows\n"
    assert loads(lake(), "terms")[0].source.startswith("terms.csv (file:")


def test_with_one_bad_row_nothing_is_loaded_and_every_bad_row_is_named(home: Path) -> None:
    (home / "terms.csv").write_text(TERMS + "b,phone,2024-02-03,1,\na,web,2024-02-03,3,\n")
    done = tables("load", PIPELINE, "terms", str(home / "terms.csv"))
    assert done.output.splitlines() == [
        f"row 2: {TWICE}",
        'row 3: sold_by: category: "phone" (allowed: pos, web)',
        f"row 4: {TWICE}",
    ]
    assert isinstance(done.exception, DataError)
    assert "3 rows are refused, and nothing is loaded" in str(done.exception)
    assert exit_code(done.exception) == 3
    assert loads(lake(), "terms") == []


def test_a_load_is_told_as_a_run_with_its_file_and_its_table(home: Path) -> None:
    file = str(home / "terms.csv")
    tables("load", PIPELINE, "terms", file)
    tables("holidays", PIPELINE, "--countries", "FR", "--years", "2024")
    (home / "terms.csv").write_text(TERMS + "b,phone,2024-02-03,1,\n")
    tables("load", PIPELINE, "terms", file)
    assert runs(home / "home", "load") == [
        ("START", set(), set()),
        ("COMPLETE", {file}, {"asof/terms"}),
        ("START", set(), set()),
        ("COMPLETE", set(), {"asof/holidays"}),
        ("START", set(), set()),
        ("FAIL", {file}, {"asof/terms"}),
    ]


def test_a_long_list_of_bad_rows_is_cut_and_counted(home: Path) -> None:
    (home / "terms.csv").write_text(TERMS + "b,phone,2024-02-03,1,\n" * 50)
    done = tables("load", PIPELINE, "terms", str(home / "terms.csv"))
    assert len(done.output.splitlines()) == 20
    assert "50 rows are refused" in str(done.exception)


def test_holidays_of_countries_and_years_are_loaded_without_a_file() -> None:
    done = tables("holidays", PIPELINE, "--countries", "fr, DE", "--years", "2024-2025")
    assert done.output == f"asof/holidays@0: {2 * (366 + 365):,} rows\n"
    assert tables("holidays", PIPELINE, "--countries", "FR", "--years", "2024").output == "asof/holidays@1: 366 rows\n"
    assert loads(lake(), "holidays")[0].source.endswith("FR, 2024 to 2024")


def test_every_version_of_every_table_is_shown_and_what_is_missing(home: Path) -> None:
    tables("load", PIPELINE, "terms", str(home / "terms.csv"))
    tables("holidays", PIPELINE, "--countries", "FR", "--years", "2024")
    tables("holidays", PIPELINE, "--countries", "FR", "--years", "2025")
    lines = [line.split() for line in tables("show", PIPELINE).output.splitlines()]
    assert [line[:3] for line in lines[1:]] == [
        ["holidays", "1", "365"],
        ["holidays", "0", "366"],
        ["price_index", "-", "-"],
        ["terms", "0", "2"],
    ]
    assert tables("show", "fraud").output == "Pipeline 'fraud' looks nothing up.\n"


def test_what_was_loaded_by_commands_is_what_the_pipeline_looks_up(home: Path) -> None:
    (home / "prices.csv").write_text("valid_from,level\n2024-01-01,100.125\n2024-02-01,101\n")
    tables("load", PIPELINE, "terms", str(home / "terms.csv"))
    tables("load", PIPELINE, "price_index", str(home / "prices.csv"))
    tables("holidays", PIPELINE, "--countries", "FR,DE", "--years", "2024")
    assert load(lake(), priced.pipeline).versions == {"holidays": 0, "price_index": 0, "terms": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("load", PIPELINE, "term", "x.csv"), "unknown as-of table 'term'"),
        (("load", PIPELINE, "term", "x.csv"), "did you mean 'terms'?"),
        (("load", PIPELINE, "terms", "x.csv"), "x.csv: there is no such file"),
        (("load", "fraud", "holidays", "x.csv"), "pipeline 'fraud' looks nothing up"),
        (("holidays", PIPELINE, "--countries", "FR", "--years", "26"), "--years: '26' are no years"),
        (("holidays", PIPELINE, "--countries", "FR", "--years", "2027-2026"), "'2027-2026' are no years"),
        (("holidays", PIPELINE, "--countries", "XX", "--years", "2026"), "unknown country 'XX'"),
        (
            ("holidays", PIPELINE, "--countries", "FR", "--years", "2026", "--table", "terms"),
            "terms', made of holidays: unknown column 'fee'",
        ),
    ],
)
def test_a_mistake_says_what_is_allowed(arguments: tuple[str, ...], message: str) -> None:
    assert message in str(refusal(*arguments))
