"""Tiles equal events, for entities that nobody has asked about; one that does not is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.engine.layout import VALUES
from sluice.engine.sqlite import SqliteStore
from sluice.errors import Outage
from sluice.lake.tables import Lake
from sluice.monitor.tiles import check_tiles
from tests.sluice.monitor.serving import Serving
from tests.sluice.monitor.test_audit import flip
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

SEED, SIZE, FILES = 7, 400, 200


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """A store that was started from files and has folded what came after them; nothing was asked of it."""
    messages = feed(SEED, SIZE)
    serving = Serving.start(tmp_path, messages[:FILES], SEED)
    serving.fold(messages[FILES:])
    return serving


def test_a_sound_store_answers_what_the_events_say(serving: Serving) -> None:
    serving.history.archive()
    found = check_tiles(serving.history.lake, pipeline, serving.store, most=40, seed=SEED)
    assert len(found) == 40
    assert [item.differences for item in found if item.differences] == []
    assert len({item.served.vector for item in found}) > 10


def test_a_tile_with_another_value_is_named(serving: Serving, tmp_path: Path) -> None:
    serving.history.archive()
    serving.store.close()
    flip(tmp_path / "online.db", 2**60, VALUES, 1)
    store = SqliteStore(tmp_path / "online.db")
    found = check_tiles(serving.history.lake, pipeline, store, most=400, seed=SEED)
    names = {name for item in found for name in item.differences}
    assert names
    assert names <= {"spend__mean_amount_6h", "spend__sum_amount_1h", "moment__amount_per_spend_mean_amount_6h"}
    store.close()


def test_while_the_archive_is_behind_the_store_nothing_can_be_said(serving: Serving) -> None:
    with pytest.raises(Outage, match="let the archive catch up"):
        check_tiles(serving.history.lake, pipeline, serving.store, most=5, seed=SEED)


def test_a_lake_without_events_has_nothing_to_check(serving: Serving, tmp_path: Path) -> None:
    assert check_tiles(Lake(str(tmp_path / "empty"), "payments"), pipeline, serving.store, most=5, seed=SEED) == []
