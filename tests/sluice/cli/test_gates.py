"""The commands around gates, as a person calls them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.clock import FileClock
from sluice.errors import SluiceError
from sluice.settings import settings
from tests.spark_jobs.deliveries import AT, FILE, HOUR, Shop, order, orders

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose batch `b` a gate stopped."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    FileClock(tmp_path / "clock").move_to(AT)
    settings.cache_clear()
    shop = Shop(tmp_path)
    assert shop.deliver("a", orders=orders(1, 4)) is None
    assert shop.deliver("b", orders=[order(5, channel="phone"), order(6)]) is not None
    return shop


def gates(*arguments: str) -> Result:
    named = ["gates", arguments[0], str(FILE), *arguments[1:]]
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(named), named)


def test_what_the_gates_found_is_shown_for_each_batch(shop: Shop) -> None:
    said = gates("show").output.splitlines()
    refused = "50.00% of the rows refused (category 1), at most 25.00% allowed"
    assert said[:6] == [
        "orders: batch 'a' at 2026-01-01T10:40:00Z: pass",
        "  11 gates passed",
        "",
        "orders: batch 'b' at 2026-01-01T10:40:00Z: stop",
        f'  quarantined  stop  {refused}; channel is "phone", not web, shop',
        "  10 gates passed",
    ]
    assert gates("show", "--batch", "a").output.splitlines() == said[:2]
    assert gates("show", "--most", "1").output.splitlines() == said[:2]


def test_a_gate_that_passed_is_shown_when_all_are_asked_for(shop: Shop) -> None:
    said = gates("show", "--batch", "a", "--all").output.splitlines()
    assert len(said) == 12
    assert "  columns       pass  those that are declared" in said


def test_the_commands_that_let_a_stopped_batch_in_are_told_and_do(shop: Shop) -> None:
    said = gates("show", "--batch", "b").output.splitlines()
    assert said[3:] == [
        "  the rows that are refused:",
        f"    sluice quarantine show {FILE} --stream orders --batch b --state held",
        "  next, if a person decides that it is right as it is:",
        f"    sluice gates waive {FILE} orders:quarantined --batch b --by WHO --because WHY",
        f"    sluice ingest {FILE} --batch b --at 2026-01-01T10:40:00Z",
        "  else deliver it mended, as another batch",
    ]
    look, waive = (shlex.split(line)[1:] for line in (said[4], said[6]))
    assert '"phone"' in CliRunner().invoke(application(look), look).output
    assert CliRunner().invoke(application(waive), waive).exit_code == 0
    assert shop.deliver("b") is None


def test_of_two_attempts_at_one_moment_the_last_is_shown(shop: Shop) -> None:
    shop.waive("orders:quarantined", "b")
    assert shop.deliver("b") is None
    said = gates("show", "--batch", "b").output.splitlines()
    assert said[0] == "orders: batch 'b' at 2026-01-01T10:40:00Z: warn"
    assert said[1].startswith("  quarantined  warn  waived by Ada until 2026-01-01T11:40:00Z (a holiday): 50.00% of ")
    assert said[2].split() == ["10", "gates", "passed"]


def test_a_waiver_lets_the_batch_in_and_is_shown_until_it_ends(shop: Shop) -> None:
    given = ("orders:quarantined", "--batch", "b", "--by", "Ada", "--because", "phones are new", "--for", "2h")
    assert gates("waive", *given).output == (
        "orders:quarantined does not stop batch 'b' for 2h, until 2026-01-01T12:40:00Z.\n"
        f"next: sluice ingest {FILE} --batch b --at 2026-01-01T10:40:00Z\n"
    )
    assert "orders:quarantined waived for batch 'b' by Ada until 2026-01-01T12:40:00Z: phones are new" in (
        gates("show").output
    )
    assert shop.deliver("b") is None
    assert shop.accounts().silver == 5


def test_after_a_waiver_the_batch_is_ingested_for_its_moment_and_under_its_names(shop: Shop) -> None:
    rows = [{"betrag" if name == "amount" else name: value for name, value in order(n).items()} for n in (7, 8)]
    rows[0]["channel"] = "phone"
    assert shop.deliver("c", AT - HOUR // 2, orders=rows, renamed={"orders": {"amount": "betrag"}}) is not None
    FileClock(shop.folder / "clock").move_to(AT + 10 * HOUR)
    said = gates("waive", "orders:quarantined", "--batch", "c", "--by", "Ada", "--because", "phones").output
    told = f"sluice ingest {FILE} --batch c --at 2026-01-01T10:10:00Z --rename orders:amount=betrag"
    assert said.splitlines()[1] == f"next: {told}"
    assert f"    {told}\n" in gates("show", "--batch", "c").output


def test_after_the_waiver_of_an_incident_nothing_is_ingested_again(shop: Shop) -> None:
    shop.archive("orders", [order(9, channel="fax")])
    assert shop.deliver("archived-1", from_bronze=True) is not None
    said = gates("waive", "orders:quarantined", "--batch", "archived-1", "--by", "Ada", "--because", "seen to").output
    assert said == "orders:quarantined does not stop batch 'archived-1' for 1d, until 2026-01-02T10:40:00Z.\n"


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (
            ("--batch", "bb"),
            "warning: orders:quarantined has not stopped a batch 'bb' yet: it stopped 'b'; did you mean 'b'?",
        ),
        ((), "That is every batch until then; for one alone give --batch (it stopped 'b')."),
    ],
)
def test_a_waiver_of_another_or_of_every_batch_says_which_were_stopped(
    shop: Shop, named: tuple[str, ...], told: str
) -> None:
    said = gates("waive", "orders:quarantined", "--by", "Ada", "--because", "so", *named)
    assert (said.exit_code, said.output.splitlines()[1]) == (0, told)


def test_a_gate_that_stopped_no_batch_says_so(shop: Shop) -> None:
    said = gates("waive", "orders:count", "--by", "Ada", "--because", "so", "--batch", "b").output
    assert "warning: orders:count has not stopped a batch 'b' yet: it has stopped none yet\n" in said


def test_a_waiver_of_every_batch_is_taken_back_and_the_gate_stops_again(shop: Shop) -> None:
    why = ("--by", "Ada", "--because", "so", "--for", "30d")
    said = gates("waive", "orders:quarantined", *why).output.splitlines()
    assert said[2] == f"To take it back: sluice gates withdraw {FILE} orders:quarantined --by WHO --because WHY"
    back = gates("withdraw", "orders:quarantined", "--by", "Grace", "--because", "a slip")
    until = "2026-01-31T10:40:00Z"
    assert back.output == f"withdrawn: orders:quarantined waived for every batch by Ada until {until}: so\n"
    assert shop.deliver("b") is not None
    assert "waived" not in gates("show").output


def test_an_incident_is_open_again_when_its_waiver_is_withdrawn(shop: Shop) -> None:
    shop.archive("orders", [order(9, channel="fax")])
    assert shop.deliver("archived-1", from_bronze=True) is not None
    named = ("orders:quarantined", "--batch", "archived-1", "--by", "Ada", "--because", "so")
    assert gates("waive", *named).exit_code == 0
    assert "open incident" not in gates("show").output
    assert gates("withdraw", *named).exit_code == 0
    assert "open incident" in gates("show").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "--batch", "c"), "unknown batch 'c'"),
        (("waive", "orders", "--by", "A", "--because", "B"), "'orders' has no ':' between a stream and a gate"),
        (("waive", "order:count", "--by", "A", "--because", "B"), "did you mean 'orders'"),
        (("waive", "orders:counts", "--by", "A", "--because", "B"), "did you mean 'count'"),
        (("waive", "orders:count", "--by", "", "--because", "B"), "a waiver names a person and a reason"),
        (("waive", "orders:count", "--by", "A", "--because", "B", "--for", "ever"), "'ever' is not a duration"),
        (
            ("withdraw", "orders:count", "--by", "A", "--because", "B"),
            "no waiver of orders:count for every batch",
        ),
        (("withdraw", "orders:counts", "--by", "A", "--because", "B"), "did you mean 'count'"),
    ],
)
def test_a_mistake_says_what_is_allowed(shop: Shop, arguments: tuple[str, ...], message: str) -> None:
    found = gates(*arguments).exception
    assert isinstance(found, SluiceError)
    assert message in str(found)
