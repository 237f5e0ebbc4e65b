"""A replica opens what it is told of, as Serve's own process does; no Ray is started."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from serve.deployment import Places, open_service
from serve.routing import Route, Routing
from sluice.engine.places import open_store
from sluice.lake.tables import Lake
from tests.serve.test_tables import VERSIONS, ask, write
from tests.serve.tiny_model import make_model
from tests.sluice.stream import priced
from tests.sluice.stream.priced import ROWS, pipeline

pytestmark = pytest.mark.integration


def test_a_replica_opens_the_tables_of_the_lake_it_is_given(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), pipeline.name)
    for table, rows in ROWS.items():
        write(lake, table, rows)
    open_store(f"sqlite:///{tmp_path}/online", pipeline.name).close()
    places = Places(
        pipeline=str(Path(priced.__file__)),
        store=f"sqlite:///{tmp_path}/online",
        lake=str(tmp_path / "lake"),
        log=(tmp_path / "log.jsonl").as_uri(),
        clock="wall",
    )
    service = open_service(places, replica="r1")
    service.route(Routing({"*": Route(make_model(tmp_path / "model", pipeline))}))
    assert service.open()
    assert ask(service) == 200
    service.close()
    logged = orjson.loads((tmp_path / "log.jsonl").read_bytes())
    assert logged["knowledge"]["tables"] == VERSIONS
