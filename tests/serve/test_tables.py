"""A replica has its as-of tables before it answers, and takes up newer ones while it does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake.exceptions import DeltaError

from serve.control import deploy
from serve.routing import Route, Routing
from serve.scoring import NOTHING, Parts, ScoringService
from serve.tables import EVERY_S, Tables
from sluice.clock import HandClock
from sluice.engine.asof import Lookups
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import unpack
from sluice.errors import DataError, Outage
from sluice.lake.asof import load, newest, publish
from sluice.lake.asof_rows import judge
from sluice.lake.tables import Lake
from sluice.stream.predictions import MemoryLog
from tests.serve.conftest import NOW, body
from tests.serve.tiny_model import make_model
from tests.sluice.stream import priced
from tests.sluice.stream.priced import ROWS, day, pipeline

pytestmark = pytest.mark.unit
VERSIONS = {"holidays": 0, "price_index": 0, "terms": 0}


@dataclass
class Shelf:
    """Versions that somebody loads, and a clock that is turned by hand."""

    now: float = 0.0
    versions: dict[str, int] = field(default_factory=lambda: {"holidays": 3})
    broken: Exception | None = None
    read: list[dict[str, int]] = field(default_factory=list)

    def newest(self) -> Mapping[str, int]:
        if self.broken is not None:
            raise self.broken
        return dict(self.versions)

    def load(self, versions: Mapping[str, int]) -> Lookups:
        self.read.append(dict(versions))
        return Lookups(dict(versions))

    def tables(self) -> Tables:
        return Tables(self.newest, self.load, tick=lambda: self.now)


def test_tables_are_read_once_however_often_they_are_opened() -> None:
    shelf = Shelf()
    tables = shelf.tables()
    assert tables.held.versions == {}
    for _ in range(3):
        tables.open()
    assert (tables.held.versions, shelf.read) == ({"holidays": 3}, [{"holidays": 3}])


def test_a_newer_version_is_looked_for_once_a_minute_and_taken_up_whole() -> None:
    shelf = Shelf()
    tables = shelf.tables()
    tables.open()
    shelf.versions["holidays"] = 4
    for seconds, held in ((0.5, 3), (EVERY_S - 0.5, 3), (EVERY_S, 4), (2 * EVERY_S, 4)):
        shelf.now = seconds
        tables.renew()
        assert tables.held.versions == {"holidays": held}
    assert shelf.read == [{"holidays": 3}, {"holidays": 4}]


@pytest.mark.parametrize("broken", [DeltaError("half a log"), DataError("no table"), OSError("no disk")])
def test_what_cannot_be_read_leaves_the_tables_as_they_are(broken: Exception, caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf()
    tables = shelf.tables()
    tables.open()
    shelf.broken, shelf.now = broken, EVERY_S
    with caplog.at_level(logging.WARNING):
        tables.renew()
    assert tables.held.versions == {"holidays": 3}
    assert str(broken) in caplog.text
    shelf.broken, shelf.now, shelf.versions = None, 2 * EVERY_S, {"holidays": 5}
    tables.renew()
    assert tables.held.versions == {"holidays": 5}


def test_a_lake_that_cannot_be_read_at_the_start_is_an_outage_and_tried_again() -> None:
    shelf = Shelf(broken=DeltaError("half a log"))
    tables = shelf.tables()
    with pytest.raises(Outage, match="half a log"):
        tables.open()
    tables.renew()
    assert shelf.read == []
    shelf.broken = None
    tables.open()
    assert tables.held.versions == {"holidays": 3}


def write(lake: Lake, table: str, rows: list[dict[str, Any]]) -> None:
    declared = pipeline.tables[table]
    publish(lake, declared, judge(declared, rows).accepted, source="test", at=NOW)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"), pipeline.name)


@dataclass
class World:
    """A service that answers with the tables of a lake, and the hand on its clock."""

    service: ScoringService
    log: MemoryLog
    turn: Callable[[float], None]


@pytest.fixture
def world(lake: Lake, tmp_path: Path) -> Iterator[World]:
    now, log = [0.0], MemoryLog()
    tables = Tables(lambda: newest(lake, pipeline), lambda found: load(lake, pipeline, found), tick=lambda: now[0])
    parts = Parts(lambda: MemoryStore(base=0), lambda: log, HandClock(NOW), tables)
    service = ScoringService(pipeline, parts)
    assert service.route(Routing({"*": Route(make_model(tmp_path / "model", pipeline))}))
    yield World(service, log, lambda seconds: now.__setitem__(0, now[0] + seconds))
    service.close()


def ask(service: ScoringService, country: str = "FR") -> int:
    event = {"payment_id": 7, "paid_at": "2024-02-03T01:00:00Z", "card": 3, "shop": "a", "amount": 12.5}
    return service.score(body({**event, "channel": "pos", "country": country})).status


def is_holiday(packed: bytes) -> float | None:
    values, valid = unpack(pipeline, [packed])["calendar__is_holiday"]
    return float(values[0]) if valid[0] else None


def test_the_log_says_which_versions_a_vector_was_served_with(world: World, lake: Lake) -> None:
    for table, rows in ROWS.items():
        write(lake, table, rows)
    assert world.service.open()
    assert ask(world.service) == 200
    write(lake, "holidays", [day("FR", 0, 1)])
    assert world.service.open()
    assert ask(world.service) == 200
    world.turn(EVERY_S)
    assert world.service.open()
    assert ask(world.service) == 200
    assert world.service.readiness()[1]["tables"] == {**VERSIONS, "holidays": 1}
    assert b'sluice_asof_table_version{table="holidays"} 1.0' in world.service.metrics.exposition()
    world.service.close()
    assert [row.knowledge["tables"] for row in world.log.written] == [
        VERSIONS,
        VERSIONS,
        {**VERSIONS, "holidays": 1},
    ]
    assert [is_holiday(row.vector) for row in world.log.written] == [0.0, 0.0, 1.0]


def test_without_the_store_what_is_looked_up_is_still_known(world: World, lake: Lake) -> None:
    class Failing(MemoryStore):
        def read(self, _names: Any, _call: Any = None) -> Any:
            raise Outage("disk on fire")

    for table, rows in ROWS.items():
        write(lake, table, rows)
    log, tables = MemoryLog(), Tables(lambda: newest(lake, pipeline), lambda found: load(lake, pipeline, found))
    service = ScoringService(pipeline, Parts(Failing, lambda: log, HandClock(NOW), tables))
    service.route(world.service.models.routing)
    assert service.open()
    assert ask(service) == 200
    service.close()
    (row,) = log.written
    assert row.degraded
    assert row.knowledge == {"base": NOTHING, "positions": {}, "tables": VERSIONS}
    assert is_holiday(row.vector) == 0.0


def test_until_its_tables_are_loaded_a_service_is_closed_and_names_the_command(world: World, lake: Lake) -> None:
    for table, rows in list(ROWS.items())[:2]:
        write(lake, table, rows)
    assert not world.service.open()
    assert ask(world.service) == 503
    assert "sluice tables load priced terms FILE" in world.service.readiness()[1]["missing"]
    write(lake, "terms", ROWS["terms"])
    assert world.service.open()
    assert ask(world.service) == 200


def test_a_pipeline_is_not_deployed_without_its_tables(tmp_path: Path) -> None:
    file = str(Path(priced.__file__))
    with pytest.raises(DataError, match=f"sluice tables load {file} holidays FILE"):
        deploy(file, Routing(), lake=str(tmp_path))
