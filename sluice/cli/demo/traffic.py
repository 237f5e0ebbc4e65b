"""The callers of the demo: a process of their own that scores and produces live days, as the world outside does."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from flows.place import place
from sluice.cli.demo.clock import clock
from sluice.cli.demo.events import Days
from sluice.engine.shards import open_online
from sluice.errors import Outage
from sluice.local.replay import Replay
from sluice.settings import settings
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
        # a pipe and not an event of multiprocessing: that one never comes back when the process that waits is killed
        hurried, self._hurry = context.Pipe(duplex=False)
        self._process = context.Process(target=_serve, args=(callers, theirs, hurried), daemon=True)
        self._theirs = (theirs, hurried)

    def __enter__(self) -> Self:
        self._process.start()
        for end in self._theirs:
            end.close()  # theirs alone from now on, so that an end of the process is an end of the pipe
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._sent(self._orders, None):
            self._process.join(_PATIENCE_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(_PATIENCE_S)

    @property
    def answered(self) -> bool:
        """Whether the days that were begun last are over already."""
        return self._orders.poll()

    @contextmanager
    def days(self, first: int, until: int, *, pace_s: float = 0.0) -> Iterator[None]:
        """Live days while the block runs, with a pause before each request; what is left goes without pauses.

        Outage when the callers could not go on.
        """
        self._sent(self._orders, _Order(first, until, pace_s))
        yield
        self._sent(self._hurry, until)
        told = self._told()
        if told:
            raise Outage(
                f"the callers could not go on: {told}",
                where=f"live days {first} to {until}",
                next_step=f"read {settings().places.at('logs', 'demo.log')}",
            )

    def _told(self) -> str:
        try:
            told: str = self._orders.recv()
        except (EOFError, OSError):
            self._process.join(_PATIENCE_S)
            return f"their process ended with {self._process.exitcode}"
        return told

    @staticmethod
    def _sent(pipe: Connection, message: object) -> bool:
        """Whether it could be sent; a process that is gone is found out by whoever waits for its answer."""
        try:
            pipe.send(message)
        except OSError:
            return False
        return True


class _Hurry:
    """The callers' end of being told to hurry: the day up to which there are no more pauses."""

    def __init__(self, hurried: Connection) -> None:
        self._hurried = hurried
        self._until = 0
        self.day = 0
        """The day at which the present order ends."""

    def wait(self, timeout: float) -> bool:
        """Pause, unless the present order is to be hurried; Outage when nobody is there any more to say so."""
        while self._until < self.day and self._hurried.poll(timeout):
            try:
                self._until = self._hurried.recv()
            except EOFError:
                raise Outage("the demo that these callers belong to has gone", where="callers") from None
        return self._until >= self.day


def _serve(callers: Callers, orders: Connection, hurried: Connection) -> None:
    """The callers' process: one span of days after the other, each answered with what went wrong, or nothing."""
    here = place(callers.pipeline)
    store = open_online(here.settings.online_uri, here.pipeline.name)
    hurry = _Hurry(hurried)
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
        while (order := _next(orders)) is not None:
            replay.pace_s, hurry.day = order.pace_s, order.until
            orders.send(_tried(replay, callers.days, order))
    store.close()


def _next(orders: Connection) -> _Order | None:
    """The next order; None when there is none, nor anybody to give one."""
    try:
        order: _Order | None = orders.recv()
    except EOFError:
        return None
    return order


def _tried(replay: Replay, days: Days, order: _Order) -> str:
    try:
        replay.run(days.between(order.first, order.until))
    except Exception as error:  # noqa: BLE001  told to the process that waits, which raises it
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return ""
