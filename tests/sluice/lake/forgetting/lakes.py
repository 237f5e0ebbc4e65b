"""A market's lake in which one customer is everywhere, and a search of every byte that a lake keeps."""

from __future__ import annotations

import gc
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.declare.durations import HOUR
from sluice.declare.loading import load_pipeline
from sluice.engine.encode import text_hash
from sluice.lake.asof import newest, publish
from sluice.lake.asof_rows import judge
from sluice.lake.delivery import Delivery
from sluice.lake.handing import hand_over
from sluice.lake.keeping import holds
from sluice.lake.plan import Plan
from sluice.lake.publish import commit_folder
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import batch_of, claim
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, keep
from sluice.lake.workers import Here
from sluice.local.replay import REQUESTS
from sluice.monitor.audit import AUDITS
from sluice.settings import settings
from sluice.stream.predictions import PREDICTIONS, REFUSED_PREDICTIONS
from spark_jobs.backfill import backfill
from spark_jobs.ingest import ingest
from tests.spark_jobs.deliveries import AT, Shop

FILE = Path(__file__).parent / "market.py"
PIPELINE = load_pipeline(str(FILE))
ZEBRA = "zebra-7731"
FIRST = 7_731_000_001
"""The ids of the customer's orders begin here, as do those of nobody else."""


class Market(Shop):
    """The lake of a market."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder, file=FILE)
        self.lake = Lake(self.uri, "market")

    def file(self, name: str, rows: list[dict[str, Any]]) -> Path:
        """Rows as JSON lines, so that any value can be in any column."""
        path = self.folder / f"{name}.jsonl"
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
        return path

    def copied(self, folder: Path) -> Market:
        """The same lake once more."""
        shutil.copytree(self.folder, folder)
        found = Market(folder)
        found.archived_like(self)
        return found

    def load(self, levels: Mapping[str, int]) -> None:
        """Load how loyal customers are, from the beginning of time."""
        table = PIPELINE.tables["loyalty"]
        rows = [{"valid_from": "2020-01-01", "customer": who, "level": level} for who, level in levels.items()]
        publish(self.lake, table, judge(table, rows).accepted, source="a test", at=AT - 9 * HOUR)

    def computed(self, *, at: int = AT, whole: bool = False) -> list[str]:
        """Have vectors and tiles computed; what was told."""
        told: list[str] = []
        if self.lake.version("asof/loyalty") < 0:
            self.load({ZEBRA: 7, "c1": 1, "c2": 2})
        versions = tuple(newest(self.lake, PIPELINE).items())
        plan = Plan(str(FILE), self.uri, self.lake.version("batches"), at, 1, asof=versions)
        for one in (plan, plan.as_served()):
            backfill(Here(), one, whole=whole, tell=told.append)
        return told


def order(number: int, customer: str = "c1", **changes: Any) -> dict[str, Any]:
    """An order of a minute of its own; the seller is one of two."""
    good = {
        "order_id": number,
        "ordered_at": f"2026-01-01 0{number % 9}:{number % 59:02}:00",
        "customer": customer,
        "seller": 70 + number % 2,
        "amount": number % 90 + 0.25,
        "channel": "web",
    }
    return {**good, **changes}


def zebra(number: int, **changes: Any) -> dict[str, Any]:
    """An order of the customer."""
    return order(FIRST + number, ZEBRA, **changes)


def returned(order_id: int, number: int, **changes: Any) -> dict[str, Any]:
    """What is told about an order."""
    return {
        "return_id": number,
        "told_at": "2026-01-01 09:30:00",
        "order_id": order_id,
        "returned": True,
        **changes,
    }


def remember_by(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pseudonyms made under a key."""
    monkeypatch.setenv("SLUICE_ERASURE_KEY", key)
    settings.cache_clear()


def made(folder: Path) -> Market:
    """A lake whose every table has something of the customer: of files, of a topic, refused, stopped and answered."""
    shop = Market(folder)
    first = [*(order(number, f"c{number % 3}") for number in range(1, 30)), *(zebra(number) for number in range(6))]
    bad = [zebra(20, channel="fax"), zebra(21, amount="many"), order(50, channel="fax")]
    conflict = [zebra(3, amount=77), zebra(4)]
    told = [returned(FIRST + 1, 501), returned(FIRST + 2, 502), returned(4, 503), returned(FIRST + 3, 504)]
    assert shop.deliver("first", orders=[*first, *bad, *conflict], returns=told) is None
    torn = b'{"order_id": 7731000030, "customer": "zebra-7731", "sel'
    shop.archive("orders", [zebra(7, _known=AT), order(60), torn, zebra(8), order(61, "c2")])
    assert shop.deliver("archived-1", from_bronze=True) is None
    shop.computed()
    _trained(shop, "before", 0)
    corrected = [zebra(5, _revision=1, amount=5), order(62, "c2")]
    assert shop.deliver("second", at=AT + HOUR, orders=corrected) is None
    shop.load({ZEBRA: 8, "c1": 1, "c2": 2, "c0": 3})
    shop.computed(at=AT + HOUR)
    _replayed(shop)
    _stopped(shop)
    shop.archive("orders", [zebra(9), order(64)])
    _answered(shop)
    _left(shop)
    lifted = holds.place(shop.lake, PIPELINE, f"customer={ZEBRA}", by="Ada", because="a case", at=AT)
    holds.lift(shop.lake, lifted.hold, by="Bob", because="closed", at=AT + 1)
    opened = shop.lake.open("silver/orders")
    assert opened is not None
    opened.create_checkpoint()
    _trained(shop, "after", shop.lake.version("vectors"))
    gc.collect()
    return shop


def _replayed(shop: Market) -> None:
    """A refused order goes back mended; it was the customer's from the beginning."""
    rows = [row for row in refused(shop.lake, "orders", Wanted(rule="category")) if ZEBRA.encode() in row.payload]
    taken = mended(PIPELINE.events, controlled(shop.lake, "orders", rows), Repair(values={"channel": "web"}), None, {})
    replay = claim(shop.lake, "orders", taken, by="Ada", because="faxes are the web", at=AT)
    ingest(Here(), Delivery(str(FILE), shop.uri, batch_of(replay.name), AT, replay=replay.name))


def _stopped(shop: Market) -> None:
    """A batch that a gate stops, as half of it is refused."""
    rows = [zebra(40), zebra(41, amount=-1), order(65, amount=-1), order(66)]
    assert shop.deliver("stopped", orders=rows) is not None


def _answered(shop: Market) -> None:
    answers = [
        {
            "request_id": f"r-{row['order_id']}",
            "event_id": str(row["order_id"]),
            "event_time": AT - 7 * HOUR,
            "answered": AT,
            "request": orjson.dumps(row).decode(),
            "keys": json.dumps({"customer": row["customer"], "seller": row["seller"]}),
            "knowledge": json.dumps({"base": 0, "positions": {}}),
            "definition": PIPELINE.definition,
            "vector": b"",
            "position": number,
        }
        for number, row in enumerate([zebra(1), zebra(99), order(1)])
    ]
    shop.lake.append_rows("predictions", answers, PREDICTIONS)
    refused_ = [{"payload": text, "position": at} for at, text in enumerate([b'{"customer": "zebra-7731"', b"{}"])]
    shop.lake.append_rows("predictions_refused", refused_, REFUSED_PREDICTIONS)
    audits = [{"request_id": "r", "event_id": one["event_id"], "at": AT} for one in answers]
    shop.lake.append_rows("audits", audits, AUDITS)
    problem = f"customer {ZEBRA}: no such seller"
    shop.lake.append_rows("requests", [{"request_id": "r", "problem": problem}, {"request_id": "s"}], REQUESTS)


def _left(shop: Market) -> None:
    """What runs that died have left: staged files that no log names, and what tasks handed to each other."""
    lake, rows = shop.lake, shop.lake.read("silver/orders")
    for table, name in (("silver/orders", "staged-dead"), ("vectors", "backfill-dead")):
        path = Path(lake.uri(f"{table}/{name}/0.parquet"))
        path.parent.mkdir(parents=True)
        pq.write_table(rows if table != "vectors" else lake.read("vectors"), path)
    hand_over(lake.uri("work/dead/0.arrow"), rows)
    then = time.time() - 3600
    os.utime(lake.uri("work/dead/0.arrow"), (then, then))


def _trained(shop: Market, name: str, version: int) -> None:
    keep(shop.lake, TrainingSet("market", name, "*", "vectors", version, 0, AT, "d", AT))


def untouched_version(shop: Market) -> int:
    """A version of the vectors that has nothing of the customer, and a model that was trained on it."""
    rows = shop.lake.read("vectors")
    others = rows.filter(pa.array([one != ZEBRA for one in rows.column("customer").to_pylist()]))
    path = Path(shop.lake.uri("vectors/others/0.parquet"))
    path.parent.mkdir(parents=True)
    pq.write_table(others, path)
    commit_folder(shop.lake, "vectors", "others", markers=["others"], replace=True)
    _trained(shop, "others", shop.lake.version("vectors"))
    return shop.lake.version("vectors")


def mentions(folder: Path, ids: Iterable[int] = ()) -> list[str]:
    """The files below a folder that have the customer, or one of some ids: raw, decoded, and within values."""
    words = [ZEBRA.encode(), str(text_hash(ZEBRA)).encode(), _word(text_hash(ZEBRA))]
    words += [word for one in ids for word in (str(one).encode(), _word(one))]
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and any(word in text for text in _texts(file) for word in words)
    )


def _word(number: int) -> bytes:
    return number.to_bytes(8, "little", signed=True)


def _texts(file: Path) -> Iterator[bytes]:
    yield file.read_bytes()
    if file.suffix == ".parquet":
        read = pq.ParquetFile(file)
        yield str(read.metadata.to_dict()).encode()
        for column in read.read().columns:
            values = column.to_pylist()
            yield from (one for one in values if isinstance(one, bytes))
            yield str(values).encode()
    if file.suffix == ".arrow":
        with pa.ipc.open_file(file) as reader:
            yield str(reader.read_all().to_pydict()).encode()
