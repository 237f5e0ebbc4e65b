"""In a bucket an entity is forgotten as in a folder: what is left of the lake is brought here, and searched."""

from __future__ import annotations

import uuid
from pathlib import Path

import pyarrow.fs
import pytest

from sluice.lake.storage import place
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.s3_server import BUCKET, S3Server
from tests.sluice.lake.forgetting.lakes import FIRST, Market, mentions, order, returned, zebra
from tests.sluice.lake.forgetting.test_forget import gone

pytestmark = pytest.mark.integration


def test_every_object_of_a_bucket_is_without_it(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_ERASURE_KEY", "a secret")
    settings.cache_clear()
    shop = Market(tmp_path / "market")
    shop.uri = f"s3://{BUCKET}/{uuid.uuid4().hex}"
    shop.lake = Lake(shop.uri, "market")
    rows = [*(zebra(number) for number in range(3)), order(1), order(2, "c2")]
    assert shop.deliver("a", orders=rows, returns=[returned(FIRST, 501), returned(1, 502)]) is None
    ids = [FIRST, FIRST + 1, FIRST + 2]
    assert mentions(brought(shop.lake, tmp_path / "before"), ids)
    gone(shop)
    assert mentions(brought(shop.lake, tmp_path / "after"), ids) == []
    assert shop.accounts().erased == 3


def brought(lake: Lake, folder: Path) -> Path:
    """A copy of everything below a lake."""
    filesystem, root = place(lake.root)
    pyarrow.fs.copy_files(root, str(folder), source_filesystem=filesystem, destination_filesystem=None)
    return folder
