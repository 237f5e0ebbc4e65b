"""A batch that had not arrived when an entity was forgotten brings nothing of it, whatever its columns are called."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.errors import Outage
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import claim, land
from tests.sluice.lake.forgetting.lakes import FIRST, PIPELINE, ZEBRA, Market, mentions, order, zebra
from tests.sluice.lake.forgetting.test_forget import NOW, gone, ids
from tests.spark_jobs.deliveries import AT

pytestmark = pytest.mark.integration

IDS = [FIRST + number for number in (0, 1, 2, 10, 11)]


def called(row: dict[str, Any], **names: str) -> dict[str, Any]:
    """A row whose columns are called otherwise."""
    return {names.get(name, name): value for name, value in row.items()}


@pytest.mark.parametrize(
    "names", [{"customer": "client"}, {"customer": "seller", "seller": "customer"}], ids=["another name", "crosswise"]
)
def test_a_stopped_batch_that_is_let_through_brings_nothing_of_it(small: Market, names: dict[str, str]) -> None:
    rows = [zebra(10), zebra(11), *(order(number, channel="fax") for number in (20, 21, 22)), order(23)]
    how: dict[str, Any] = {"renamed": {"orders": names}}
    assert small.deliver("b", orders=[called(row, **names) for row in rows], **how) is not None
    before = small.accounts()
    gone(small)
    if "client" in names.values():
        assert mentions(small.folder / "lake", IDS) == []
    small.waive("orders:quarantined", "b", at=NOW)
    assert small.deliver("b", at=NOW, **how) is None
    after = small.accounts()
    assert (before.held, after.held, after.erased, after.quarantined) == (6, 0, 3 + 2, {"category": 3})
    assert ids(small) == [1, 2, 23]
    assert mentions(small.folder / "lake", IDS) == []
    assert small.ailments() == []


def test_one_that_nobody_lets_through_has_nothing_of_it_either(small: Market) -> None:
    rows = [zebra(10), zebra(11, amount=-1), order(20, amount=-1), order(21, channel="fax")]
    assert small.deliver("b", orders=[called(row, customer="client") for row in rows]) is not None
    assert small.lake.count("held/orders") == 3
    gone(small)
    assert (small.accounts().held, small.lake.count("held/orders")) == (2, 2)
    assert mentions(small.folder / "lake", IDS) == []
    assert small.ailments() == []


def test_a_replay_lands_nothing_by_what_was_known_before(small: Market) -> None:
    assert small.deliver("b", orders=[zebra(10, channel="fax"), order(20), order(21)]) is None
    rows = mended(
        PIPELINE.events,
        controlled(small.lake, "orders", refused(small.lake, "orders", Wanted())),
        Repair({"channel": "web"}),
        None,
        {},
    )
    replay = claim(small.lake, "orders", rows, by="Ada", because="faxes are the web", at=AT)
    gone(small)
    with pytest.raises(Outage, match="an entity was forgotten meanwhile"):
        land(small.lake, replay, PIPELINE.events, Forgotten())
    assert small.lake.count("events/orders") == 5 + 3
    assert ZEBRA not in str(small.lake.rows("events/orders"))
