"""One answered request: what its caller is told, and the rows that it leaves in the log of predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import orjson

from serve.answers import Scored
from serve.requests import Batch
from sluice.stream.predictions import Prediction


@dataclass(frozen=True)
class Served:
    """What all answers to one request share; `degraded` when its vectors know nothing because nothing could be read."""

    request_id: str
    definition: str
    batch: Batch
    packed: Sequence[bytes]
    knowledge: Callable[[int], Mapping[str, object]]
    """K of each vector as it is logged."""
    degraded: bool
    answered: int = 0
    """Event clock, microseconds."""
    latency_us: int = 0

    def stamped(self, answered: int, latency_us: int) -> Self:
        """The same request with when it was answered and how long that took."""
        return replace(self, answered=answered, latency_us=latency_us)

    def reply(self, given: Sequence[Scored]) -> bytes:
        """The JSON that the caller gets."""
        ids = self.batch.encoded.column("_id").to_pylist()
        results = [
            {
                "id": ids[item.place],
                "score": item.score,
                "decision": item.decision,
                "segment": self.batch.segments[item.place],
                "model": item.model.name,
                "version": item.model.version,
                "definition": self.definition,
                "degraded": self.degraded or item.degraded,
            }
            for item in given
        ]
        return orjson.dumps({"request_id": self.request_id, "results": results})

    def rows(self, scored: Iterable[Scored]) -> list[Prediction]:
        """A row for every score, enough to compute its vector again alone."""
        batch = self.batch
        ids, times = (batch.encoded.column(name).to_pylist() for name in ("_id", "_time"))
        return [
            Prediction(
                request_id=self.request_id,
                event_id="" if ids[item.place] is None else str(ids[item.place]),
                event_time=times[item.place],
                answered=self.answered,
                request=batch.events[item.place],
                keys=batch.keys[item.place],
                knowledge=self.knowledge(item.place),
                definition=self.definition,
                segment=batch.segments[item.place],
                model=item.model.name,
                version=item.model.version,
                role=item.role.value,
                score=item.score,
                decision=item.decision,
                degraded=self.degraded or item.degraded,
                vector=self.packed[item.place],
                latency_us=self.latency_us,
            )
            for item in scored
        ]
