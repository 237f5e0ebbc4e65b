"""Whatever is delivered, archived, told anew, refused and replayed, and whatever dies: history is what a model says.

The model is a dictionary: of every event, the versions that were accepted. What stands is one of the greatest revision;
what is a copy, a correction or a contradiction follows from counting them.
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
from tests.spark_jobs.deliveries import AT, FILE, MINUTE, Shop, order

pytestmark = pytest.mark.integration

TODAY = days("2026-01-01", where="test")
PUT, DELETE = "put", "delete"
NUMBERS, CENTS = st.integers(1, 5), st.integers(0, 3)
ROWS = st.lists(
    st.tuples(NUMBERS, CENTS, st.integers(0, 2), st.sampled_from([PUT, PUT, PUT, DELETE]), st.sampled_from("ggggb")),
    min_size=1,
    max_size=4,
)
STATED = st.lists(st.tuples(NUMBERS, CENTS), max_size=4, min_size=1, unique_by=lambda row: row[0])
COMMITS = st.none() | st.integers(0, 8)
"""After how many commits a job dies; none for one that lives."""
Version = tuple[int, str, int | None]
"""Revision, operation and amount; no amount for a delete that a restatement made."""


class History(RuleBasedStateMachine):
    """A lake, and what should be in it."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.shop = Shop(Path(self._folder.name), file=FILE.with_name("open_shop.py"))
        self.versions: dict[int, set[Version]] = defaultdict(set)
        self.topic: list[tuple[int, int, int, str, str]] = []
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
            self._accept(rows)
            self.files.add(tuple(rows))

    @rule(rows=ROWS)
    def archive(self, rows: list[Any]) -> None:
        """Events of a topic, which are history once they are ingested."""
        told = [{**_row(*row), "_op": int(row[3] == DELETE)} for row in rows]
        self.shop.archive("orders", told)
        self.topic += rows

    @precondition(lambda self: self.topic)
    @rule(commits=COMMITS)
    def ingest_archived(self, commits: int | None) -> None:
        """What the topic has brought since."""
        self._ingest(commits, from_bronze=True)
        self._accept(self.topic)
        self.topic = []

    @rule(stated=STATED, commits=COMMITS)
    def restate(self, stated: list[tuple[int, int]], commits: int | None) -> None:
        """The whole day, told anew."""
        stands = self._standing()
        tops = {number: max(revision for revision, _, _ in told) for number, told in self.versions.items()}
        path = self._file([_row(number, cents, 0, PUT, "g") for number, cents in stated])
        self._ingest(commits, files=[("orders", path)], restates=TODAY)
        for number, cents in stated:
            if stands.get(number) != cents:
                revision = tops[number] + 1 if number in tops else 0
                self.versions[number].add((revision, PUT, cents))
        gone = stands.keys() - {number for number, _ in stated}
        for number in gone:
            self.versions[number].add((tops[number] + 1, DELETE, None))
        self.rows += len(stated) + len(gone)

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
        for row in made.rows:
            told = orjson.loads(row["payload"])
            version = (row["revision"], DELETE if row["op"] else PUT, round(told["amount"] * 100))
            self.versions[told["order_id"]].add(version)
        self.rows += len(made.rows)

    @invariant()
    def sums_close(self) -> None:
        """Every row is in one place, and as often as the model says; the doctor finds nothing."""
        found = self.shop.accounts()
        revisions = {(number, version[0]) for number, told in self.versions.items() for version in told}
        versions = sum(len(told) for told in self.versions.values())
        assert found.produced_bronze == self.rows + len(self.topic)
        assert found.waiting == len(self.topic)
        assert sum(found.quarantined.values()) == self.refused
        assert found.silver == len(self.versions)
        assert found.superseded == len(revisions) - len(self.versions)
        assert found.conflicts == versions - len(revisions)

    @invariant()
    def what_stands_is_of_the_greatest_revision(self) -> None:
        """One of its versions; which of several is a matter of their hashes."""
        stands = self._standing()
        for number, told in self.versions.items():
            top = max(revision for revision, _, _ in told)
            may = {cents if op == PUT else None for revision, op, cents in told if revision == top}
            assert stands.get(number) in may

    def _accept(self, rows: list[Any]) -> None:
        self.rows += len(rows)
        for number, cents, revision, op, kind in rows:
            # a delete needs only its id and time
            if kind == "b" and op == PUT:
                self.refused += 1
            else:
                self.versions[number].add((revision, op, _content(cents, op, kind)))

    def _standing(self) -> dict[int, int]:
        if self.shop.lake.open("silver/orders") is None:
            return {}
        found = settled(encode(self.shop.lake.read("silver/orders"), pipeline.stream("orders")))
        return dict(zip(found.column("_id").to_pylist(), found.column("amount").to_pylist(), strict=True))

    def _file(self, rows: list[dict[str, Any]]) -> Path:
        self.batches += 1
        return self.shop.file(f"f{self.batches}", rows)

    def _tick(self) -> int:
        self.batches += 1
        return AT + self.batches * MINUTE

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


def _content(cents: int, op: str, kind: str) -> Any:
    return (cents, kind) if op == DELETE else cents


@pytest.mark.hypothesis
def test_history_is_what_a_model_says_whatever_is_delivered_and_whatever_dies() -> None:
    run_state_machine_as_test(
        History, settings=settings(max_examples=examples(60), stateful_step_count=8, deadline=None)
    )
