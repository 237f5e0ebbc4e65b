"""The values of a rollout: where a segment stands, what is known of its challenger, and what is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Self

from serve.routing import Model, Route
from sluice.errors import DataError

Scalar = str | int | float | bool | None


class Kind(StrEnum):
    """The moves of a rollout."""

    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Gain:
    """Average precision of the challenger less the champion's on the same labelled rows, with its 95 % interval."""

    value: float
    low: float
    high: float
    rows: int
    positives: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of the model on trial: the challenger, or the champion when nothing is being rolled out."""

    candidate: Model | None = None
    """A model that waits to be rolled out."""
    offline: Gain | None = None
    """The challenger, or the candidate before it is one, on the latest labelled rows that neither was fitted on."""
    requests: int = 0
    """Live requests of this step that it scored, or failed to."""
    errors: int = 0
    shift: float | None = None
    """Distance between both models' scores of the same live requests, 0 to 1 (`rollout_evidence.score_shift`)."""
    correlation: float | None = None
    """Spearman's rank correlation of the same scores."""
    live: Gain | None = None
    """The gain on live requests since it was put forward, as far as their labels are mature."""
    audited: int = 0
    mismatched: int = 0
    """Served vectors recomputed from raw events, and those that differ."""
    incidents: str = ""
    """What gates found of events that the models answer for, in words; nothing while all is well."""

    @property
    def best(self) -> Gain | None:
        """The gain that rests on more positives."""
        gains = [gain for gain in (self.live, self.offline) if gain is not None]
        return max(gains, key=lambda gain: gain.positives, default=None)

    def describe(self) -> dict[str, Scalar]:
        """The evidence as flat values for a row; what is not known is left out."""
        described: dict[str, Scalar] = {"candidate": str(self.candidate)} if self.candidate else {}
        for name in ("offline", "live"):
            gain: Gain | None = getattr(self, name)
            described |= {f"{name}_{key}": value for key, value in asdict(gain).items()} if gain else {}
        names = ("requests", "errors", "shift", "correlation", "audited", "mismatched")
        described |= {"incidents": self.incidents} if self.incidents else {}
        return described | {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def described_gain(described: Mapping[str, Scalar], name: str) -> Gain | None:
    """A gain back from what `Evidence.describe` made of it."""
    if f"{name}_value" not in described:
        return None
    value, low, high, rows, positives = (
        float(described[f"{name}_{key}"] or 0) for key in ("value", "low", "high", "rows", "positives")
    )
    return Gain(value, low, high, int(rows), int(positives))


@dataclass(frozen=True)
class Move:
    """One step of a rollout. `leaving` is the champion, or the model that a rollback takes out; `to` takes its place.

    In shadow and canary `to` is the challenger beside the champion. A rollback to None withdraws a segment's only
    model: the fallback answers for it.
    """

    segment: str
    kind: Kind
    leaving: Model | None
    to: Model | None
    share: float
    reason: str
    at: int
    """Event clock, microseconds."""
    evidence: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class Hold:
    """No step, and why."""

    segment: str
    reason: str
    at: int
    evidence: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True)
class SegmentState:
    """Where the rollout of a segment stands, as its moves tell; times are event-clock microseconds."""

    segment: str
    champion: Model | None = None
    challenger: Model | None = None
    share: float = 0.0
    since: int = 0
    """When the present step began."""
    began: int = 0
    """When the challenger was put forward."""
    promoted_at: int | None = None
    """When the champion began to serve, the last time."""
    line: tuple[Model, ...] = ()
    """The champions before this one, oldest first: what a rollback restores."""
    refused: frozenset[Model] = frozenset()
    """Models that were rolled back; they do not come again."""
    offline: Gain | None = None
    """The challenger's gain on labelled rows as it was known when it was put forward."""

    @property
    def step(self) -> str:
        """The present step in words."""
        if self.challenger is None:
            return "champion"
        return f"canary of {self.share:.0%}" if self.share else "shadow"

    @property
    def before(self) -> Model | None:
        """The champion that a rollback restores: the last one, if it reads the vectors that are computed now."""
        last = self.line[-1] if self.line else None
        return last if last and self.champion and last.definition == self.champion.definition else None

    @property
    def route(self) -> Route | None:
        """How the segment is served; None when it has no model of its own."""
        return Route(self.champion, self.challenger, self.share) if self.champion else None

    def after(self, move: Move) -> Self:
        """The state that a move leads to; DataError for one that is not possible from here."""
        match move.kind:
            case Kind.SHADOW if self.challenger is None and self.champion and move.to not in {None, self.champion}:
                offline = described_gain(move.evidence, "offline")
                return replace(self, challenger=move.to, share=0.0, since=move.at, began=move.at, offline=offline)
            case Kind.CANARY if move.to and move.to == self.challenger and self.share < move.share < 1:
                return replace(self, share=move.share, since=move.at)
            case Kind.PROMOTE if move.to and move.to != self.champion and self.challenger in {None, move.to}:
                line = (*self.line, self.champion) if self.champion else self.line
                return replace(self._settled(move.at), champion=move.to, line=line, promoted_at=move.at)
            case Kind.ROLLBACK if move.leaving and move.leaving == self.challenger and move.to == self.champion:
                return replace(self._settled(move.at), refused=self.refused | {move.leaving})
            case Kind.ROLLBACK if move.leaving and move.leaving == self.champion and self.challenger is None:
                return self._restored(move)
        raise DataError(
            f"{move.kind.value} from {move.leaving} to {move.to} is not possible",
            where=f"segment {self.segment}, {self.champion} as champion, {self.challenger} as challenger",
        )

    def _restored(self, move: Move) -> Self:
        if move.to != self.before:
            raise DataError(f"a rollback restores {self.before}, not {move.to}", where=f"segment {self.segment}")
        refused = self.refused | {model for model in (move.leaving,) if model}
        line = self.line[:-1] if self.before else self.line
        return replace(self._settled(move.at), champion=self.before, line=line, refused=refused, promoted_at=move.at)

    def _settled(self, at: int) -> Self:
        """Without a challenger."""
        return replace(self, challenger=None, share=0.0, since=at, began=0, offline=None)
