"""An entity is found in messages with registered schemas, be they judged, refused and taken up, or only archived."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.declare.durations import HOUR
from sluice.declare.loading import load_pipeline
from sluice.errors import UserError
from sluice.lake.contract import ERASED
from sluice.lake.forgetting.erasures import Receipt, receipts
from sluice.lake.forgetting.forget import forget
from sluice.lake.forgetting.plan import entity_of
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import claim
from sluice.lake.schemas import Registry, RegistryDown, kept
from tests.sluice.lake.forgetting.lakes import remember_by
from tests.spark_jobs.deliveries import AT, Shop
from tests.spark_jobs.test_ingest_formats import REGISTRY, Down, sent, shop_of, take

pytestmark = pytest.mark.integration


@pytest.fixture(params=["avro", "protobuf"])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose topic has four orders, of which the first and the last are the customer's."""
    remember_by("a secret", monkeypatch)
    shop = shop_of(request.param, tmp_path)
    shop.archive("orders", [sent(request.param, number) for number in (1, 2, 3, 4)])
    return shop


def gone(shop: Shop, registry: Registry | None = REGISTRY) -> Receipt:
    pipeline, names = load_pipeline(str(shop.declaration)), pseudonyms_of("a secret")
    entity = entity_of(pipeline, "customer=c1", AT + HOUR)
    return forget(shop.lake, pipeline, entity, names, lambda _: None, by="Ada", because="a letter", registry=registry)


def emptied(shop: Shop) -> list[int]:
    return sorted(row["position"] for row in shop.lake.rows("events/orders") if row["op"] == ERASED)


def test_what_nobody_has_judged_yet_is_read_by_the_schemas_that_the_registry_has(shop: Shop) -> None:
    told = gone(shop)
    assert (told.state, told.rows) == ("done", {"events/orders": 2})
    assert emptied(shop) == [0, 3]
    assert len(kept(shop.lake)) == 1
    take(shop, "a", Down())
    assert shop.silver("_id", "customer") == [(2, "c2"), (3, "c0")]
    assert (shop.accounts().erased, shop.ailments()) == (2, [])


def test_without_the_registry_nobody_is_forgotten_as_nobody_knows_what_is_there(shop: Shop) -> None:
    with pytest.raises(RegistryDown):
        gone(shop, Down())
    with pytest.raises(UserError, match="and no registry is named\n  next: set SLUICE_SCHEMA_REGISTRY_URL"):
        gone(shop, None)
    assert (receipts(shop.lake), emptied(shop)) == ([], [])
    take(shop, "a")
    assert gone(shop, Down()).rows == {"events/orders": 2, "silver/orders": 2}


def test_a_refused_message_that_a_person_took_up_goes_as_well(shop: Shop) -> None:
    form = shop.declaration.stem.rpartition("_")[2]
    bad = [sent(form, number, amount=2000.5) for number in (5, 7)]
    shop.archive("orders", [*bad, *(sent(form, number) for number in (6, 8, 9))])
    take(shop, "a")
    rows = controlled(shop.lake, "orders", refused(shop.lake, "orders", Wanted()))
    taken = mended(load_pipeline(str(shop.declaration)).events, rows, Repair(), None, {})
    claim(shop.lake, "orders", taken, by="Ada", because="they were right", at=AT, ends={0: 9})
    told = gone(shop)
    assert told.rows == {"events/orders": 3, "quarantine/orders": 1, "replays": 1, "silver/orders": 2}
    assert [row["position"] for row in shop.lake.rows("replays")] == [4]
    assert emptied(shop) == [0, 3, 5]
