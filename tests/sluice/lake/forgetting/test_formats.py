"""Topics with registered schemas: what they have of an entity goes too, whatever a person has sent back of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.declare.durations import HOUR
from sluice.declare.loading import load_pipeline
from sluice.lake.forgetting.forget import forget
from sluice.lake.forgetting.plan import entity_of
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import claim, finish
from tests.spark_jobs.deliveries import AT
from tests.spark_jobs.test_ingest_formats import sent, shop_of, take

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_a_refused_message_that_was_sent_back_goes_with_its_customer(tmp_path: Path, form: str) -> None:
    """Orders 3, 6, 9 and 12 are customer c0's, and 9, 10 and 12 are too dear."""
    shop = shop_of(form, tmp_path)
    pipeline = load_pipeline(str(shop.declaration))
    dear = [sent(form, number, amount=2000.5) for number in (9, 10, 12)]
    shop.archive("orders", [*(sent(form, number) for number in range(1, 9)), sent(form, 3), *dear])
    take(shop, "one")
    rows = controlled(shop.lake, "orders", refused(shop.lake, "orders", Wanted()))
    back = mended(pipeline.events, rows, Repair(), None, {})
    replay = claim(shop.lake, "orders", back, by="Ada", because="they are dear", at=AT)
    finish(shop.lake, replay, {})

    c0 = entity_of(pipeline, "customer=c0", AT + HOUR)
    receipt = forget(shop.lake, pipeline, c0, pseudonyms_of("a secret"), lambda _: None, by="Ada", because="a letter")
    assert {table: receipt.rows[table] for table in ("events/orders", "replays")} == {"events/orders": 5, "replays": 2}
    assert sorted(number for (number,) in shop.silver("order_id")) == [1, 2, 4, 5, 7, 8]
    assert [row["payload"] for row in shop.lake.rows("replays")] == [dear[1]]
    found = shop.accounts()
    assert (found.silver, found.duplicates, found.quarantined, found.erased) == (6, 0, {"range": 1}, 5)
