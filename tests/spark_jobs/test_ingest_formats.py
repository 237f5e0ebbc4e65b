"""Topics in Avro and Protobuf into history: the rows that JSON gives, and nothing judged without its schema."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice.declare.loading import load_pipeline
from sluice.errors import GateStopped, UserError
from sluice.lake.decoding import UNKNOWN, Schema
from sluice.lake.delivery import Delivery
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended, shown
from sluice.lake.schemas import MemoryRegistry, Registry, RegistryDown, kept
from sluice.monitor.bronze import Bronze
from spark_jobs.ingest import ingest
from tests.sluice.lake.messages import (
    AVRO_FIELDS,
    avro,
    avro_message,
    file_of,
    for_avro,
    for_protobuf,
    head,
    protobuf,
    protobuf_message,
    shop_in,
)
from tests.spark_jobs.deliveries import AT, Shop, order, orders

pytestmark = pytest.mark.integration

FILE = file_of()
REGISTRY = MemoryRegistry({7: avro(), 8: protobuf(FILE)})


class Down:
    """A registry that does not answer."""

    def schema(self, number: int) -> Schema | None:
        raise RegistryDown("the schema registry does not answer", where=str(number))


def sent(form: str, number: int, **changes: Any) -> bytes:
    row = order(number, **changes)
    row["ordered_at"] = f"{row['ordered_at'].replace(' ', 'T')}+00:00"
    if form == "json":
        return orjson.dumps(row)
    if form == "avro":
        return avro_message(7, REGISTRY.schemas[7], for_avro(row))
    return protobuf_message(8, FILE, for_protobuf(row))


def shop_of(form: str, folder: Path) -> Shop:
    return Shop(folder, file=shop_in(form, folder))


def take(shop: Shop, batch: str, registry: Registry | None = REGISTRY) -> None:
    ingest(shop.workers, Delivery(str(shop.declaration), shop.uri, batch, AT, from_bronze=True), registry)


def told(shop: Shop) -> list[tuple[Any, ...]]:
    return shop.silver("order_id", "amount", "channel", "_hash", "_time", "_known", "_watermark", "_position")


def test_json_avro_and_protobuf_of_the_same_events_make_the_same_history(tmp_path: Path) -> None:
    found = {}
    for form in ("json", "avro", "protobuf"):
        folder = tmp_path / form
        folder.mkdir()
        shop = shop_of(form, folder)
        shop.archive(
            "orders", [*(sent(form, number) for number in range(1, 9)), sent(form, 2), sent(form, 9, amount=-1)]
        )
        take(shop, "one")
        accounts = shop.accounts()
        assert (accounts.silver, accounts.duplicates, accounts.quarantined) == (8, 1, {"range": 1})
        found[form] = told(shop)
    assert found["json"] == found["avro"] == found["protobuf"]
    assert len(found["json"]) == 8


def test_files_of_a_stream_in_avro_are_the_same_events(tmp_path: Path) -> None:
    shop = shop_of("avro", tmp_path)
    assert shop.deliver("file", orders=orders(1, 4)) is None
    shop.archive("orders", [sent("avro", number) for number in (3, 4, 5)])
    take(shop, "topic")
    found = shop.accounts()
    assert (found.silver, found.duplicates) == (5, 2)


def test_while_the_registry_is_away_nothing_is_judged_and_afterwards_everything_is(tmp_path: Path) -> None:
    shop = shop_of("avro", tmp_path)
    shop.archive("orders", [sent("avro", number) for number in range(1, 9)])
    with pytest.raises(RegistryDown):
        take(shop, "one", Down())
    found = shop.accounts()
    assert (found.waiting, found.silver, found.quarantined) == (8, 0, {})
    assert shop.lake.rows("verdicts") == []
    take(shop, "one")
    assert (shop.accounts().waiting, shop.accounts().silver) == (0, 8)
    shop.archive("orders", [sent("avro", 9)])
    take(shop, "two", Down())  # the lake has the schema by now
    assert shop.accounts().silver == 9


def test_torn_messages_and_those_of_unknown_schemas_are_refused_and_stay_so(tmp_path: Path) -> None:
    shop = shop_of("avro", tmp_path)
    good = [sent("avro", number) for number in range(1, 9)]
    shop.archive("orders", [*good, sent("avro", 9)[:-2], head(99) + b"\x02"])
    take(shop, "one", MemoryRegistry(REGISTRY.schemas))
    assert shop.accounts().quarantined == {"format": 2}
    rows = sorted(shop.lake.rows("quarantine/orders"), key=lambda row: row["position"])
    assert [row["allowed"] for row in rows] == [
        "a value as schema 7 describes it, the whole of it",
        "a schema of avro, which the registry has",
    ]
    assert kept(shop.lake)[99].kind == UNKNOWN
    # an audit reads bronze again, and asks no registry
    pipeline = load_pipeline(str(shop.declaration))
    events = Bronze(shop.lake, pipeline, [shop.lake.version("batches")]).events["orders"]
    assert sorted(events.column("_id").to_pylist()) == [*range(1, 9)]


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_any_bytes_as_a_message_are_a_row_or_refused_and_leave_the_others_alone(tmp_path: Path, form: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 pytest shows it when the test fails
    chance, good = random.Random(seed), [sent(form, number) for number in range(1, 31)]
    torn = [message[: chance.randrange(len(message))] for message in good * 3]
    heads = [b"", b"\x00", head(7), head(8), head(99)]
    noise = [chance.choice(heads) + chance.randbytes(chance.randrange(60)) for _ in range(200)]
    shop = shop_of(form, tmp_path)
    shop.archive("orders", chance.sample([*good, *torn, *noise], 320))
    with pytest.raises(GateStopped, match="of the rows refused"):
        take(shop, "one", MemoryRegistry(REGISTRY.schemas))
    found = shop.accounts()
    assert (found.produced_bronze, found.waiting) == (320, 0)
    assert {row["order_id"] for row in shop.lake.rows("silver/orders")} >= {*range(1, 31)}
    assert found.quarantined["format"] > 200


def test_a_column_that_a_schema_gains_is_told_by_the_gate_of_columns(tmp_path: Path) -> None:
    shop = shop_of("avro", tmp_path)
    gained = avro([*AVRO_FIELDS, {"name": "coupon", "type": "string", "default": ""}])
    row = for_avro({**order(9), "ordered_at": "2026-01-01T10:09:00+00:00"})
    shop.archive("orders", [sent("avro", 1), avro_message(10, gained, {**row, "coupon": "X"})])
    take(shop, "one", MemoryRegistry({**REGISTRY.schemas, 10: gained}))
    (columns,) = [row for row in shop.lake.rows("verdicts") if row["rule"] == "columns" and row["stream"] == "orders"]
    assert (columns["verdict"], columns["message"]) == ("warn", "nobody declared 'coupon' (in 50.00% of the rows)")
    assert shop.accounts().silver == 2


def test_a_refused_message_is_shown_as_its_row_and_goes_back_as_its_bytes_or_not_at_all(tmp_path: Path) -> None:
    shop = shop_of("avro", tmp_path)
    dear = sent("avro", 9, amount=2000.5)
    shop.archive("orders", [*(sent("avro", number) for number in range(1, 9)), dear])
    take(shop, "one")
    stream = load_pipeline(str(shop.declaration)).stream("orders")
    ((row, control),) = controlled(shop.lake, "orders", refused(shop.lake, "orders", Wanted()))
    seen = shown(row, control, "avro", kept(shop.lake))
    assert (seen["_rule"], seen["order_id"], seen["amount"]) == ("range", 9, 2000.5)
    (back,) = mended(stream, [(row, control)], Repair(), None, {})
    assert (back.payload, back.revision, back.op) == (dear, 0, 0)
    with pytest.raises(UserError, match="is avro, and goes back into its topic as it is or not at all"):
        mended(stream, [(row, control)], Repair({"amount": 5}), None, {})
    with pytest.raises(UserError) as stays:
        mended(stream, [(row, control)], Repair(), {("orders", row.place): seen}, {}, reference="my shop.py")
    assert stays.value.next_step == (
        f"sluice quarantine show 'my shop.py' --stream orders --place {row.place} --out rows.jsonl, mend it there, "
        "and sluice ingest 'my shop.py' orders=rows.jsonl"
    )


def test_what_is_shown_of_refused_messages_can_be_mended_and_delivered_as_a_file(tmp_path: Path) -> None:
    shop = shop_of("avro", tmp_path)
    shop.archive("orders", [*(sent("avro", number) for number in range(1, 9)), sent("avro", 9, amount=2000.5)])
    take(shop, "one")
    ((row, control),) = controlled(shop.lake, "orders", refused(shop.lake, "orders", Wanted()))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(orjson.dumps({**shown(row, control, "avro", kept(shop.lake)), "amount": 200.5}))
    shop.waive("orders:count", "mended")
    assert shop.deliver("mended", orders=path) is None
    assert shop.accounts().silver == 9
