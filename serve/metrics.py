"""What one replica counts, for Prometheus to scrape."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from serve.answers import Answers
from serve.requests import Batch, Refusal
from serve.routing import Routing

_LATENCY = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SCORES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


class Metrics:
    """The counters of one replica; each has its own registry, so that several may live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("sluice_requests", "Scoring requests by HTTP status.", "status")
        self._errors = self._counter("sluice_errors", "Reasons for which requests were refused.", "rule")
        self._degraded = self._counter("sluice_degraded", "Answers given with less than all there is.")
        self._failures = self._counter("sluice_model_failures", "Scores a model could not give.", "model", "version")
        self._unlogged = self._counter("sluice_unlogged", "Answers and shadow scores that did not reach the log.")
        self._refused = self._counter("sluice_routings_refused", "Routings whose models could not be loaded.")
        self._latency = Histogram(
            "sluice_latency_seconds", "From body to answer.", buckets=_LATENCY, registry=self.registry
        )
        self._scores = Histogram(
            "sluice_score", "Answered scores.", ["segment", "role"], buckets=_SCORES, registry=self.registry
        )
        self._routing = Gauge("sluice_routing_info", "The routing that is served.", ["version"], registry=self.registry)

        self._tables = Gauge(
            "sluice_asof_table_version", "The version of a table that is looked up.", ["table"], registry=self.registry
        )

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(name, says, labels, registry=self.registry)

    def answered(self, batch: Batch, answers: Answers, *, degraded: bool, seconds: float) -> None:
        """One request that was answered."""
        self._requests.labels("200").inc()
        self._latency.observe(seconds)
        for item in answers.given:
            self._scores.labels(batch.segments[item.place], item.role.value).observe(item.score)
            if degraded or item.degraded:
                self._degraded.inc()
        for item in answers.failed:
            self._failures.labels(item.model.name, item.model.version).inc()

    def refused(self, refusal: Refusal) -> None:
        """One request that was not."""
        self._requests.labels(str(refusal.status)).inc()
        for problem in refusal.problems:
            self._errors.labels(problem.rule).inc()

    def unlogged(self, count: int) -> None:
        """Predictions that did not reach the log."""
        self._unlogged.inc(count)

    def routed(self, routing: Routing) -> None:
        """The routing in force."""
        self._routing.clear()
        self._routing.labels(routing.version).set(1)

    def looked_up(self, versions: Mapping[str, int]) -> None:
        """The as-of tables in use."""
        for table, version in versions.items():
            self._tables.labels(table).set(version)

    def routing_refused(self) -> None:
        """A routing that could not be loaded."""
        self._refused.inc()

    def exposition(self) -> bytes:
        """The text format that Prometheus reads."""
        return bytes(generate_latest(self.registry))
