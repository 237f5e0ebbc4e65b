"""The audit finds nothing where nothing is wrong, and exactly what is where something is."""

from __future__ import annotations

import math
import re
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import orjson
import pyarrow as pa
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.engine.layout import FLAGS, PRESENT, TIME, VALUES, width
from sluice.engine.store import MemoryStore
from sluice.errors import Outage, UserError
from sluice.lake.accounts import accounts
from sluice.lake.keeping.present import tables
from sluice.lake.keeping.retired import RETIREMENTS
from sluice.lake.tables import Lake
from sluice.lake.typing import times
from sluice.monitor.audit import Served, audit, served_rows
from tests.sluice.monitor.serving import Serving, payment
from tests.sluice.stream.feeds import START, Message, feed
from tests.sluice.stream.histories import FILE
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

NAMES = [place.name for place in pipeline.features]
SIZE, FILES = 900, 300
TOPIC = "payments.payments/0"
MEANS = ("spend__mean_amount_6h", "moment__amount_per_spend_mean_amount_6h")


@pytest.fixture(params=["first", "second"])
def seed() -> int:
    found = secrets.randbits(32)
    print(f"seed {found}")  # noqa: T201 pytest shows it when the test fails
    return found


def test_what_was_served_is_what_bronze_says(tmp_path: Path, seed: int) -> None:
    """With revisions, moved keys and tellers, late and expired events, garbage, and a new base in the middle."""
    messages = feed(seed, SIZE)
    serving = Serving.start(tmp_path, messages[:FILES], seed)
    asked = next(row for message in messages if (row := payment(message)))

    for start in serving.run(messages[FILES:]):
        if start == 280:
            serving.restart()
            serving.serve([{**asked, "paid_at": rfc3339(messages[FILES + start].at)}])  # knows only the base
            serving.catch_up()

    found = serving.audit()
    assert [item for item in found if item.differences] == []
    assert len(found) > 150
    assert len({item.served.knowledge for item in found}) > 12
    assert len({item.served.base for item in found}) == 2


@pytest.mark.parametrize(
    ("word", "bit", "features"),
    [(FLAGS, PRESENT, {"spend__count_6h", *MEANS}), (VALUES, 1, set(MEANS))],
    ids=["that an event counts", "what it adds"],
)
def test_a_flipped_bit_in_a_tile_names_the_vectors_that_read_it(
    tmp_path: Path, seed: int, word: int, bit: int, features: set[str]
) -> None:
    messages = feed(seed, SIZE)
    serving = Serving.start(tmp_path, messages[:FILES], seed)
    for _ in serving.run(messages[FILES:600]):
        continue
    now = messages[599].at
    card, time = flip(tmp_path / "online.db", now - 2 * HOUR, word, bit)

    expected = {}
    for row in ((who, now + half * HOUR // 2) for who in range(12) for half in range(8)):
        serving.serve([asked(*row)])
        if row[0] == card and row[1] - 6 * HOUR < time:
            expected[f"r{serving.answers}-0"] = features

    assert len(expected) > 3
    assert serving.named() == expected


@pytest.mark.parametrize("origin", ["file", "topic"])
def test_an_altered_row_of_bronze_names_the_vectors_whose_windows_hold_it(
    tmp_path: Path, seed: int, origin: str
) -> None:
    messages = feed(seed, SIZE)
    serving = Serving.start(tmp_path, messages[:FILES], seed)
    for _ in serving.run(messages[FILES:]):
        continue
    assert serving.named() == {}
    event = plain_event(messages[FILES - 40 : FILES] if origin == "file" else messages[500:540], messages)
    position = alter(serving.history.lake, event, lambda row: {**row, "amount": row["amount"] + 5_000})

    served = served_rows(serving.history.lake.read("predictions").to_pylist())
    expected = {item.request_id: reading(item, event, -1 if origin == "file" else position) for item in served}

    assert sum(map(bool, expected.values())) > 3
    assert serving.named() == {name: features for name, features in expected.items() if features}


def test_an_altered_log_of_answers_is_named(tmp_path: Path) -> None:
    messages = feed(1, FILES)
    serving = Serving.start(tmp_path, messages, 1)
    for who in range(5):
        serving.serve([asked(who, messages[-1].at)])
    serving.history.archive()
    lake = serving.history.lake

    def bend(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        vector = bytearray(rows[3]["vector"])
        vector[8 * NAMES.index("spend__count_6h")] ^= 1
        return [{**row, "vector": bytes(vector)} if row is rows[3] else row for row in rows]

    bent = rewrite(lake, "predictions", bend)

    assert serving.named() == {bent[3]["request_id"]: {"spend__count_6h"}}


def test_a_vector_whose_windows_reach_back_to_what_retention_dropped_is_left_out(tmp_path: Path) -> None:
    """The risk of a shop looks back ten hours and eight more."""
    messages = feed(1, FILES)
    serving = Serving.start(tmp_path, messages, 1)
    now = messages[-1].at
    for time in (now, now + HOUR):
        serving.serve([asked(3, time)])
    gone = {"retirement": "r", "stream": "payments", "before": now - 18 * HOUR + 1, "at": now, "rows": 0}
    assert len(serving.audit()) == 2
    serving.history.lake.append_rows("retirements", [{**gone, "duplicates": 0}], RETIREMENTS)
    assert [item.served.event_time for item in serving.audit()] == [now + HOUR]


def test_packed_tables_say_the_same_of_what_was_served(tmp_path: Path, seed: int) -> None:
    """Every table that may be packed is, and a version that K names is read as it was."""
    messages = feed(seed, SIZE)
    serving = Serving.start(tmp_path, messages[:FILES], seed)
    for start in serving.run(messages[FILES:]):
        if start == 280:
            serving.restart()
    before = serving.audit()
    lake = serving.history.lake
    for table in tables(lake):
        held = lake.open(table)
        assert held is not None
        held.optimize.compact()
    assert len(before) > 150
    assert serving.audit() == before


def test_a_dropped_and_a_doubled_event_leave_sums_that_do_not_close(tmp_path: Path) -> None:
    messages = feed(2, 400)
    serving = Serving.start(tmp_path, messages[:FILES], 2)
    serving.fold(messages[FILES:])
    serving.history.archive()
    serving.history.ingest_archived("archived", messages[-1].at)
    lake = serving.history.lake
    assert [accounts(lake, stream.name).missing for stream in pipeline.streams] == [0, 0]

    event = plain_event(messages[FILES:340], messages)
    rewrite(lake, "events/payments", lambda rows: [row for row in rows if not is_of(row, event)])
    assert accounts(lake, "payments").missing == -1

    rewrite(lake, "events/disputes", lambda rows: [*rows, rows[0]])
    assert accounts(lake, "disputes").missing == 1


def test_nothing_is_known_without_a_base_and_topics(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, feed(3, 200), 3)
    serving.serve([asked(1, START + 3 * HOUR)])
    lost = replace_store(serving)
    degraded = lost.serve([asked(1, START + 3 * HOUR), asked(None, START)])

    found = serving.audit()

    assert [item.differences for item in found] == [{}, {}, {}]
    assert [item.served.base for item in found][:2] == [-1, -1]
    assert degraded[0] != found[2].served.vector


def test_the_audit_waits_for_the_archive(tmp_path: Path) -> None:
    messages = feed(4, 400)
    serving = Serving.start(tmp_path, messages[:FILES], 4)
    serving.history.archive()
    lake, known = serving.history.lake, one_served(serving)

    with pytest.raises(Outage, match=rf"know {TOPIC} up to offset 3, and the archive has 0"):
        audit(lake, pipeline, [replace(known, positions={TOPIC: 3})])

    serving.fold(messages[FILES:])
    serving.history.archive()
    assert len(audit(lake, pipeline, [replace(known, positions={TOPIC: 3})])) == 1


def test_vectors_of_another_definition_are_refused(tmp_path: Path) -> None:
    serving = Serving.start(tmp_path, feed(5, 100), 5)

    with pytest.raises(UserError, match="definition 0123456789abcdef"):
        audit(serving.history.lake, pipeline, [replace(one_served(serving), definition="0123456789abcdef")])


def test_nothing_served_is_nothing_to_audit(tmp_path: Path) -> None:
    assert audit(Lake(str(tmp_path), pipeline.name), pipeline, []) == []


def test_the_example_of_the_page_audits_everything(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "audit.md").read_text()
    names: dict[str, Any] = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)  # noqa: S102 the page's own example
    serving = Serving.start(tmp_path, feed(6, 200), 6)
    serving.serve([asked(1, START + 4 * HOUR), asked(2, START + 4 * HOUR)])
    serving.history.archive()

    found = names["audit_everything"](str(tmp_path / "lake"), str(FILE), at=17)

    assert found == 0
    assert [(row["equal"], row["at"]) for row in serving.history.lake.rows("audits")] == [(True, 17)] * 2


def asked(card: int | None, at: int) -> dict[str, Any]:
    """A request at a moment."""
    row = {"payment_id": 10**9, "paid_at": rfc3339(at), "card": card, "shop": "a", "bank": None, "amount": 12.5}
    return {**row, "channel": "pos", "country": "DE"}


def one_served(serving: Serving) -> Served:
    vector = serving.serve([asked(1, START)])[0]
    return Served("r", "1", asked(1, START), START, pipeline.definition, serving.base, {}, vector)


def replace_store(serving: Serving) -> Serving:
    """The same service, which cannot read its store any more."""
    return replace(serving, store=MemoryStore(), answers=1_000)


def plain_event(among: list[Message], messages: list[Message]) -> dict[str, Any]:
    """A payment that came in time, once, and was never corrected."""
    rows = [(row, message.at) for message in messages if (row := payment(message))]
    ids = [row["payment_id"] for row, _ in rows]
    broken = [message.payload for message in messages if message.headers]
    wanted = [row for message in among if (row := payment(message)) and not message.headers]
    at = {row["payment_id"]: moment for row, moment in rows}
    return next(
        row
        for row in wanted
        if ids.count(row["payment_id"]) == 1
        and row["amount"] < 5_000
        and moment_of(row) > at[row["payment_id"]] - HOUR // 10
        and not any(b'"payment_id":%d,' % row["payment_id"] in payload for payload in broken)
    )


def moment_of(row: dict[str, Any]) -> int:
    return int(times([row["paid_at"]]).values.cast(pa.int64())[0].as_py())


def reading(item: Served, event: dict[str, Any], position: int) -> set[str]:
    """The features of a served vector whose windows hold the amount of an event, by their definition."""
    mine, time = moment_of(event), moment_of(dict(item.request))
    identity = math.inf if item.request["payment_id"] is None else item.request["payment_id"]
    if item.positions.get(TOPIC, 0) <= position or (mine, event["payment_id"]) >= (time, identity):
        return set()
    found = set()
    if item.request["card"] == event["card"] and mine > time - 6 * HOUR:
        found |= {"spend__mean_amount_6h"}
        found |= {"moment__amount_per_spend_mean_amount_6h"} if item.request["amount"] else set()
    if item.request["card"] == event["card"] and mine > time - HOUR:
        found |= {"spend__sum_amount_1h"}
    if item.request["shop"] == event["shop"] and mine > time - 4 * HOUR:
        found |= {"traffic__mean_amount_4h"}
    return found


def is_of(row: dict[str, Any], event: dict[str, Any]) -> bool:
    return b'"payment_id":%d,' % event["payment_id"] in row["payload"]


def alter(lake: Lake, event: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Change the payload of one event in bronze; its position."""
    found: list[int] = []

    def bend(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found.extend(row["position"] for row in rows if is_of(row, event))
        return [
            {**row, "payload": orjson.dumps(change(orjson.loads(row["payload"])))} if is_of(row, event) else row
            for row in rows
        ]

    rewrite(lake, "events/payments", bend)
    assert len(found) == 1
    return found[0]


def rewrite(
    lake: Lake, table: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Change rows of a table behind everybody's back."""
    held = lake.read(table)
    rows = change(held.to_pylist())
    deltalake.write_deltalake(lake.uri(table), pa.Table.from_pylist(rows, schema=held.schema), mode="overwrite")
    return rows


def flip(path: Path, before: int, word: int, bit: int) -> tuple[int, int]:
    """Flip one bit of the last row before a moment that is not its card's last; the card, and the row's time."""
    connection = sqlite3.connect(path)
    found = []
    for card, head in connection.execute('SELECT key, head FROM "heads spend"').fetchall():
        words = np.frombuffer(head, np.int64).copy()
        rows = words[3:].reshape(-1, width(pipeline.view("spend")))
        found += [(int(row[TIME]), card, place) for place, row in enumerate(rows[:-1]) if row[TIME] < before]
    time, card, place = max(found)
    (head,) = connection.execute('SELECT head FROM "heads spend" WHERE key = ?', (card,)).fetchone()
    words = np.frombuffer(head, np.int64).copy()
    words[3 + place * width(pipeline.view("spend")) + word] ^= bit
    connection.execute('UPDATE "heads spend" SET head = ? WHERE key = ?', (words.tobytes(), card))
    connection.commit()
    connection.close()
    return card, time
