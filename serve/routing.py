"""Which model answers which event: per segment a champion, and a challenger beside it while one is being rolled out.

A routing is a frozen value that travels as JSON; a replica swaps its models in place when it is given another one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import xxhash

from sluice.declare.pipeline import ALL
from sluice.errors import DataError, UserError

_SPACE = 2**64


class Role(StrEnum):
    """In which part a model gave a score."""

    CHAMPION = "champion"
    CANARY = "canary"
    FALLBACK = "fallback"
    """The model of `*` stood in, as the segment has none or it failed."""
    SHADOW = "shadow"
    """The score is logged and nobody was told."""


@dataclass(frozen=True)
class Model:
    """One registered model: its name, version, the URI of its folder, and the definition that it was trained on."""

    name: str
    version: str
    folder: str
    definition: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @property
    def path(self) -> Path:
        """The folder on this machine; UserError for a URI that is not a file's."""
        parsed = urlparse(self.folder)
        if parsed.scheme not in {"", "file"}:
            raise UserError(
                f"no folder of this machine: {self.folder}",
                where=str(self),
                allowed=["/path", "file:///path"],
                next_step="fetch the model from the registry first",
            )
        return Path(unquote(parsed.path))


@dataclass(frozen=True)
class Route:
    """The models of one segment; `share` of the cards go to the challenger, which shadows them all while it is 0."""

    champion: Model
    challenger: Model | None = None
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise UserError(f"a share of {self.share}", where=f"route of {self.champion}", allowed="0 up to below 1")
        if self.share and self.challenger is None:
            raise UserError("a share without a challenger", where=f"route of {self.champion}")

    @property
    def models(self) -> tuple[Model, ...]:
        """The champion, and the challenger if there is one."""
        return (self.champion,) if self.challenger is None else (self.champion, self.challenger)

    @property
    def stage(self) -> str:
        """`champion` when nothing is being rolled out, else `shadow` or `canary`."""
        return "champion" if self.challenger is None else "canary" if self.share else "shadow"


@dataclass(frozen=True)
class Assignment:
    """Which model answers an event, in which role, and which ones score it unheard."""

    model: Model
    role: Role
    shadows: tuple[Model, ...] = ()


@dataclass(frozen=True)
class Routing:
    """The routes of all segments; `*` answers for a segment without a model of its own."""

    routes: Mapping[str, Route] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of SHA-256 over the routing's JSON: the same routes are the same version."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model that it names, each once."""
        return tuple(dict.fromkeys(model for route in self.routes.values() for model in route.models))

    def route(self, segment: str) -> Route | None:
        """The segment's own route, else that of `*`; None when there is neither."""
        return self.routes.get(segment) or self.routes.get(ALL)

    def assign(self, segment: str, card: object) -> Assignment | None:
        """Who answers an event of a segment and card; None when no model may.

        A card goes to the challenger or not by its hash: always the same way for one challenger, and a card that is in
        at a small share stays in at a greater one. An event without a card stays with the champion. While `*` is being
        rolled out both its models also shadow events of other segments: it stands for all traffic.
        """
        route = self.route(segment)
        if route is None:
            return None
        role = Role.CHAMPION if segment in self.routes else Role.FALLBACK
        answering = route.champion
        if route.challenger is not None and _drawn(route.challenger, card) < route.share:
            role, answering = Role.CANARY, route.challenger
        return Assignment(answering, role, tuple(model for model in self._rolling(route) if model != answering))

    def spares(self, segment: str) -> tuple[tuple[Model, Role], ...]:
        """Who answers when the assigned model fails, in this order: the segment's champion, then that of `*`."""
        own, whole = self.routes.get(segment), self.routes.get(ALL)
        found = [(own.champion, Role.CHAMPION)] if own else []
        return (*found, (whole.champion, Role.FALLBACK)) if whole and whole is not own else tuple(found)

    def to_json(self) -> str:
        """The routing as JSON with sorted keys."""
        return json.dumps(self.describe(), sort_keys=True)

    def describe(self) -> dict[str, Any]:
        """The routing as plain values, as Serve's `user_config` takes it."""
        return {"routes": {segment: asdict(route) for segment, route in sorted(self.routes.items())}}

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Routing:
        """The inverse of `describe`; DataError when it is none."""
        try:
            return cls({segment: _route(raw) for segment, raw in described["routes"].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is no routing: {error!r}", where="routing") from None

    def _rolling(self, route: Route) -> Iterator[Model]:
        """The models that are compared on this event."""
        if route.challenger is not None:
            yield from route.models
        whole = self.routes.get(ALL)
        if whole is not None and whole is not route and whole.challenger is not None:
            yield from whole.models


def _route(raw: Mapping[str, Any]) -> Route:
    challenger = raw.get("challenger")
    return Route(Model(**raw["champion"]), Model(**challenger) if challenger else None, raw.get("share", 0.0))


def _drawn(challenger: Model, card: object) -> float:
    """Where a card falls between 0 and 1 for this challenger; 1 for no card, which no share reaches."""
    if card is None:
        return 1.0
    return xxhash.xxh3_64_intdigest(f"{challenger}:{card}".encode()) / _SPACE
