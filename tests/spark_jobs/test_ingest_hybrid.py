"""History from files up to a cut, a topic from there on: nothing is doubled or missed, and a gap is an incident."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.declare.loading import load_pipeline
from sluice.errors import GateStopped
from sluice.lake.accounts import accounts
from sluice.lake.contract import BRONZE
from sluice.lake.incidents import incidents, refuse_incidents
from tests.properties import examples
from tests.sluice.lake.test_contract import bronze as rows_of
from tests.spark_jobs.deliveries import AT, FILE, MINUTE, START, Shop, order, orders, returned
from tests.spark_jobs.test_ingest_formats import sent

pytestmark = pytest.mark.integration

CUT = 20
"""Orders up to the nineteenth are from before the cut: order n comes n minutes after ten."""


def hybrid(folder: Path, how: str = 'silence="3min"') -> Shop:
    declared = FILE.read_text().replace("import (", "import (\n    Hybrid,", 1)
    hybrid = f'hybrid=Hybrid("2026-01-01T10:{CUT}:00Z", {how})'
    written = folder / "hybrid.py"
    written.write_text(declared.replace('late_after="1h",', f'late_after="1h", max_skew="1min",\n    {hybrid},', 1))
    return Shop(folder, file=written)


def archive(shop: Shop, first: int, numbers: range, *, partition: int = 0) -> None:
    """Orders from a position of the topic on, each known when it happened."""
    payloads: list[bytes | None] = [sent("json", number) for number in numbers]
    rows = rows_of(
        payloads,
        partition=[partition] * len(payloads),
        position=[*range(first, first + len(payloads))],
        known=[START + number * MINUTE for number in numbers],
    )
    shop.lake.append("events/orders", pa.table(rows, BRONZE))


def move_cut(shop: Shop, minute: int) -> None:
    """Have the shop declared with another cut."""
    text = shop.declaration.read_text().replace(f"10:{CUT}:00Z", f"10:{minute}:00Z")
    shop.declaration = shop.declaration.with_name("moved.py")
    shop.declaration.write_text(text)


def seam(shop: Shop, batch: str) -> tuple[str, str]:
    """What the gate found of a batch."""
    found = [row for row in shop.lake.rows("verdicts") if row["rule"] == "seam" and row["stream"] == "orders"]
    (one,) = [row for row in found if row["batch"] == batch]
    return one["verdict"], one["message"]


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(overlap=st.sampled_from([0, 1, 2, 7, CUT - 1]), beyond=st.integers(0, 3))
def test_an_overlap_of_any_length_is_neither_missed_nor_doubled(
    tmp_path_factory: pytest.TempPathFactory, overlap: int, beyond: int
) -> None:
    """Files go on for `beyond` events after the cut, and the topic begins `overlap` events before it."""
    shop = hybrid(tmp_path_factory.mktemp("shop"))
    assert shop.deliver("file", orders=orders(1, CUT - 1 + beyond)) is None
    archive(shop, 0, range(CUT - overlap, 31))
    assert shop.deliver("topic", from_bronze=True) is None
    found = shop.accounts()
    assert (found.silver, found.duplicates) == (30, overlap + beyond)
    assert sorted({number for (number,) in shop.silver("order_id")}) == [*range(1, 31)]
    assert seam(shop, "topic") == ("pass", "files and topic meet at 2026-01-01T10:20:00Z")


@pytest.mark.parametrize(("first", "verdict"), [(CUT - 1, "pass"), (CUT, "stop"), (CUT + 1, "stop")])
def test_a_topic_without_its_beginning_must_reach_back_behind_the_cut(tmp_path: Path, first: int, verdict: str) -> None:
    """An event may be known a minute before it happens, so the first record has to be known a minute before the cut."""
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, CUT - 1))
    archive(shop, 42, range(first, 31))
    stopped = shop.deliver("topic", from_bronze=True)
    assert seam(shop, "topic")[0] == verdict
    if verdict == "stop":
        assert "orders: seam: positions 0 to 41 of kafka:shop.orders/0 are not there" in str(stopped)
    # it holds back nothing but what is derived
    assert accounts(shop.lake, "orders").silver == CUT - 1 + len(range(max(first, CUT), 31))


def test_an_overlap_asks_the_topic_to_reach_back_that_much_further(tmp_path: Path) -> None:
    shop = hybrid(tmp_path, 'overlap="5min"')
    shop.deliver("file", orders=orders(1, CUT - 1))
    archive(shop, 42, range(CUT - 5, 31))
    shop.deliver("topic", from_bronze=True)
    told = "positions 0 to 41 of kafka:shop.orders/0 are not there, and the next was known at 2026-01-01T10:15:00Z"
    due = "files end at 2026-01-01T10:20:00Z, so it had to be known by 2026-01-01T10:14:00Z"
    assert seam(shop, "topic") == ("stop", f"{told}; {due}")


def test_a_partition_that_reaches_back_does_not_speak_for_another(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, CUT - 1))
    archive(shop, 7, range(CUT - 3, 31))
    archive(shop, 9, range(31, 36), partition=1)
    assert "positions 0 to 8 of kafka:shop.orders/1 are not there" in str(shop.deliver("topic", from_bronze=True))


def test_a_gap_in_time_is_an_incident_with_every_batch_until_a_file_fills_it(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, 14))
    archive(shop, 0, range(CUT, 31))
    told = "nothing is known to have happened from 2026-01-01T10:14:00Z to 2026-01-01T10:20:00Z"
    gap = f"{told}; up to 3min of silence are allowed"
    assert gap in str(shop.deliver("one", from_bronze=True))
    assert seam(shop, "one") == ("stop", gap)
    assert accounts(shop.lake, "orders").silver == 25
    assert shop.ailments() == [f"seams are closed: orders: {gap}"]
    archive(shop, 11, range(31, 33))
    assert gap in str(shop.deliver("two", from_bronze=True))
    assert [(one.batch, one.rule) for one in incidents(shop.lake)] == [("one", "seam"), ("two", "seam")]
    with pytest.raises(GateStopped, match="deliver what is missing as a file, and the next batch of the topic ends it"):
        refuse_incidents(shop.lake, load_pipeline(str(shop.declaration)), "training")
    shop.deliver("mended", orders=orders(15, 19))
    assert seam(shop, "mended") == ("pass", "not asked")
    archive(shop, 13, range(33, 35))
    assert shop.deliver("three", from_bronze=True) is None
    assert seam(shop, "three")[0] == "pass"
    assert (shop.ailments(), incidents(shop.lake)) == ([], [])
    archive(shop, 15, range(35, 37))
    assert shop.deliver("four", from_bronze=True) is None
    assert seam(shop, "four") == ("pass", "not asked")  # they have met
    assert shop.accounts().silver == 36
    assert incidents(shop.lake) == []


@pytest.mark.parametrize(("at", "left"), [(AT, ["one"]), (AT + MINUTE, [])])
def test_an_incident_is_over_as_well_when_files_and_topic_meet_later_at_another_cut(
    tmp_path: Path, at: int, left: list[str]
) -> None:
    """Of two batches that were judged for the same moment nobody can say which one was later."""
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, 24))
    archive(shop, 42, range(CUT, 31))
    assert shop.deliver("one", from_bronze=True) is not None
    move_cut(shop, 22)
    archive(shop, 53, range(31, 33))
    assert shop.deliver("two", at, from_bronze=True) is None
    assert seam(shop, "two") == ("pass", "files and topic meet at 2026-01-01T10:22:00Z")
    assert [one.batch for one in incidents(shop.lake)] == left


def test_an_incident_at_another_cut_is_not_over_because_files_and_topic_had_met_before(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, 19))
    archive(shop, 0, range(CUT, 23))
    assert shop.deliver("one", from_bronze=True) is None
    move_cut(shop, 30)
    archive(shop, 3, range(31, 33))
    assert shop.deliver("two", AT + MINUTE, from_bronze=True) is not None
    assert [one.batch for one in incidents(shop.lake)] == ["two"]


def test_files_that_go_on_after_the_cut_do_not_hide_that_the_topic_began_later(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, CUT + 2))
    archive(shop, 0, range(CUT + 6, 31))
    gap = "nothing is known to have happened from 2026-01-01T10:22:00Z to 2026-01-01T10:26:00Z"
    assert gap in str(shop.deliver("one", from_bronze=True))


def test_a_person_may_let_a_gap_pass(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, 14))
    archive(shop, 0, range(CUT, 31))
    shop.waive("orders:seam", None)
    assert shop.deliver("one", from_bronze=True) is None
    assert seam(shop, "one")[0] == "warn"


def test_a_topic_without_files_is_an_incident(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    archive(shop, 0, range(CUT, 31))
    stopped = shop.deliver("one", from_bronze=True)
    assert "seam: no file has brought an event from before 2026-01-01T10:20:00Z" in str(stopped)


def test_before_the_topic_has_come_to_the_cut_nothing_is_said(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, 5))
    archive(shop, 0, range(6, 10))
    assert shop.deliver("one", from_bronze=True) is None
    assert seam(shop, "one") == ("pass", "the topic has not come to 2026-01-01T10:20:00Z yet")


def test_another_cut_is_asked_for_anew(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, CUT - 1))
    archive(shop, 0, range(CUT, 25))
    shop.deliver("one", from_bronze=True)
    move_cut(shop, 21)
    archive(shop, 5, range(25, 31))
    shop.deliver("two", from_bronze=True)
    assert seam(shop, "two") == ("pass", "files and topic meet at 2026-01-01T10:21:00Z")


def test_a_stream_that_is_not_hybrid_has_the_whole_of_its_topic(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.deliver("file", orders=orders(1, 19), returns=[returned(1), returned(2)])
    archive(shop, 42, range(20, 31))
    stopped = shop.deliver("one", from_bronze=True)
    assert "positions: positions 0 to 41 of kafka:shop.orders/0 are not there" in str(stopped)
    archive(shop, 53, range(31, 33))
    assert shop.deliver("two", from_bronze=True) is None  # it was told, and is not lost once more
    assert shop.accounts().silver == 32


def test_the_evidence_says_at_which_cut_and_silence_they_met(tmp_path: Path) -> None:
    shop = hybrid(tmp_path)
    shop.deliver("file", orders=orders(1, 19))
    archive(shop, 0, range(CUT, 31))
    shop.deliver("one", from_bronze=True)
    (found,) = [row for row in shop.lake.rows("verdicts") if row["rule"] == "seam" and row["batch"] == "one"]
    assert json.loads(found["evidence"]) == {"cut": START + CUT * MINUTE, "silence": 3 * MINUTE, "closed": True}
    assert order(CUT)["ordered_at"] == "2026-01-01 10:20:00"
