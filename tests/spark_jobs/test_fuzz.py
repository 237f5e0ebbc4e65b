"""Files that are damaged, or that nobody meant: none crashes, and every row of those that land is told of."""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import DataError, UserError
from sluice.lake.workers import Here, Workers
from spark_jobs.workers import SparkWorkers
from tests.spark_jobs.deliveries import AT, FILE, MINUTE, Shop, order

OPEN = FILE.with_name("open_shop.py")
EACH = 25
"""Files of one lake: more lakes, and not more batches of one, as each batch looks at those before it."""
STRANGE: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**53, 2**63, 10**400, 1e308, -0.0, 0.1 + 0.2, "", " ", "\x00", "NaN", "inf", "-1",
    "2026-13-45", "2026-01-01T10:00:00+25:00", "0001-01-01", "9999-12-31T23:59:59.9999999Z", "\U0001d564", "é" * 5_000,
    [], [1], {}, {"a": {"b": [None]}}, "null", "{}", "DROP TABLE", "1e999", "\u0663", "\uff11",
]  # fmt: skip
NAMES = ["order_id", "ordered_at", "customer", "amount", "channel", "country", "items", "gift", "_revision", "_op"]
KINDS: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int64(), [1, None, -(2**63)]),
    (pa.float64(), [0.25, float("nan"), float("inf")]),
    (pa.string(), ["1", None, "x"]),
    (pa.timestamp("ns"), [0, 2**62, None]),
    (pa.date32(), [0, 20_000, None]),
    (pa.bool_(), [True, False, None]),
    (pa.decimal128(38, 10), [None, 1, 2]),
    (pa.binary(), [b"\xff", b"", None]),
    (pa.list_(pa.int8()), [[1], [], None]),
    (pa.null(), [None, None, None]),
    (pa.struct({"a": pa.int8()}), [{"a": 1}, None, {"a": None}]),
]
Maker = Callable[[random.Random, Path], Path]


def rows(chance: random.Random) -> list[dict[str, Any]]:
    """A few orders with strange values in some places."""
    found = []
    for number in range(chance.randint(0, 6)):
        row: dict[str, Any] = order(chance.randint(1, 9) + number)
        for _ in range(chance.choice([0, 0, 1, 3])):
            row[chance.choice([*NAMES, "other"])] = chance.choice(STRANGE)
        for _ in range(chance.choice([0, 0, 0, 2])):
            row.pop(chance.choice(NAMES), None)
        found.append(row)
    return found


def lines(chance: random.Random, path: Path) -> Path:
    """JSON lines, with lines among them that are none."""
    told = [json.dumps(row) for row in rows(chance)]
    torn = [
        "",
        "{",
        "[1, 2",
        "null",
        "7",
        '"text"',
        '{"order_id": 1',
        '{"a": NaN}',
        "{}" * 2,
        '{"order_id": 1, "order_id": 2}',
    ]
    for _ in range(chance.choice([0, 1, 2])):
        told.insert(chance.randint(0, len(told)), chance.choice(torn))
    return _written(path.with_suffix(chance.choice([".json", ".jsonl"])), "\n".join(told).encode(errors="replace"))


def table(chance: random.Random, path: Path) -> Path:
    """CSV, with strange dialects, names and numbers of fields."""
    text = io.StringIO()
    names = chance.sample(NAMES, chance.randint(1, len(NAMES))) + ["order_id"] * chance.choice([0, 0, 0, 1])
    out = csv.writer(text, delimiter=chance.choice(",,,,;\t"), lineterminator=chance.choice(["\n", "\r\n"]))
    if chance.random() < 0.95:
        out.writerow(names)
    for row in rows(chance):
        out.writerow([str(row.get(name, "")) for name in names][: chance.choice([99, 99, 99, 2])])
    return _written(path.with_suffix(".csv"), text.getvalue().encode(errors="replace"))


def columns(chance: random.Random, path: Path) -> Path:
    """Parquet whose columns have types that nobody expects."""
    made = {}
    for name in chance.sample(NAMES, chance.randint(1, len(NAMES))):
        kind, values = chance.choice(KINDS)
        made[name] = pa.array(values, kind)
    pq.write_table(pa.table(made), path.with_suffix(".parquet"), row_group_size=chance.choice([1, 2, 10]))
    return path.with_suffix(".parquet")


def damaged(chance: random.Random, path: Path) -> Path:
    """A sound file with bytes that are cut off, changed, put in or doubled."""
    made = chance.choice([lines, table, columns])(chance, path)
    found = bytearray(made.read_bytes())
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, max(0, len(found) - 1))
        how = chance.choice(["cut", "change", "put in", "double"])
        if how == "cut":
            del found[at:]
        elif how == "change" and found:
            found[at] ^= 1 << chance.randint(0, 7)
        elif how == "put in":
            found[at:at] = chance.randbytes(chance.randint(1, 9))
        else:
            found[at:at] = found[at : at + chance.randint(1, 99)]
    return _written(made, bytes(found))


def noise(chance: random.Random, path: Path) -> Path:
    """Bytes that mean nothing, under a name that promises something."""
    return _written(
        path.with_suffix(chance.choice([".parquet", ".csv", ".json", ".txt"])),
        chance.randbytes(chance.choice([0, 1, 500])),
    )


MAKERS: list[Maker] = [lines, table, columns, damaged, damaged, noise]


@pytest.mark.integration
def test_bad_files_crash_nothing_and_every_row_of_those_that_land_is_told_of(tmp_path: Path) -> None:
    several(tmp_path, range(2), Here())


@pytest.mark.soak
def test_a_thousand_bad_files_crash_nothing(spark: SparkWorkers, tmp_path: Path) -> None:
    """Fifty of them on Spark."""
    told = several(tmp_path, range(38), Here()) + several(tmp_path, range(38, 40), spark)
    assert told["files"] == 1_000


@pytest.mark.integration
def test_on_spark_too(spark: SparkWorkers, tmp_path: Path) -> None:
    told = delivered(Shop(tmp_path, spark, file=OPEN), EACH // 2)
    # one that is refused at once gives Spark nothing to do
    assert told["landed"] > 0


def several(folder: Path, lakes: range, workers: Workers) -> Counter[str]:
    """What became of the files of some lakes: some landed, and some did not."""
    told: Counter[str] = Counter()
    for number in lakes:
        told += delivered(Shop(folder / f"{number}", workers, file=OPEN))
    print(type(workers).__name__, dict(told))  # noqa: T201 pytest shows it when the test fails, and the log of a soak
    assert min(told["landed"], told["refused"]) > len(lakes)
    return told


def delivered(shop: Shop, files: int = EACH) -> Counter[str]:
    """What became of some files: each landed whole, or was refused with a message that names it."""
    seed = int(os.environ.get("SLUICE_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"SLUICE_TEST_SEED={seed}")  # noqa: T201 pytest shows it when the test fails
    shop.folder.mkdir(exist_ok=True)
    chance, told = random.Random(seed), Counter[str]()
    for number in range(files):
        path = chance.choice(MAKERS)(chance, shop.folder / f"f{number}")
        before = shop.lake.count("events/orders")
        refused = refusal(shop, f"b{number}", AT + number * MINUTE, path)
        told["files"] += 1
        told["landed" if refused is None else "refused"] += 1
        assert refused is None or (path.name in str(refused) and shop.lake.count("events/orders") == before), refused
    assert shop.ailments() == []
    return told


def refusal(shop: Shop, batch: str, at: int, path: Path) -> DataError | UserError | None:
    """What a person is told of a file that does not land."""
    try:
        stopped = shop.deliver(batch, at, orders=path)
    except (DataError, UserError) as error:
        return error
    assert stopped is None
    return None


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
