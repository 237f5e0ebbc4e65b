"""The callers' process: what kills it is told, and nothing waits for it for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

import pytest

from sluice.cli.demo.traffic import Callers, Traffic, _Hurry
from sluice.errors import Outage
from sluice.local.messages import Message


@dataclass(frozen=True)
class NoDays:
    """Days on which nothing happens."""

    def between(self, first: int, until: int) -> Iterator[Message]:  # noqa: ARG002  the port's own names
        return iter(())


CALLERS = Callers("fraud", NoDays(), share=1.0, slice=10)


@pytest.mark.integration
def test_callers_that_cannot_begin_are_an_outage_that_names_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    with Traffic(CALLERS) as traffic:
        with pytest.raises(Outage, match=r"their process ended with 1\n  next: read .*demo\.log"), traffic.days(0, 1):
            pass
        with pytest.raises(Outage, match="their process ended with 1"), traffic.days(1, 2):
            pass


@pytest.mark.integration
def test_callers_that_are_killed_are_an_outage_and_nothing_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    killed = pytest.raises(Outage, match="their process ended with -9")
    with Traffic(CALLERS) as traffic, killed, traffic.days(0, 1, pace_s=600.0):
        traffic._process.kill()


@pytest.mark.unit
def test_a_hurry_ends_the_pauses_of_its_own_days_and_of_no_later_ones() -> None:
    hurried, hurry = Pipe(duplex=False)
    signal = _Hurry(hurried)
    signal.day = 5
    assert signal.wait(0.0) is False
    hurry.send(5)
    assert signal.wait(600.0) is True
    assert signal.wait(600.0) is True
    signal.day = 8
    assert signal.wait(0.0) is False


@pytest.mark.unit
def test_callers_whose_demo_has_gone_stop_at_their_next_pause() -> None:
    hurried, hurry = Pipe(duplex=False)
    signal = _Hurry(hurried)
    signal.day = 5
    hurry.close()
    with pytest.raises(Outage, match="has gone"):
        signal.wait(600.0)
