"""The scoring service of one process: a request's features, route and model, and a row for the log of each answer."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from serve.answers import Answers, answer_events, shadow_events
from serve.log import LogDesk
from serve.metrics import Metrics
from serve.models import Models, as_vectors, load_models
from serve.requests import Batch, Refusal, RequestReader
from serve.routing import Routing
from serve.served import Served
from serve.tables import Tables
from sluice.clock import Clock
from sluice.declare.pipeline import Pipeline
from sluice.engine.read import Answer, answer
from sluice.engine.store import MemoryStore, TileReader
from sluice.engine.vectors import pack
from sluice.errors import Outage, SluiceError
from sluice.scoring import Vectors
from sluice.stream.predictions import PredictionLog

logger = logging.getLogger(__name__)

NOTHING = -1
"""The base version of a store that holds no history."""


@dataclass(frozen=True)
class Reply:
    """What goes back to the caller: an HTTP status and JSON."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Parts:
    """How the service gets at what it needs; each is called again until it no longer raises an Outage."""

    store: Callable[[], TileReader]
    log: Callable[[], PredictionLog]
    clock: Clock
    tables: Tables = field(default_factory=Tables)


@dataclass
class _Opened:
    """The parts that are open."""

    store: TileReader
    desk: LogDesk


class ScoringService:
    """Scores requests with the models it was last given.

    `score` belongs to one thread, as interpreters do; `open`, `route` and `close` may run in another. `refused` tells
    of the newest routing when its models could not be loaded; the one before it stays in force.
    """

    def __init__(self, pipeline: Pipeline, parts: Parts, *, replica: str = "") -> None:
        self.pipeline = pipeline
        self.replica = replica
        self.metrics = Metrics()
        self.models = Models(Routing())
        self.refused: dict[str, str] | None = None
        self._parts = parts
        self._definition = pipeline.definition
        self._reader = RequestReader(pipeline, parts.clock)
        self._empty = MemoryStore(base=NOTHING)
        self._opened: _Opened | None = None
        self._stale = False
        self._problem = "not opened yet"
        self._lock = threading.Lock()

    def open(self) -> bool:
        """Open what is not open yet, or no longer, and take up newer as-of tables; whether everything is open."""
        with self._lock:
            try:
                if self._opened is not None and not self._stale:
                    self._parts.tables.renew()
                else:
                    self._open()
            except (SluiceError, sqlite3.Error, OSError) as error:
                self._problem = str(error)
                return False
            self.metrics.looked_up(self._parts.tables.held.versions)
            return True

    def route(self, routing: Routing) -> bool:
        """Load a routing's models and answer with them from now on; when one cannot be, all stays as it was."""
        try:
            models = load_models(self.pipeline, routing, self.models)
        except (SluiceError, ValueError, RuntimeError, OSError) as error:
            logger.exception("routing %s is refused", routing.version)
            self.refused = {"routing": routing.version, "reason": str(error)}
            self.metrics.routing_refused()
            return False
        self.models, self.refused = models, None
        self.metrics.routed(routing)
        return True

    def route_to(self, described: Mapping[str, Any]) -> bool:
        """`route` by a routing's plain values; what is no routing is refused likewise."""
        try:
            routing = Routing.read(described)
        except SluiceError as error:
            self.refused = {"routing": "", "reason": str(error)}
            return False
        return self.route(routing)

    def score(self, body: bytes) -> Reply:
        """The answer to the body of one request."""
        started = time.perf_counter_ns()
        opened, models = self._opened, self.models
        if opened is None or not models.routing.routes:
            return self._refuse(Refusal.whole(503, "ready", self._missing()))
        batch = self._reader.read(body)
        if isinstance(batch, Refusal):
            return self._refuse(batch)
        found, degraded = self._values(opened.store, batch)
        packed = pack(self.pipeline, found.values)
        vectors = as_vectors(self.pipeline, packed)
        answers = answer_events(models, batch, vectors)
        if isinstance(answers, Refusal):
            return self._refuse(answers)
        served = Served(uuid.uuid4().hex, self._definition, batch, packed, found.known, degraded)
        reply = Reply(200, served.reply(answers.given))
        taken = time.perf_counter_ns() - started
        self.metrics.answered(batch, answers, degraded=degraded, seconds=taken / 1e9)
        self._keep(opened.desk, served.stamped(self._parts.clock.now(), taken // 1_000), answers, models, vectors)
        return reply

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether requests are answered in full, and with what."""
        routing = self.models.routing
        ready = self._opened is not None and not self._stale and bool(routing.routes)
        return ready, {
            "ready": ready,
            "replica": self.replica,
            "pipeline": self.pipeline.name,
            "definition": self._definition,
            "routing": routing.version,
            "segments": {
                segment: {"stage": route.stage, "share": route.share, "models": [str(model) for model in route.models]}
                for segment, route in sorted(routing.routes.items())
            },
            "tables": dict(self._parts.tables.held.versions),
            "missing": "" if ready else self._missing(),
            "refused": self.refused,
        }

    def close(self) -> None:
        """Flush the log and let everything go; what the log could not take is told, as nobody is left to retry."""
        with self._lock:
            opened, self._opened, self._problem = self._opened, None, "closed"
        if opened is None:
            return
        try:
            opened.desk.close()
        except SluiceError:
            logger.exception("the log of predictions could not be flushed")
        opened.store.close()

    def _open(self) -> None:
        self._parts.clock.now()
        self._parts.tables.open()
        store = self._parts.store()
        desk = self._opened.desk if self._opened else LogDesk(self._parts.log(), self.metrics.unlogged)
        self._opened, self._stale, self._problem = _Opened(store, desk), False, ""

    def _missing(self) -> str:
        return self._problem or (self.refused or {}).get("reason", "") or "no models are routed"

    def _refuse(self, refusal: Refusal) -> Reply:
        self.metrics.refused(refusal)
        return Reply(refusal.status, orjson.dumps({"errors": [asdict(problem) for problem in refusal.problems]}))

    def _values(self, store: TileReader, batch: Batch) -> tuple[Answer, bool]:
        """The vectors in one read of the store; when it cannot be read, those that know nothing: degraded."""
        lookups = self._parts.tables.held
        try:
            # one that failed is not asked again before it was opened again: each request might wait for it in vain
            found = answer(self.pipeline, self._empty if self._stale else store, batch.encoded, lookups)
        except (Outage, sqlite3.Error) as error:
            logger.warning("the online store cannot be read: %s", error)
            self._stale, self._problem = True, f"the online store cannot be read: {error}"
            return answer(self.pipeline, self._empty, batch.encoded, lookups), True
        return found, found.knowledge.base == NOTHING and not found.knowledge.positions

    def _keep(self, desk: LogDesk, served: Served, answers: Answers, models: Models, vectors: Vectors) -> None:
        """Leave the answers for the log, and what the shadows will say; both are made after the answer."""
        given = [*answers.given, *answers.failed]
        desk.submit(lambda: served.rows(given), len(given))
        if models.shadowing:
            batch = served.batch
            desk.submit(lambda: served.rows(shadow_events(models, batch, vectors)), len(batch))
