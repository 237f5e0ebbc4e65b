"""Rows that name what is forgotten in a text: answers, payloads, examples of verdicts, refused rows taken up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import Mask, integers
from sluice.errors import Outage
from sluice.lake.contract import BRONZE, format_of
from sluice.lake.decoding import Schema
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.found import Found
from sluice.lake.keeping.rewriting import At


@dataclass(frozen=True)
class Answers:
    """Answers about an entity or its events: rows of `predictions`."""

    pipeline: Pipeline
    what: Forgotten

    @property
    def columns(self) -> list[str]:
        """Whom it was about, what was asked, and when."""
        return ["keys", "request", "event_id", "event_time"]

    def mask(self, rows: pa.Table) -> Mask:
        """Keys that cannot be read are looked through as a text."""
        times, _ = integers(rows.column("event_time"))
        columns = (rows.column(name).to_pylist() for name in ("keys", "request", "event_id"))
        named = [self._names(*row) for row in zip(times.tolist(), *columns, strict=True)]
        return np.array(named, bool)

    def _names(self, time: int, keys: str | None, request: str | None, event: str | None) -> bool:
        stream, told = self.pipeline.events, dict[str, Any]()
        for text in (keys, request):
            try:
                told |= orjson.loads(text or "{}")
            except (orjson.JSONDecodeError, TypeError):
                if self.what.in_words(stream, (text or "").encode(), since=time):
                    return True
        return self.what.in_row(stream, told, since=time) or bool(event and self.what.has(stream.name, event))


def _by_any_word(pipeline: Pipeline, what: Forgotten, texts: Sequence[bytes]) -> Mask:
    """Which texts name what is forgotten of any stream."""
    return np.array([any(what.in_words(one, text) for one in pipeline.streams) for text in texts], bool)


@dataclass(frozen=True)
class Words:
    """Rows of which a text names what is forgotten."""

    pipeline: Pipeline
    what: Forgotten
    column: str

    @property
    def columns(self) -> list[str]:
        """The text."""
        return [self.column]

    def mask(self, rows: pa.Table) -> Mask:
        """By any word of it."""
        texts = rows.column(self.column).to_pylist()
        raw = [text.encode() if isinstance(text, str) else text or b"" for text in texts]
        return _by_any_word(self.pipeline, self.what, raw)


@dataclass(frozen=True)
class Examples:
    """Verdicts whose examples of refused rows, after the first semicolon, name what is forgotten."""

    pipeline: Pipeline
    what: Forgotten

    @property
    def columns(self) -> list[str]:
        """What was said."""
        return ["message"]

    def mask(self, rows: pa.Table) -> Mask:
        """By any word of the examples."""
        texts = [(text or "").partition(";")[2].encode() for text in rows.column("message").to_pylist()]
        return _by_any_word(self.pipeline, self.what, texts)


@dataclass(frozen=True)
class Replayed:
    """Refused rows that a person took up: where one lies that goes, and what names it as it was mended."""

    pipeline: Pipeline
    what: Forgotten
    schemas: Mapping[int, Schema]
    found: Mapping[str, Found]

    @property
    def columns(self) -> list[str]:
        """The place, and the payload."""
        return ["stream", "source", "partition", "position", "payload"]

    def mask(self, rows: pa.Table) -> Mask:
        """By place, or by payload."""
        gone = np.zeros(len(rows), bool)
        for one in self.found.values():
            gone |= At(one.places, stream=one.stream).mask(rows)
        columns = (rows.column(name).to_pylist() for name in ("stream", "source", "payload"))
        for place, (name, source, payload) in enumerate(zip(*columns, strict=True)):
            stream = self.pipeline.stream(name)
            gone[place] |= self.what.named_in(stream, payload or b"", format_of(stream, source), self.schemas)
        return gone


@dataclass(frozen=True)
class Unlanded:
    """Raw events that no version of bronze has: those at some places, and those that name what is forgotten."""

    at: At
    stream: Stream
    what: Forgotten
    schemas: Mapping[int, Schema]

    @property
    def columns(self) -> list[str]:
        """All that there is of a raw event."""
        return list(BRONZE.names)

    def mask(self, rows: pa.Table) -> Mask:
        """By place, or by payload; every row where a schema is not known."""
        try:
            gone = self.at.mask(rows) | self.what.raw(self.stream, rows, self.schemas)
        except Outage:
            return np.ones(len(rows), bool)
        strange = [self.what.in_strange(self.stream, payload or b"") for payload in rows.column("payload").to_pylist()]
        return np.asarray(gone | np.array(strange, bool), bool)


def unforgotten(pipeline: Pipeline, what: Forgotten, answers: pa.Table, refused: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Answers, and records that are none, without those about what was forgotten."""
    if not what:
        return answers, refused
    mine, theirs = Answers(pipeline, what).mask(answers), Words(pipeline, what, "payload").mask(refused)
    return answers.filter(pa.array(~mine)), refused.filter(pa.array(~theirs))
