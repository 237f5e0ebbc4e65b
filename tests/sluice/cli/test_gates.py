"""The commands around gates, as a person calls them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.clock import FileClock
from sluice.errors import SluiceError
from sluice.settings import settings
from tests.spark_jobs.deliveries import AT, FILE, Shop, order, orders

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
    said = gates("show").output
    stopped = next(line for line in said.splitlines() if "stop" in line)
    assert stopped.split()[:5] == ["b", "orders", "2026-01-01T10:40:00Z", "quarantined", "stop"]
    assert 'channel is "phone"' in said
    assert "b " not in gates("show", "--batch", "a").output


def test_a_waiver_lets_the_batch_in_and_is_shown_until_it_ends(shop: Shop) -> None:
    given = ("orders:quarantined", "--batch", "b", "--by", "Ada", "--because", "phones are new", "--for", "2h")
    assert gates("waive", *given).output == (
        "orders:quarantined does not stop batch 'b' for 2h, until 2026-01-01T12:40:00Z.\n"
    )
    assert "orders:quarantined waived for batch 'b' by Ada until 2026-01-01T12:40:00Z: phones are new" in (
        gates("show").output
    )
    assert shop.deliver("b") is None
    assert shop.accounts().silver == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "--batch", "c"), "unknown batch 'c'"),
        (("waive", "orders", "--by", "A", "--because", "B"), "'orders' has no ':' between a stream and a gate"),
        (("waive", "order:count", "--by", "A", "--because", "B"), "did you mean 'orders'"),
        (("waive", "orders:counts", "--by", "A", "--because", "B"), "did you mean 'count'"),
        (("waive", "orders:count", "--by", "", "--because", "B"), "a waiver names a person and a reason"),
        (("waive", "orders:count", "--by", "A", "--because", "B", "--for", "ever"), "'ever' is not a duration"),
    ],
)
def test_a_mistake_says_what_is_allowed(shop: Shop, arguments: tuple[str, ...], message: str) -> None:
    found = gates(*arguments).exception
    assert isinstance(found, SluiceError)
    assert message in str(found)
