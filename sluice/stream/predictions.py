"""The log of answers: everything needed to compute a served vector again, alone."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import orjson
import pyarrow as pa

from sluice.stream.producer import Producer
from sluice.stream.topics import prediction_topic

PREDICTIONS = pa.schema(
    {
        "request_id": pa.string(),
        "event_id": pa.string(),
        "event_time": pa.int64(),
        "answered": pa.int64(),
        "request": pa.string(),
        "keys": pa.string(),
        "knowledge": pa.string(),
        "definition": pa.string(),
        "segment": pa.string(),
        "model": pa.string(),
        "version": pa.string(),
        "role": pa.string(),
        "score": pa.float64(),
        "decision": pa.string(),
        "degraded": pa.bool_(),
        "vector": pa.binary(),
        "latency_us": pa.int64(),
        "position": pa.int64(),
    }
)
"""The table `predictions`; `position` is the offset in the topic that it came from."""


@dataclass(frozen=True)
class Prediction:
    """One answer, or one that a shadow model would have given.

    `event_time` and `answered` are event-clock microseconds; `request` is the declared columns as they were sent;
    `knowledge` is K as `Knowledge.describe` gives it; `vector` is packed by `engine.vectors.pack`; `role` is champion,
    canary, shadow or fallback.
    """

    request_id: str
    event_id: str
    event_time: int
    answered: int
    request: Mapping[str, Any]
    keys: Mapping[str, Any]
    knowledge: Mapping[str, Any]
    definition: str
    segment: str
    model: str
    version: str
    role: str
    score: float
    decision: str
    degraded: bool
    vector: bytes
    latency_us: int


class PredictionLog(Protocol):
    """Keeps answers; it never makes the one who asked wait."""

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Hand over answers."""
        ...

    def close(self) -> None:
        """Wait until everything is stored."""
        ...


class MemoryLog:
    """The in-memory twin."""

    def __init__(self) -> None:
        self.written: list[Prediction] = []

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Hand over answers."""
        self.written.extend(predictions)

    def close(self) -> None:
        """Nothing is pending."""


class KafkaLog:
    """Answers as records of the pipeline's prediction topic; the archive brings them into the lake."""

    def __init__(self, bootstrap: str, pipeline: str) -> None:
        self._topic = prediction_topic(pipeline)
        self._producer = Producer(bootstrap, linger_ms=20)

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Hand over answers."""
        for prediction in predictions:
            self._producer.send(self._topic, encode_prediction(prediction), at=prediction.answered)

    def close(self) -> None:
        """Wait until everything is stored."""
        self._producer.flush()
        self._producer.close()


def encode_prediction(prediction: Prediction) -> bytes:
    """One JSON object; the packed vector as base64."""
    return orjson.dumps({**asdict(prediction), "vector": base64.b64encode(prediction.vector).decode()})


def prediction_row(payload: bytes, position: int) -> dict[str, Any]:
    """A row of `PREDICTIONS` from a record."""
    record = orjson.loads(payload)
    texts = {name: orjson.dumps(record[name]).decode() for name in ("request", "keys", "knowledge")}
    return {**record, **texts, "vector": base64.b64decode(record["vector"]), "position": position}
