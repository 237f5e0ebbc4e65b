"""What the doctor finds in a lake: nothing in a sound one, and each broken invariant by its name."""

from __future__ import annotations

from pathlib import Path

import pyarrow.dataset as ds
import pytest

from sluice.declare.loading import load_pipeline
from sluice.lake.doctor import INVARIANTS
from sluice.lake.publish import publish
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import claim
from sluice.lake.workers import Here
from tests.sluice.lake.shop import orders as declared
from tests.sluice.lake.test_publish import Killed, batch, mortal
from tests.spark_jobs.deliveries import AT, FILE, Shop, order, orders, returned
from tests.spark_jobs.test_ingest_jobs import Killed as Dead
from tests.spark_jobs.test_ingest_jobs import Mortal

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with files, archived events, refused rows, a stopped batch, and events that nobody has judged yet."""
    shop = Shop(tmp_path)
    rows = [*orders(1, 20), order(3), order(4, amount=1.0), order(21, channel="phone")]
    shop.deliver("a", orders=rows, returns=[returned(1), returned(2)])
    shop.archive("orders", [order(30), b"torn", order(3)])
    shop.deliver("archived-1", from_bronze=True)
    assert shop.deliver("b", orders=[order(41, channel="fax"), order(42)]) is not None
    shop.archive("orders", orders(50, 55))
    return shop


def found(shop: Shop) -> dict[str, list[tuple[str, str, str]]]:
    told = {
        name: [(one.about, one.found, one.next_step) for one in check(shop.lake, load_pipeline(str(FILE)))]
        for name, check in INVARIANTS.items()
    }
    return {name: ailments for name, ailments in told.items() if ailments}


def test_nothing_is_wrong_with_what_is_held_refused_or_not_judged_yet(shop: Shop) -> None:
    assert found(shop) == {}
    assert shop.accounts().waiting == 6


def test_an_empty_lake_is_sound(tmp_path: Path) -> None:
    assert found(Shop(tmp_path)) == {}


def test_a_row_that_is_lost_or_doubled_opens_the_sum(shop: Shop) -> None:
    table = shop.lake.open("silver/orders")
    assert table is not None
    table.delete("order_id = 7")
    assert found(shop)["sums close"][0][:2] == ("orders", "1 row in bronze and nowhere else")


def test_a_position_that_is_not_there_or_there_twice_is_named(shop: Shop) -> None:
    bronze = shop.lake.open("events/orders")
    assert bronze is not None
    twice = shop.lake.read("events/orders", where=ds.field("batch") == "a").slice(0, 1)
    bronze.delete("source = 'kafka:shop.orders' AND position = 1")
    shop.lake.append("events/orders", twice)
    told = [ailment[1] for ailment in found(shop)["positions are whole"]]
    assert len(told) == 2
    assert [text.partition(":")[0] for text in told] == ["1 position of file", "1 positions of kafka"]
    assert told[0].endswith(" more than once")
    assert told[1] == "1 positions of kafka:shop.orders/0 between 0 and 8 are not there"


def test_a_batch_that_was_announced_and_is_not_shown_is_named(shop: Shop) -> None:
    with pytest.raises(Killed):
        publish(mortal(shop.lake, 1), batch("d e", rows=0, accepted=0, conflicts=0, late=0, quarantined={}), {})
    assert found(shop)["batches are finished"] == [
        ("orders", "batch 'd e' was announced and is not shown", f"sluice ingest {FILE} --batch 'd e'")
    ]
    shop.deliver("d e")
    assert found(shop) == {}


def test_a_batch_that_died_before_its_verdict_is_named_with_what_finishes_it(shop: Shop) -> None:
    path = shop.file("c", orders(60, 70))
    shop.workers = Mortal(2, within=True)
    with pytest.raises(Dead):
        shop.deliver("c", orders=path)
    ((about, told, next_step),) = found(shop)["batches are finished"]
    assert (about, next_step) == ("orders", f"sluice ingest {FILE} --batch c")
    assert told == "11 rows of batch 'c' landed, and not judged"
    assert list(found(shop)) == ["batches are finished"]
    shop.workers = Here()
    shop.deliver("c")
    assert found(shop) == {}


def test_a_replay_that_died_is_named_with_what_finishes_it(shop: Shop) -> None:
    rows = controlled(shop.lake, "orders", refused(shop.lake, "orders", Wanted(batch="a")))
    claim(shop.lake, "orders", mended(declared, rows, Repair({"channel": "web"}), None, {}), by="A", because="b", at=AT)
    ((about, told, next_step),) = found(shop)["replays are finished"]
    assert (about, next_step) == ("orders", f"sluice quarantine resume {FILE}")
    assert told.endswith("of 1 row is claimed, and not done")
