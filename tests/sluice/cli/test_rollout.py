"""The rollout by hand: what the commands show and do is what the promotion log says."""

from __future__ import annotations

import threading

import httpx
import orjson
import pyarrow.dataset as ds
import pytest

from serve import promotions
from serve.control import deploy
from tests.sluice.cli.conftest import Loop, sluice
from tests.sluice.lake.lineage.told import runs

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1500)]


def test_status_shows_every_segment_as_the_promotion_log_tells_it(loop: Loop) -> None:
    shown = sluice("rollout", "status", "fraud")
    assert shown.returncode == 0, shown.stderr
    told = {line.split()[0]: line.split()[1] for line in shown.stdout.splitlines()[1:]}
    assert told == {segment: str(state.champion) for segment, state in promotions.state(loop.here.lake).items()}


def test_back_restores_the_champion_before_and_no_request_fails_meanwhile(loop: Loop) -> None:
    lake = loop.here.lake
    deploy("fraud", promotions.routing_of(promotions.state(lake)))
    before = promotions.state(lake)["pos"]
    request = lake.rows("predictions", where=ds.field("segment") == "pos")[-1]["request"]
    statuses: list[int] = []
    with asking(loop.here.settings.serve_url, request, statuses):
        done = sluice("rollout", "back", "fraud", "pos", "--by", "Ada", "--because", "customers complain")
    assert done.returncode == 0, done.stderr
    assert runs(loop.home, "take back")[-2:] == [
        ("START", set(), set()),
        ("COMPLETE", set(), {"promotions", "rollbacks"}),
    ]
    assert before.before is not None
    assert done.stdout.startswith(f"pos: rollback {before.champion}, {before.before} answers — customers complain")
    after = promotions.state(lake)["pos"]
    assert (after.champion, after.challenger) == (before.before, None)
    assert len(statuses) > 20
    assert set(statuses) == {200}
    (told,) = lake.rows("rollbacks", where=ds.field("because") == "customers complain")
    assert orjson.loads(promotions.moves(lake)[-1]["evidence"]) == {"rollback": told["rollback"]}
    assert told["by"] == "Ada"
    answer = httpx.post(f"{loop.here.settings.serve_url}/score", content=body(request), trust_env=False).json()
    (result,) = answer["results"]
    assert f"{result['model']}/{result['version']}" == str(before.before)


def body(request: str) -> bytes:
    return orjson.dumps({"events": [orjson.loads(request)]})


class asking:  # noqa: N801  reads as a clause of the with statement
    """A caller who goes on asking while the block runs."""

    def __init__(self, url: str, request: str, statuses: list[int]) -> None:
        self._url, self._request, self._statuses = url, request, statuses
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30, trust_env=False) as client:
            while not self._done.wait(0.02):
                try:
                    self._statuses.append(client.post("/score", content=body(self._request)).status_code)
                except httpx.HTTPError:
                    self._statuses.append(0)
