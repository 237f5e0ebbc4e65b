"""The log of answers: everything needed to compute a served vector again, alone."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import orjson
import pyarrow as pa

from sluice.stream.producer import Producer
from sluice.stream.records import Record
from sluice.stream.topics import prediction_topic, source_of

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
REFUSED_PREDICTIONS = pa.schema(
    {
        "payload": pa.binary(),
        "problem": pa.string(),
        "source": pa.string(),
        "partition": pa.int32(),
        "position": pa.int64(),
        "known": pa.int64(),
    }
)
"""The table `predictions_refused`: records of the topic that are no answers."""


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
        """Hand over answers; ServiceDown when some that were handed over could not be stored."""
        for prediction in predictions:
            self._producer.send(self._topic, encode_prediction(prediction), at=prediction.answered)
        self._producer.raise_failed()

    def close(self) -> None:
        """Wait until everything is stored."""
        try:
            self._producer.flush()
        finally:
            self._producer.close()


def encode_prediction(prediction: Prediction) -> bytes:
    """One JSON object; the packed vector as base64."""
    return orjson.dumps({**asdict(prediction), "vector": base64.b64encode(prediction.vector).decode()})


def prediction_row(payload: bytes, position: int) -> dict[str, Any]:
    """A row of `PREDICTIONS` from a record; an error of the reading when it is no answer."""
    record = orjson.loads(payload)
    texts = {name: orjson.dumps(dict(record[name])).decode() for name in ("request", "keys", "knowledge")}
    own = {**texts, "vector": base64.b64decode(record["vector"], validate=True), "position": position}
    return {name: own[name] if name in own else record[name] for name in PREDICTIONS.names}


def prediction_rows(records: Sequence[Record]) -> tuple[pa.Table, pa.Table]:
    """The answers among some records (`PREDICTIONS`), and the records that are none (`REFUSED_PREDICTIONS`)."""
    rows, refused = PREDICTIONS.empty_table(), REFUSED_PREDICTIONS.empty_table()
    try:
        found = [prediction_row(record.value or b"", record.offset) for record in records]
        return pa.Table.from_pylist(found, schema=PREDICTIONS), refused
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if len(records) == 1:
            return rows, pa.Table.from_pylist([_refused(records[0], error)], schema=REFUSED_PREDICTIONS)
    middle = len(records) // 2
    halves = [prediction_rows(records[:middle]), prediction_rows(records[middle:])]
    return pa.concat_tables([half[0] for half in halves]), pa.concat_tables([half[1] for half in halves])


def _refused(record: Record, error: Exception) -> dict[str, Any]:
    return {
        "payload": record.value or b"",
        "problem": repr(error),
        "source": source_of(record.topic),
        "partition": record.partition,
        "position": record.offset,
        "known": record.timestamp * 1000,
    }
