"""How long a pipeline keeps what it has: its words, and which retention would make what is kept wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.declare.arguments import check_fields
from sluice.declare.durations import Duration, duration, duration_text
from sluice.declare.functions import LIFETIME
from sluice.errors import DeclarationError

if TYPE_CHECKING:
    from sluice.declare.pipeline import Pipeline
    from sluice.declare.streams import Stream
    from sluice.declare.views import Windows


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How long what a pipeline derives and logs is kept, by the event clock; None: for ever.

    How long events are kept, with what was made of them row by row, is said by each `Stream(retention=…)`.
    """

    predictions: Duration | None = None
    """Answers with the vectors that they were given, from the event's time on."""
    watching: Duration | None = None
    """What watching found: audits, drift and quality."""
    models: Duration | None = None
    """How long a model that answers nobody can be trained again on the very rows that it saw."""

    def __post_init__(self) -> None:
        check_fields(self, where="Keeping")
        for name in ("predictions", "watching", "models"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, duration(given, where=f"Keeping.{name}"))


def streams_of(view: Windows) -> Sequence[Stream]:
    """The streams of whose events the values of a view are made."""
    told_by = [view.label.told_by] if view.label else []
    parent = [view.stream.parent[1]] if view.inherits_key and view.stream.parent else []
    return [view.stream, *told_by, *parent]


def check_keeping(pipeline: Pipeline, where: str) -> None:
    """DeclarationError for a retention that would drop what training, an audit or a lifetime window still needs."""
    for stream in pipeline.streams:
        if stream.retention is not None:
            _check_retention(pipeline, stream, f"{where}.{stream.name}.retention")
    _check_predictions(pipeline, where)


def _check_retention(pipeline: Pipeline, stream: Stream, where: str) -> None:
    lifelong = [view.name for view in pipeline.windows if stream in streams_of(view) and _is_lifelong(view)]
    if lifelong:
        raise DeclarationError(
            f"a lifetime window of {', '.join(lifelong)} counts every event there ever was",
            where=where,
            allowed="None, which is for ever",
        )
    horizon, training = max((view.horizon for view in pipeline.windows), default=0), pipeline.training
    reach = max((view.reach for view in pipeline.windows), default=0)
    # twice the horizon, as the online store starts with it
    least = max(2 * horizon, reach + int(training.history) + pipeline.label.settled_after)
    if int(stream.retention or 0) < least:
        raise DeclarationError(
            f"{duration_text(int(stream.retention or 0))} is too short",
            where=where,
            allowed=f"{duration_text(least)} or more: what windows reach back, labels take and training looks at",
            next_step="keep events for longer, or shorten windows or Training(history=…)",
        )


def _check_predictions(pipeline: Pipeline, where: str) -> None:
    kept, rule = pipeline.keeping.predictions, pipeline.retraining.performance
    least = pipeline.label.settled_after + (int(rule.window) if rule else 0)
    if kept is not None and int(kept) < least:
        raise DeclarationError(
            f"{duration_text(int(kept))} is too short",
            where=f"{where}.keeping.predictions",
            allowed=f"{duration_text(least)} or more: quality is measured when labels have come",
        )


def _is_lifelong(view: Windows) -> bool:
    return any(view.window(feature) == LIFETIME for feature in view.functions)
