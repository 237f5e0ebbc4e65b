"""Where a prediction, a model and a table came from: down to the files and the offsets, by name."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.errors import UserError
from sluice.lake.lineage.drawing import drawn
from sluice.lake.lineage.graph import Lineage, Node
from sluice.lake.lineage.words import lines
from sluice.lake.training_sets import TrainingSet, keep
from tests.spark_jobs.deliveries import AT, HOUR, Shop, order, orders, returned

pytestmark = pytest.mark.integration

BACKFILLS = pa.schema(
    {"number": pa.int64(), "state": pa.string(), "name": pa.string(), "meaning": pa.string()}
    | {"base": pa.int64(), "at": pa.int64(), "parts": pa.int32(), "asof": pa.string()}
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A file and archived events that are history, vectors of them, a model of those, and an answer of that."""
    shop = Shop(tmp_path)
    shop.deliver("a", orders=orders(1, 10), returns=[returned(1), returned(2)])
    shop.archive("orders", [order(30), order(31), order(32)])
    shop.deliver("archived-1", at=AT + HOUR, from_bronze=True)
    lake, base = shop.lake, shop.lake.version("batches")
    row = {"number": 0, "state": "done", "name": "backfill-one", "meaning": "m", "base": base, "at": AT + HOUR}
    lake.append_rows("backfills", [{**row, "parts": 4, "asof": json.dumps({"holidays": 2})}], BACKFILLS)
    lake.append("vectors", pa.table({"event_id": [1, 2]}), once="backfill-one")
    keep(lake, TrainingSet("shop-web", "3", "web", "vectors", 0, AT - 9 * HOUR, AT, "def", AT + 2 * HOUR))
    knowledge = {"base": base, "positions": {"shop.orders/0": 5}, "tables": {"holidays": 2}}
    answer = {
        "request_id": ["r1", "r1"],
        "event_id": ["77", "77"],
        "event_time": [AT + 3 * HOUR] * 2,
        "decision": ["refuse", ""],
        "score": [0.75, 0.5],
        "segment": ["web"] * 2,
        "definition": ["def"] * 2,
        "knowledge": [json.dumps(knowledge)] * 2,
        "model": ["shop-web", "shop-web"],
        "version": ["3", "4"],
        "role": ["champion", "shadow"],
    }
    lake.append("predictions", pa.table(answer))
    return shop


def told(shop: Shop, node: Node) -> list[str]:
    """The lines, with the names that every run has of its own in words."""
    rows = shop.lake.rows("files")
    names = {row["source"]: f"<{Path(row['path']).name}>" for row in rows}
    names |= {row["path"]: Path(row["path"]).name for row in rows}
    names |= {batch["run"]: "<run>" for batch in shop.lake.published()}
    names |= {f"{row['bytes']:,} bytes": "<bytes>" for row in rows}
    found = list(lines(node))
    for name, word in names.items():
        found = [line.replace(name, word) for line in found]
    return found


def test_a_prediction_leads_to_its_model_and_to_the_files_and_offsets_it_was_computed_from(shop: Shop) -> None:
    assert told(shop, Lineage(shop.lake).prediction("r1")) == [
        "prediction r1/77: refuse, score 0.7500, at 2026-01-01T13:40:00Z, segment web",
        "├─ vector definition def: as it was served",
        "│  ├─ base 2: 3 batches, 15 rows",
        "│  │  ├─ batch orders:a: 10 rows at 2026-01-01T10:40:00Z, run <run>",
        "│  │  │  └─ file a-orders.parquet: <a-orders.parquet>, rows up to 9, <bytes>",
        "│  │  ├─ batch returns:a: 2 rows at 2026-01-01T10:40:00Z, run <run>",
        "│  │  │  └─ file a-returns.parquet: <a-returns.parquet>, rows up to 1, <bytes>",
        "│  │  └─ batch orders:archived-1: 3 rows at 2026-01-01T11:40:00Z, run <run>",
        "│  │     └─ topic shop.orders/0: offsets up to 2",
        "│  ├─ topic shop.orders/0: offsets up to 4",
        "│  └─ table asof/holidays@2",
        "└─ model shop-web/3: segment web, trained at 2026-01-01T12:40:00Z",
        "   └─ training set of shop-web/3: events from 2026-01-01T01:40:00Z to 2026-01-01T10:40:00Z",
        "      └─ table vectors@0: by backfill-one at 2026-01-01T11:40:00Z",
        "         ├─ base 2: 3 batches, 15 rows (as above)",
        "         └─ table asof/holidays@2",
    ]


def test_a_model_leads_to_the_vectors_it_was_trained_on(shop: Shop) -> None:
    found = told(shop, Lineage(shop.lake).model("shop-web/3"))
    assert found[0] == "model shop-web/3: segment web, trained at 2026-01-01T12:40:00Z"
    assert "      ├─ base 2: 3 batches, 15 rows" in found


def test_a_table_leads_to_the_batches_and_bronze_to_the_files(shop: Shop) -> None:
    lineage = Lineage(shop.lake)
    assert told(shop, lineage.table("silver/returns")) == [
        "table silver/returns@0",
        "└─ batch returns:a: 2 rows at 2026-01-01T10:40:00Z, run <run>",
        "   └─ file a-returns.parquet: <a-returns.parquet>, rows up to 1, <bytes>",
    ]
    assert told(shop, lineage.table("events/returns"))[1] == (
        "└─ file a-returns.parquet: <a-returns.parquet>, <bytes>, batch a"
    )
    assert lineage.table("vectors@0").about.startswith("by backfill-one")


def test_of_a_store_in_shards_what_each_key_knew_is_told_together(shop: Shop) -> None:
    keys = {"customer": {"base": 2, "positions": {"shop.orders/0": 3}}, "order": {"base": 1, "positions": {}}}
    row = shop.lake.read("predictions").slice(0, 1).to_pylist()[0]
    shop.lake.append(
        "predictions", pa.Table.from_pylist([{**row, "request_id": "r2", "knowledge": json.dumps({"keys": keys})}])
    )
    vector = Lineage(shop.lake).prediction("r2").made_of[0]
    assert [(one.kind, one.name, one.about) for one in vector.made_of] == [
        ("base", "1", "2 batches, 12 rows"),
        ("base", "2", "3 batches, 15 rows"),
        ("topic", "shop.orders/0", "offsets up to 2"),
    ]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("prediction", "r9", "there is no prediction 'r9'"),
        ("model", "shop-web/4", "unknown model 'shop-web/4'"),
        ("table", "silver/order", "there is no table 'silver/order'"),
        ("table", "vectors@7", "there is no table 'vectors@7'"),
        ("table", "vectors@x", "'x' is no version"),
    ],
)
def test_what_is_not_there_is_named(shop: Shop, kind: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        getattr(Lineage(shop.lake), kind)(name)


def test_of_very_many_things_the_last_are_told_and_the_others_counted() -> None:
    node = Node("base", "1", "", tuple(Node("batch", f"b{number}") for number in range(20)))
    assert len(list(lines(node, most=19))) == 21  # one alone is not left out
    assert list(lines(node, most=2)) == ["base 1", "├─ … and 18 more before (--all)", "├─ batch b18", "└─ batch b19"]
    assert len(list(lines(node, most=None))) == 21


def test_the_picture_has_every_thing_once_and_is_whole_xml(shop: Shop) -> None:
    text = drawn(Lineage(shop.lake).prediction("r1"))
    root = ET.fromstring(text)  # noqa: S314 our own text
    titles = [one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert titles[0] == "Lineage of prediction r1/77"
    assert len(titles) == len(set(titles))
    assert sum(title.startswith("base 2") for title in titles) == 1
    # two things are part of two others each
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == len(titles[1:]) - 1 + 2
