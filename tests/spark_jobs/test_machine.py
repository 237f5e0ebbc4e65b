"""Whatever is delivered, archived, told anew, refused and replayed, and whatever dies: history is what a model says.

The model is a dictionary: of every event, the versions that were accepted. What stands is one of the greatest revision;
what is a copy, a correction or a contradiction follows from counting them. A second one has of every version the copies
that history keeps, each with its watermark and the moment it was known: what is late and what has expired follows.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sluice.engine.encode import encode
from sluice.engine.versions import settled
from sluice.lake.days import days
from sluice.lake.delivery import Delivery
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import batch_of, claim
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest
from tests.properties import examples
from tests.sluice.lake.open_shop import pipeline
from tests.sluice.lake.test_publish import Killed, mortal
from tests.spark_jobs.deliveries import AT, FILE, HOUR, MINUTE, START, Shop, order

pytestmark = pytest.mark.integration

TODAY = days("2026-01-01", where="test")
PUT, DELETE = "put", "delete"
NUMBERS, CENTS = st.integers(1, 5), st.integers(0, 1)
ROW = st.tuples(NUMBERS, CENTS, st.integers(0, 2), st.sampled_from([PUT, PUT, PUT, DELETE]), st.sampled_from("ggggb"))
ROWS = st.lists(ROW, min_size=1, max_size=4)
DELAYS = st.sampled_from([0, HOUR, HOUR + 1]) | st.integers(0, 4 * HOUR)
"""How long after it happened an event of a topic is known; the stream says `late_after="1h"`."""
MESSAGES = st.lists(st.tuples(ROW, DELAYS), min_size=1, max_size=4)
HORIZON = 2 * MINUTE
"""Events happen within five minutes: some are further behind the watermark of their topic than that."""
STATED = st.lists(st.tuples(NUMBERS, CENTS), max_size=4, min_size=1, unique_by=lambda row: row[0])
COMMITS = st.none() | st.integers(0, 8)
"""After how many commits a job dies; none for one that lives."""
Version = tuple[int, str, int | None]
"""Revision, operation and amount; no amount for a delete that a restatement made."""
Copy = tuple[int, int]
"""The watermark that an event met, below all times for one of a file, and when it was known. The least is the first."""
UNMEASURED = -1
Arrival = tuple[int, Version, Copy]
LISTED = ("_id", "_revision", "_known")


class History(RuleBasedStateMachine):
    """A lake, and what should be in it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.shop = Shop(Path(self._folder.name), file=FILE.with_name("open_shop.py"))
        self.versions: dict[int, set[Version]] = defaultdict(set)
        self.copies: dict[tuple[int, Version], list[Copy]] = defaultdict(list)
        self.late: list[tuple[int, int, int]] = []
        self.watermark, self.now = UNMEASURED, AT
        self.topic: list[tuple[Any, int]] = []
        self.rows = self.refused = self.batches = 0
        self.files: set[tuple[Any, ...]] = set()

    def teardown(self) -> None:
        """Nothing stays."""
        self._folder.cleanup()

    @rule(rows=ROWS, commits=COMMITS)
    def deliver(self, rows: list[Any], commits: int | None) -> None:
        """A file, by a job that may die and is run again."""
        path = self._file([_row(*row) for row in rows])
        self._ingest(commits, files=[("orders", path)])
        # the same bytes again add nothing, whatever they are called
        if tuple(rows) not in self.files:
            self._accept([(row, (UNMEASURED, _time(row[0]))) for row in rows])
            self.files.add(tuple(rows))

    @rule(messages=MESSAGES)
    def archive(self, messages: list[Any]) -> None:
        """Events of a topic, some of them hours after they happened; they are history once they are ingested."""
        told = [(row, _time(row[0]) + delay) for row, delay in messages]
        sent = [{**_row(*row), "_op": int(row[3] == DELETE), "_known": known} for row, known in told]
        self.shop.archive("orders", sent)
        self.topic += told
        self.now = max(self.now, *(known for _, known in told))

    @rule(messages=MESSAGES, commits=COMMITS)
    def ingest_archived(self, messages: list[Any], commits: int | None) -> None:
        """What the topic has brought since, these messages last."""
        self.archive(messages)
        self._ingest(commits, from_bronze=True)
        met = []
        for row, known in self.topic:
            met.append((row, (self.watermark, known)))
            if not _refused(row):
                self.watermark = max(self.watermark, _time(row[0]))
        self._accept(met)
        self.topic = []

    @rule(stated=STATED, commits=COMMITS)
    def restate(self, stated: list[tuple[int, int]], commits: int | None) -> None:
        """The whole day, told anew."""
        stands = self._standing()
        tops = {number: max(revision for revision, _, _ in told) for number, told in self.versions.items()}
        path, at = self._file([_row(number, cents, 0, PUT, "g") for number, cents in stated]), self._tick()
        self._ingest(commits, at=at, files=[("orders", path)], restates=TODAY)
        batch: list[Arrival] = []
        for number, cents in stated:
            same = stands.get(number) == cents
            revision = tops.get(number, -1) + (not same)
            # what is as it was is known since it happened, and the rest since it was told
            batch.append((number, (revision, PUT, cents), (UNMEASURED, _time(number) if same else at)))
        gone = stands.keys() - {number for number, _ in stated}
        batch += [(number, (tops[number] + 1, DELETE, None), (UNMEASURED, at)) for number in gone]
        self._arrive(batch)
        self.rows += len(batch)

    @precondition(lambda self: self.refused)
    @rule(commits=COMMITS)
    def replay(self, commits: int | None) -> None:
        """All refused rows that wait, mended."""
        rows = list(refused(self.shop.lake, "orders", Wanted()))
        orders = pipeline.stream("orders")
        picked = mended(orders, controlled(self.shop.lake, "orders", rows), Repair({"channel": "web"}), None, {})
        if not picked:
            return
        at = self._tick()
        made = claim(self.shop.lake, "orders", picked, by="Ada", because="mended", at=at)
        self._ingest(commits, name=batch_of(made.name), at=at, replay=made.name)
        batch: list[Arrival] = []
        for row in made.rows:
            told = orjson.loads(row["payload"])
            version = (row["revision"], DELETE if row["op"] else PUT, round(told["amount"] * 100))
            batch.append((told["order_id"], version, (UNMEASURED, at)))
        self._arrive(batch)
        self.rows += len(made.rows)

    @invariant()
    def sums_close(self) -> None:
        """Every row is in one place, and as often as the model says; the doctor finds nothing."""
        found = self.shop.accounts(horizon=HORIZON)
        revisions = {(number, version[0]) for number, told in self.versions.items() for version in told}
        versions = sum(len(told) for told in self.versions.values())
        assert found.produced_bronze == self.rows + len(self.topic)
        assert found.waiting == len(self.topic)
        assert sum(found.quarantined.values()) == self.refused
        assert found.silver == len(self.versions)
        assert found.superseded == len(revisions) - len(self.versions)
        assert found.conflicts == versions - len(revisions)
        assert found.late == sum(batch["late"] for batch in self.shop.lake.published("orders")) == len(self.late)
        assert found.expired == sum(
            _time(number) < watermark - HORIZON
            for (number, _), copies in self.copies.items()
            for watermark, _ in copies
        )

    @invariant()
    def what_is_late_is_listed_and_every_copy_has_its_watermark(self) -> None:
        """Late is a version whose first arrival was known more than an hour after it happened."""
        listed = sorted(tuple(row[name] for name in LISTED) for row in self.shop.lake.rows("late/orders"))
        assert listed == sorted(self.late)
        found = [(*row, UNMEASURED if mark is None else mark) for *row, mark in self.shop.silver(*LISTED, "_watermark")]
        kept = [
            (number, version[0], known, mark)
            for (number, version), copies in self.copies.items()
            for mark, known in copies
        ]
        assert sorted(found) == sorted(kept)

    @invariant()
    def what_stands_is_of_the_greatest_revision(self) -> None:
        """One of its versions; which of several is a matter of their hashes."""
        stands = self._standing()
        for number, told in self.versions.items():
            top = max(revision for revision, _, _ in told)
            may = {cents if op == PUT else None for revision, op, cents in told if revision == top}
            assert stands.get(number) in may

    def _accept(self, rows: list[tuple[Any, Copy]]) -> None:
        self.rows += len(rows)
        good = [(row, copy) for row, copy in rows if not _refused(row)]
        self.refused += len(rows) - len(good)
        self._arrive([(row[0], _version(*row[1:]), copy) for row, copy in good])

    def _arrive(self, batch: list[Arrival]) -> None:
        """Of copies of one version the first enters: late if history has none, beside others if it is before them."""
        for number, version in {arrival[:2] for arrival in batch}:
            first = min(copy for *arrived, copy in batch if arrived == [number, version])
            copies = self.copies[number, version]
            if not copies and first[1] - _time(number) > HOUR:
                self.late.append((number, version[0], first[1]))
            if not copies or first < min(copies):
                copies.append(first)
            self.versions[number].add(version)

    def _standing(self) -> dict[int, int]:
        if self.shop.lake.open("silver/orders") is None:
            return {}
        found = settled(encode(self.shop.lake.read("silver/orders"), pipeline.stream("orders")))
        return dict(zip(found.column("_id").to_pylist(), found.column("amount").to_pylist(), strict=True))

    def _file(self, rows: list[dict[str, Any]]) -> Path:
        self.batches += 1
        return self.shop.file(f"f{self.batches}", rows)

    def _tick(self) -> int:
        """The moment of the next batch: after all that is known."""
        self.now += MINUTE
        return self.now

    def _ingest(self, commits: int | None, *, name: str | None = None, at: int | None = None, **how: Any) -> None:
        at = self._tick() if at is None else at
        lake = mortal(self.shop.lake, commits or 0)

        class Dying(Delivery):
            def tables(self) -> Any:
                return lake

        called = (str(self.shop.declaration), self.shop.uri, name or f"b{at}", at)
        if commits is not None:
            with suppress(Killed):
                ingest(Here(), Dying(*called, **how))
        ingest(Here(), Delivery(*called, **how))


def _row(number: int, cents: int, revision: int, op: str, kind: str) -> dict[str, Any]:
    channel = "web" if kind == "g" else "phone"
    return order(number, amount=cents / 100, channel=channel, _revision=revision, _op=op)


def _time(number: int) -> int:
    return START + number * MINUTE


def _refused(row: Any) -> bool:
    *_, op, kind = row
    # a delete needs only its id and time
    return bool(kind == "b" and op == PUT)


def _version(cents: int, revision: int, op: str, kind: str) -> Any:
    return revision, op, (cents, kind) if op == DELETE else cents


@pytest.mark.hypothesis
def test_history_is_what_a_model_says_whatever_is_delivered_and_whatever_dies() -> None:
    run_state_machine_as_test(
        History, settings=settings(max_examples=examples(60), stateful_step_count=8, deadline=None)
    )
