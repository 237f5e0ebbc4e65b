"""The commands around keeping and legal holds, as a person calls them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.keeping import size
from sluice.cli.main import application
from sluice.clock import FileClock
from sluice.declare.durations import DAY
from sluice.errors import SluiceError
from sluice.settings import settings
from tests.sluice.lake.keeping.test_retiring import FILE
from tests.sluice.lake.lineage.told import runs
from tests.spark_jobs.deliveries import AT, Shop, orders

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with four orders that are 61 days old, and are kept for 60."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    FileClock(tmp_path / "clock").move_to(AT + 61 * DAY)
    settings.cache_clear()
    shop = Shop(tmp_path, file=FILE)
    assert shop.deliver("a", orders=orders(1, 4)) is None
    return shop


def sluice(*arguments: str) -> Result:
    named = [*arguments[:2], str(FILE), *arguments[2:]]
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(named), named)


def test_what_would_go_is_shown_with_bytes_and_goes_when_it_is_applied(shop: Shop) -> None:
    said = sluice("keep", "show").output
    line = next(line.split() for line in said.splitlines() if line.startswith("silver/orders"))
    assert (line[1:4], line[5:]) == (["rows", "dropped", "4"], ["kB", "kept", "for", "60d"])
    assert len(shop.silver()) == 4
    assert sluice("keep", "apply").output == said
    assert len(shop.silver()) == 0
    assert "dropped" not in sluice("keep", "show").output


def test_a_keeping_is_told_as_a_run_with_the_tables_that_it_has_written_anew(shop: Shop) -> None:
    sluice("keep", "apply")
    sluice("keep", "apply")
    emptied = {"events/orders", "silver/orders", "baselines/orders"}
    assert runs(shop.folder, "keep") == [
        ("START", set(), set()),
        ("COMPLETE", set(), {*emptied, "retirements", "retired"}),
        ("START", set(), set()),
        ("COMPLETE", set(), set()),
    ]


def test_a_hold_keeps_what_it_is_on_until_it_is_lifted(shop: Shop) -> None:
    said = sluice("hold", "add", "customer=c1", "--by", "Ada", "--because", "a case").output
    name = said.split()[1]
    assert said == f"hold {name} on customer=c1: nothing of it goes until it is lifted\n"
    assert sluice("hold", "add", "customer=c1", "--by", "Ada", "--because", "again").output == said
    (row,) = (line.split() for line in sluice("hold", "list").output.splitlines()[1:])
    assert row == [name, "customer=c1", "Ada", "2026-03-03T10:40:00Z", "a", "case"]
    sluice("keep", "apply")
    assert shop.silver("_id") == [(1,), (4,)]
    assert sluice("hold", "remove", name, "--by", "Bob", "--because", "closed").output == (
        f"hold {name} on customer=c1 is lifted\n"
    )
    assert sluice("hold", "list").output == "Nothing is held.\n"
    sluice("keep", "apply")
    assert shop.silver("_id") == []
    assert [(row["state"], row["by"]) for row in shop.lake.rows("legal_holds")] == [
        ("lifted", "Bob"),
        ("placed", "Ada"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "customer=c1", "--by", " ", "--because", "x"), "a legal hold names a person and a reason"),
        (("add", "customer=c1", "--by", "Ada", "--because", ""), "a legal hold names a person and a reason"),
        (("add", "amount=1", "--by", "Ada", "--because", "x"), "unknown key 'amount'"),
        (("add", "customer=", "--by", "Ada", "--because", "x"), "'' is no value of 'customer'"),
        (("add", "silver/orers", "--by", "Ada", "--because", "x"), "did you mean 'silver/orders'?"),
        (("remove", "nobody", "--by", "Ada", "--because", "x"), "unknown hold 'nobody'"),
    ],
)
def test_a_hold_has_a_person_a_reason_and_something_to_hold(
    shop: Shop, arguments: tuple[str, ...], message: str
) -> None:
    found = sluice("hold", *arguments)
    assert isinstance(found.exception, SluiceError)
    assert message in str(found.exception)
    assert shop.lake.rows("legal_holds") == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (5 * 10**12, "5.0 TB")],
)
def test_bytes_are_told_as_people_write_them(count: int, text: str) -> None:
    assert size(count) == text
