"""The callers of the demo: a process of their own that scores and produces live days, as the world outside does."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Self

from flows.place import place
from sluice.cli.demo.clock import clock
from sluice.cli.demo.events import Days
from sluice.engine.sqlite import open_store
from sluice.errors import Outage
from sluice.local.replay import Replay
from sluice.stream.producer import Producer

_PATIENCE_S = 30


@dataclass(frozen=True)
class Callers:
    """Who calls: `share` of the days' events are asked about; a day is replayed in slices of so many events."""

    pipeline: str
    days: Days
    share: float
    slice: int


@dataclass(frozen=True)
class _Order:
    first: int
    until: int
    pace_s: float


class Traffic:
    """The callers' process, from outside; it ends with the block, and with the process that started it."""

    def __init__(self, callers: Callers) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._hurry = context.Event()
        self._process = context.Process(target=_serve, args=(callers, theirs, self._hurry), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._orders.send(None)
            self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_PATIENCE_S)

    @contextmanager
    def days(self, first: int, until: int, *, pace_s: float = 0.0) -> Iterator[None]:
        """Live days while the block runs, with a pause before each request; what is left goes without pauses.

        Outage when the callers could not go on.
        """
        self._hurry.clear()
        self._orders.send(_Order(first, until, pace_s))
        try:
            yield
        finally:
            self._hurry.set()
            told = self._told()
        if told:
            raise Outage(f"the callers could not go on: {told}", where=f"live days {first} to {until}")

    def _told(self) -> str:
        try:
            told: str = self._orders.recv()
        except EOFError:
            return f"their process ended with {self._process.exitcode}"
        return told


def _serve(callers: Callers, orders: Connection, hurry: Event) -> None:
    """The callers' process: one span of days after the other, each answered with what went wrong, or nothing."""
    here = place(callers.pipeline)
    store = open_store(here.settings.places.online_uri, here.pipeline.name, read_only=True)
    with Producer(here.settings.kafka) as producer:
        replay = Replay(
            here.pipeline,
            here.lake,
            store,
            clock(),
            producer,
            here.settings.serve_url,
            share=callers.share,
            slice=callers.slice,
            hurry=hurry,
        )
        while (order := orders.recv()) is not None:
            replay.pace_s = order.pace_s
            orders.send(_tried(replay, callers.days, order))
    store.close()


def _tried(replay: Replay, days: Days, order: _Order) -> str:
    try:
        replay.run(days.between(order.first, order.until))
    except Exception as error:  # noqa: BLE001  told to the process that waits, which raises it
        return f"{type(error).__name__}: {error}"
    return ""
