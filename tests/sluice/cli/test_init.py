"""What `sluice init` writes can be loaded, and what cannot be is not written."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.declare.loading import load_pipeline
from sluice.errors import SluiceError

pytestmark = pytest.mark.unit

RENTALS = """\
Ride ID,Start Time (UTC),Bike #,Station-von,Dauer (min),Preis €,Plan,e-bike?,Notiz
R1,2026-10-29 00:05:00,12,Zoo,23.2,4.48,student,yes,
R2,2026-10-29 00:09:00,12,Köln/Süd,18.6,19.36,member,no,"flat, tyre"
R3,2026-10-29 00:11:00,7,Zoo,4.1,1.61,member,no,ok
"""
SENSORS = """\
reading,ts,machine,temp,vib
1,2026-01-01T10:00:00Z,m1,20.1,0.5
2,2026-01-01T10:00:00Z,m2,21.1,0.7
3,2026-01-01T10:01:00Z,m1,20.3,0.6
"""
COMPLAINTS = """\
{"ticket": "T1", "opened": "2026-01-01", "customer": "a", "text": "it broke", "meta": {"a": 1}, "solved": true}
{"ticket": "T2", "opened": "2026-01-02", "customer": "a", "text": "late", "_op": "put"}
"""
NOTHING = "no,ts,temp\n1,2026-01-01,20.1\n2,2026-01-01,20.1\n"
ODD = 'id;x,at,"we""ird\\",we ird,customer,outcome\n1,2026-01-01,a,x,c,1\n2,2026-01-01,a,x,c,0\n'
OUTCOME = "outcome_id,at,user\n1,2026-01-01,a\n2,2026-01-01,a\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty one, in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*arguments: str) -> Result:
    called = ["init", *arguments]
    return CliRunner().invoke(application(called), called)


def refused(*arguments: str) -> str:
    """The message of a call that wrote nothing."""
    before = sorted(Path().iterdir())
    error = init(*arguments).exception
    assert isinstance(error, SluiceError)
    assert sorted(Path().iterdir()) == before
    return str(error)


@pytest.mark.parametrize(
    ("name", "content", "keys"),
    [
        ("bike rentals.csv", RENTALS, ("bike",)),
        ("bom.csv", "\ufeff" + RENTALS, ("bike",)),
        ("sensors.csv", SENSORS, ("machine",)),
        ("complaints-oct.jsonl", COMPLAINTS, ("customer",)),
        ("nothing.csv", NOTHING, ()),
        ("class.csv", ODD, ("customer",)),
        ("count.csv", OUTCOME, ("user",)),
        ("outcomes.csv", OUTCOME, ("user",)),
        ("pipeline.csv", SENSORS, ("machine",)),
    ],
)
def test_what_is_written_loads_and_is_called_in_the_next_step(name: str, content: str, keys: tuple[str, ...]) -> None:
    Path(name).write_text(content)
    done = init(name, "--out", "mine.py")
    assert done.exception is None, done.exception
    declared = load_pipeline("mine.py")
    assert declared.keys == keys
    told = f"{declared.events.name}={name}"
    assert done.output.splitlines()[-1] == f"next: sluice ingest mine.py {shlex.quote(told)}"


def test_a_declaration_says_what_was_guessed_and_what_else_there_is() -> None:
    Path("rentals.csv").write_text(RENTALS)
    assert init("rentals.csv").output.splitlines() == [
        "rentals.py: stream 'rentals', 9 columns, guessed from 3 rows: look them over",
        "id `Ride ID`, time `Start Time (UTC)`, key `Bike #`",
        "another key is --key COLUMN: `Station-von` 2 values, `Plan` 2 values, `e-bike?` 2 values",
        "next: sluice ingest rentals.py rentals=rentals.csv",
    ]
    text = Path("rentals.py").read_text()
    assert '"preis": Decimal(scale=2, min=0, max=50),' in text
    assert "    # bounds are guessed from 3 rows, with room for twice the greatest value; edit them\n" in text
    assert (
        "# import what you add: the columns Integer; the features distinct, max_, mean, since_last, sum_, top;" in text
    )
    assert max(map(len, text.splitlines())) <= 120


def test_each_key_that_is_named_gets_a_view() -> None:
    Path("rentals.csv").write_text(RENTALS)
    assert init("rentals.csv", "--key", "Station-von", "--key", "Bike #").exception is None
    found = [(view.name, view.of) for view in load_pipeline("rentals.py").windows]
    assert found == [("activity", "station_von"), ("bike_activity", "bike")]


def test_a_file_in_which_nothing_repeats_is_declared_without_a_view_and_says_so() -> None:
    Path("nothing.csv").write_text(NOTHING)
    told = init("nothing.csv").output
    assert "no column seems to name what has several events: there is no view" in told
    assert 'activity = Windows("activity", of="customer"' in Path("nothing.py").read_text()
    assert load_pipeline("nothing.py").views == []


def test_a_place_that_is_none_for_a_declaration_is_refused() -> None:
    Path("sensors.csv").write_text(SENSORS)
    assert refused("sensors.csv", "--out", "none/x.py") == "--out: there is no folder none\n  next: mkdir -p none"
    assert refused("sensors.csv", "--out", "x.txt").endswith("allowed: a name that ends in .py")
    Path("sensors.py").write_text("mine = 1\n")
    assert "there is a file of that name" in refused("sensors.csv")
    assert "it is a folder" in refused(".", "--out", "x.py")


def test_what_would_not_load_is_not_written() -> None:
    Path("trips.csv").write_text("tip_time,at,tip\na,2026-01-01,0\nb,2026-01-01,1\n")
    told = refused("trips.csv", "--label", "tip")
    assert told.startswith(
        "trips.py:16, Stream('trips_tip'): nothing was written, as it could not be read: 'tip_time' is"
    )
