"""Topics in Avro and Protobuf on the stream: the events that JSON gives, and none without its schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.engine.fold import MicroBatch
from sluice.engine.store import MemoryStore
from sluice.lake.decoding import Schema
from sluice.lake.schemas import MemoryRegistry, RegistryDown, Schemas, kept
from sluice.lake.tables import Lake
from sluice.stream.fold import FoldConsumer, micro_batch
from sluice.stream.keys import record_key
from sluice.stream.memory import MemoryRecord
from tests.sluice.lake.messages import head, shop_in
from tests.spark_jobs.test_ingest_formats import REGISTRY, Down, sent

pytestmark = pytest.mark.unit

FORMS = ("json", "avro", "protobuf")


def pipeline_in(form: str, folder: Path) -> Pipeline:
    return load_pipeline(str(shop_in(form, folder)))


def records(form: str) -> list[MemoryRecord]:
    """Eight orders, and one that the contract refuses."""
    payloads = [*(sent(form, number) for number in range(1, 9)), sent(form, 9, amount=-1)]
    return [MemoryRecord("shop.orders", 0, offset, 1_767_264_000_000, body) for offset, body in enumerate(payloads)]


def batch_in(form: str, folder: Path) -> MicroBatch:
    lake = Lake(str(folder / form), "shop")
    return micro_batch(pipeline_in(form, folder), records(form), {}, schemas=Schemas(lake, REGISTRY))


def test_json_avro_and_protobuf_of_the_same_events_fold_the_same(tmp_path: Path) -> None:
    json, avro, protobuf = (batch_in(form, tmp_path) for form in FORMS)
    assert json.events["orders"] == avro.events["orders"] == protobuf.events["orders"]
    assert json.positions == avro.positions == protobuf.positions
    assert len(json.events["orders"]) == 8


def test_a_message_is_keyed_by_the_id_in_it(tmp_path: Path) -> None:
    for form in FORMS:
        stream = pipeline_in(form, tmp_path).stream("orders")
        assert record_key(stream, sent(form, 5), REGISTRY.schemas) == b"5"
    assert record_key(stream, b"{", REGISTRY.schemas) is None


def test_a_fold_without_the_registry_folds_nothing_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    lake, store, pipeline = Lake(str(tmp_path), "shop"), MemoryStore(), pipeline_in("avro", tmp_path)
    consumer = FoldConsumer(pipeline, store, "", schemas=Schemas(lake, Down()))
    with pytest.raises(RegistryDown):
        consumer.fold(records("avro"), {})
    assert store.read([]).knowledge.positions == {}
    FoldConsumer(pipeline, store, "", schemas=Schemas(lake, REGISTRY)).fold(records("avro"), {})
    assert store.read([]).knowledge.offset(("shop.orders", 0)) == 9
    assert kept(lake) == {7: REGISTRY.schemas[7]}


def test_what_the_fold_learned_of_a_schema_ingest_judges_by(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    unknown = [MemoryRecord("shop.orders", 0, 0, 1_767_264_000_000, head(99) + b"\x02")]
    fold = Schemas(lake, MemoryRegistry(), again_s=())
    batch = micro_batch(pipeline_in("avro", tmp_path), unknown, {}, schemas=fold)
    assert len(batch.events["orders"]) == 0
    ingest = Schemas(lake, MemoryRegistry({99: Schema("avro", "{}")}))
    assert ingest.of(pipeline_in("avro", tmp_path).stream("orders"), [head(99)])[99].kind == ""
