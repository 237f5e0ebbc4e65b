"""`sluice ingest`, `sluice quarantine` and `sluice doctor`, as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application, exit_code
from sluice.clock import FileClock
from sluice.engine.store import StoreDown
from sluice.errors import DataError, GateStopped, SluiceError, UserError
from sluice.lake.doctor import INVARIANTS
from sluice.settings import settings
from tests.spark_jobs.deliveries import AT, FILE, Shop, order, orders, returned

pytestmark = pytest.mark.integration


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop without deliveries."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    FileClock(tmp_path / "clock").move_to(AT)
    settings.cache_clear()
    return Shop(tmp_path)


def sluice(*arguments: str) -> Result:
    called = [*arguments]
    called.insert(2 if called[0] == "quarantine" else 1, str(FILE))
    return CliRunner(env={"COLUMNS": "220"}).invoke(application(called), called)


def said(result: Result) -> str:
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


def test_a_delta_table_is_a_batch_that_is_called_after_its_version(shop: Shop, tmp_path: Path) -> None:
    path = tmp_path / "ware.house"
    deltalake.write_deltalake(str(path), pa.Table.from_pylist(orders(1, 4)))
    assert "orders: 4 rows of batch 'ware.house@0': 4 accepted" in said(sluice("ingest", f"orders={path}"))
    assert f"{path}@0: landed already" in said(sluice("ingest", f"orders={path}@0", "--batch", "again"))
    deltalake.write_deltalake(str(path), pa.Table.from_pylist(orders(5, 8)), mode="append")
    told = said(sluice("ingest", f"orders={path}"))
    assert f"{path}@1: 1 of its 2 data files landed already, with batch 'ware.house@0'; the others are added" in told
    assert "orders: 4 rows of batch 'ware.house@1': 4 accepted" in told


def test_a_delivery_is_told_and_what_was_refused_is_listed_shown_and_put_back(shop: Shop, tmp_path: Path) -> None:
    path = shop.file("week", [*orders(1, 10), order(3), order(11, channel="phone")])
    told = said(sluice("ingest", f"orders={path}"))
    assert (
        f"orders: 12 rows of batch 'week': 11 accepted, 1 duplicate, 1 refused (sluice quarantine list {FILE})" in told
    )

    again = said(sluice("ingest", f"orders={path}", "--batch", "other"))
    assert f"{path}: landed already, with batch 'week'; nothing of it is added" in again

    listed = said(sluice("quarantine", "list"))
    assert listed.splitlines() == [
        "orders: batch 'week'",
        '  category channel  1 row (1 waiting), such as "phone"; allowed: web, shop',
    ]
    shown = json.loads(said(sluice("quarantine", "show")))
    assert (shown["_rule"], shown["_value"], shown["order_id"], shown["channel"]) == (
        "category",
        '"phone"',
        11,
        "phone",
    )

    out = tmp_path / "rows.jsonl"
    assert f"1 row in {out}: mend it, then sluice quarantine replay" in said(
        sluice("quarantine", "show", "--out", str(out))
    )
    out.write_text(out.read_text().replace('"channel":"phone"', '"channel":"web"'))
    mended = sluice("quarantine", "replay", "--file", str(out), "--by", "Ada", "--because", "phones are web")
    assert "1 row of batch 'replay-" in said(mended)
    assert "1 accepted, 1 late" not in said(mended)
    assert "1 back" in said(sluice("quarantine", "list"))
    assert shop.accounts().silver == 11
    nothing = sluice("quarantine", "replay", "--by", "Ada", "--because", "again")
    assert isinstance(nothing.exception, UserError)
    assert said(sluice("quarantine", "resume")) == "No replay is left unfinished.\n"

    told = said(sluice("doctor"))
    assert told.count("ok ") == len(INVARIANTS) + 1  # and the chain
    assert "tiles equal events: not asked: there is no online store yet" in " ".join(told.split())


def test_a_stopped_delivery_shows_why_and_is_refused_under_another_name(shop: Shop) -> None:
    path = shop.file("bad", [order(1, channel="fax"), order(2)])
    stopped = sluice("ingest", f"orders={path}")
    assert isinstance(stopped.exception, GateStopped)
    assert "50.00% of the rows refused" in stopped.output
    assert "1 held" in said(sluice("quarantine", "list"))
    other = sluice("ingest", f"orders={path}", "--batch", "again")
    assert isinstance(other.exception, UserError)
    assert "the same bytes were delivered as batch 'bad', which readers do not see" in str(other.exception)
    held = sluice("quarantine", "replay", "--by", "Ada", "--because", "so")
    assert "batch 'bad' is stopped, and none of it is history yet" in str(held.exception)


def test_a_stop_is_told_once_and_its_heads_are_the_error(shop: Shop) -> None:
    path = shop.file("bad", [order(1, channel="fax"), order(2)])
    stopped = sluice("ingest", f"orders={path}", "--at", "2026-01-01T10:40:00Z")
    assert stopped.output.count("50.00% of the rows refused") == 1
    assert f"    sluice ingest {FILE} --batch bad --at 2026-01-01T10:40:00Z\n" in stopped.output
    assert str(stopped.exception) == (
        "batch 'bad': orders:quarantined: 50.00% of the rows refused (category 1), at most 25.00% allowed\n"
        f"  next: as the findings say; again: sluice gates show {FILE} --batch bad"
    )


def test_rows_are_shown_by_what_became_of_them(shop: Shop) -> None:
    assert shop.deliver("a", orders=[*orders(1, 10), order(11, channel="fax")]) is None
    assert shop.deliver("b", orders=[order(12, channel="phone"), order(13)]) is not None
    by_state = {state: said(sluice("quarantine", "show", "--state", state)) for state in ("waiting", "held", "back")}
    assert {state: [json.loads(line)["channel"] for line in text.splitlines()] for state, text in by_state.items()} == {
        "waiting": ["fax"],
        "held": ["phone"],
        "back": [],
    }
    assert said(sluice("quarantine", "list", "--rule", "range")) == "No such row has been refused.\n"


def test_a_file_to_be_mended_has_what_waits_alone_unless_another_state_is_asked_for(shop: Shop, tmp_path: Path) -> None:
    assert shop.deliver("a", orders=[*orders(1, 10), order(11, channel="fax")]) is None
    assert shop.deliver("b", orders=[order(12, channel="phone"), order(13)]) is not None
    out = tmp_path / "rows.jsonl"
    told = said(sluice("quarantine", "show", "--out", str(out)))
    next_step = f"sluice quarantine replay {FILE} --file {out} --by WHO --because WHY"
    assert told == f"1 row in {out}: mend it, then {next_step}\n"
    assert [json.loads(line)["channel"] for line in out.read_text().splitlines()] == ["fax"]
    said(sluice("quarantine", "show", "--out", str(out), "--state", "held"))
    assert [json.loads(line)["channel"] for line in out.read_text().splitlines()] == ["phone"]
    assert said(sluice("quarantine", "show", "--out", str(out), "--state", "back")) == f"0 rows in {out}\n"


def test_a_row_of_a_file_that_does_not_wait_is_named_with_what_shows_it(shop: Shop, tmp_path: Path) -> None:
    assert shop.deliver("a", orders=[*orders(1, 10), order(11, channel="fax")]) is None
    out = tmp_path / "rows.jsonl"
    said(sluice("quarantine", "show", "--out", str(out)))
    (row,) = (json.loads(line) for line in out.read_text().splitlines())
    place = row["_place"].rpartition("/")[0] + "/0"
    out.write_text(json.dumps({**row, "_place": place}))
    assert str(sluice("quarantine", "replay", "--file", str(out), "--by", "Ada", "--because", "so").exception) == (
        f"replay: 1 edited row not waiting for a replay: {place} of orders\n"
        f"  next: leave them out; what became of one: sluice quarantine show {FILE} --stream orders --place {place}"
    )


def test_a_value_is_set_in_rows_of_the_streams_that_have_some(shop: Shop) -> None:
    assert shop.deliver("a", orders=[*orders(1, 10), order(11, channel="fax")], returns=[returned(1)] * 2) is None
    again = sluice("quarantine", "replay", "--set", "channel=web", "--by", "Ada", "--because", "no fax")
    assert "1 row of batch 'replay-" in said(again)


def test_of_several_streams_with_rows_one_has_to_be_named(shop: Shop) -> None:
    some = [returned(number) for number in range(1, 10)]
    bad = [returned(10, returned=None)]
    assert shop.deliver("a", orders=[*orders(1, 10), order(11, channel="fax")], returns=[*some, *bad]) is None
    set_ = ("quarantine", "replay", "--set", "channel=web", "--by", "Ada", "--because", "no fax")
    assert str(sluice(*set_).exception).splitlines() == [
        "returns: unknown column 'channel'; rows of orders and returns wait",
        "  allowed: order_id, return_id, returned, told_at",
        "  next: say of which: --stream orders or --stream returns",
    ]
    assert "1 row of batch 'replay-" in said(sluice(*set_, "--stream", "orders"))


def test_the_doctor_tells_what_waits_and_is_content(shop: Shop) -> None:
    assert shop.deliver("a", orders=orders(1, 10)) is None
    for name, first in (("b", 11), ("c", 13)):
        assert shop.deliver(name, orders=[order(first, channel="fax"), order(first + 1)]) is not None
    found = sluice("doctor")
    assert found.exit_code == 0
    assert found.output.splitlines()[-2:] == [
        "-   2 batches are stopped and wait: orders:b and orders:c",
        f"      next: sluice gates show {FILE}",
    ]


def test_of_a_lake_that_is_not_there_the_doctor_says_so_and_names_it(shop: Shop) -> None:
    found = sluice("doctor")
    place = shop.folder / "lake" / "shop"
    assert (found.exit_code, found.output) == (0, f"shop in {place}\n-   no batch of 'shop' in {place} yet\n")
    assert shop.deliver("a", orders=orders(1, 10)) is None
    assert sluice("doctor").output.splitlines()[:2] == [f"shop in {place}", "ok  sums close"]


def test_the_doctor_tells_which_incidents_are_open_with_what_ends_them_and_is_content(shop: Shop) -> None:
    for number in range(1, 6):
        shop.archive("orders", [order(number), order(number + 10, channel="fax")])
        assert shop.deliver(f"archived-{number}", AT + number, from_bronze=True) is not None
    found = sluice("doctor")
    assert found.exit_code == 0
    incident = "orders:quarantined of batch 'archived-1' at 2026-01-01T10:40:00.000001Z"
    waiver = f"sluice gates waive {FILE} orders:quarantined --batch archived-1 --by WHO --because WHY"
    told, next_step, *_, more = found.output.splitlines()[-7:]
    assert told.startswith(f"-   open incident, what is derived waits: {incident}: 50.00% of the rows refused")
    assert next_step == f"      next: see to the source, and close it: {waiver}"
    assert more == f"-   2 more open incidents: sluice gates show {FILE}"
    shop.waive("orders:quarantined", None, AT + 5)
    assert "incident" not in said(sluice("doctor"))


def test_a_store_that_does_not_answer_is_told_after_the_lake_and_ends_with_4(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_ONLINE", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    assert shop.deliver("a", orders=orders(1, 10)) is None
    assert shop.deliver("b", orders=[order(11, channel="fax"), order(12)]) is not None
    found = sluice("doctor")
    assert isinstance(found.exception, StoreDown)
    assert exit_code(found.exception) == 4
    lines = found.output.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [*["ok"] * (len(INVARIANTS) + 1), "-", "-", "next:"]
    assert lines[-3].startswith("-   tiles equal events: not asked: Redis does not answer")
    assert said(sluice("doctor", "--events", "0")).count("ok ") == len(INVARIANTS) + 1


def test_what_does_not_hold_of_the_lake_counts_before_a_store_that_does_not_answer(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_ONLINE", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    shop.deliver("a", orders=orders(1, 10))
    table = shop.lake.open("silver/orders")
    assert table is not None
    table.delete("order_id = 7")
    found = sluice("doctor")
    assert isinstance(found.exception, DataError)
    assert "orders: 1 row in bronze and nowhere else" in found.output
    assert "-   tiles equal events: not asked: Redis does not answer" in found.output


def test_the_doctor_names_what_does_not_hold_and_ends_with_3(shop: Shop) -> None:
    shop.deliver("a", orders=orders(1, 10))
    table = shop.lake.open("silver/orders")
    assert table is not None
    table.delete("order_id = 7")
    found = sluice("doctor", "--events", "0")
    assert isinstance(found.exception, DataError)
    assert "orders: 1 row in bronze and nowhere else" in found.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ingest",), "there is nothing to ingest"),
        (
            ("ingest", "orders.csv"),
            "'orders.csv' names no stream\n  allowed: orders, returns\n  next: write orders=orders.csv",
        ),
        (("ingest", "orders="), "'orders=' names no file"),
        (("ingest", "order=a.csv"), "unknown stream 'order'"),
        (("ingest", "orders=nowhere.csv"), "nowhere.csv: there is no such file"),
        (("ingest", "orders=/usr"), "/usr: it is a folder, and no Delta table"),
        (("ingest", "orders=/bin/ls"), "/bin/ls: no reader for ''"),
        (("ingest", "orders=nowhere.csv", "--restates", "30.10.2026"), "'30.10.2026' is no day"),
        (("ingest", "--batch", "a", "--rename", "orders"), "'orders' is no renamed column"),
        (("quarantine", "list", "--stream", "order"), "unknown stream 'order'"),
        (("quarantine", "list", "--rule", "categry"), "did you mean 'category'?"),
        (("quarantine", "list", "--batch", "b"), "unknown batch 'b'\n  allowed: a"),
        (("quarantine", "show", "--state", "hold"), "did you mean 'held'?"),
        (("quarantine", "replay", "--by", "A", "--because", "b", "--set", "amount"), "allowed: COLUMN=VALUE, such as"),
        (("quarantine", "replay", "--by", "A", "--because", "b", "--file", "no.jsonl"), "no.jsonl: it cannot be read"),
        (("quarantine", "show", "--place", "x"), "'x' is no place of a row"),
    ],
)
def test_a_wrong_call_says_what_is_allowed(shop: Shop, arguments: tuple[str, ...], message: str) -> None:
    assert shop.deliver("a", orders=[*orders(1, 10), order(11, channel="fax")]) is None
    result = sluice(*arguments)
    assert isinstance(result.exception, SluiceError)
    assert message in str(result.exception)
