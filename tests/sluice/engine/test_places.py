from __future__ import annotations

from pathlib import Path

import pytest

from sluice.engine.places import open_store
from sluice.engine.store import Change, StoreDown
from sluice.errors import SettingsError
from tests.redis_server import RedisServer


@pytest.mark.unit
@pytest.mark.parametrize("slashes", ["sqlite://", "sqlite:///"])
def test_a_uri_names_the_folder_and_each_pipeline_has_its_file(tmp_path: Path, slashes: str) -> None:
    open_store(f"{slashes}{tmp_path}", "fraud").close()
    assert (tmp_path / "fraud.db").exists()


@pytest.mark.unit
def test_a_store_of_another_kind_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError) as refused:
        open_store("carrier-pigeon://roof", "fraud")
    assert str(refused.value) == (
        "SLUICE_ONLINE: no online store speaks 'carrier-pigeon'\n"
        "  allowed: sqlite:///<folder>, redis://host:port/database, rediss://host:port/database"
    )


@pytest.mark.unit
@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_redis_that_does_not_answer_is_named_without_its_password(scheme: str) -> None:
    with pytest.raises(StoreDown) as down:
        open_store(f"{scheme}://user:secret@127.0.0.1:1/0?password=secret", "fraud")
    assert str(down.value).startswith(f"{scheme}://127.0.0.1:1/0: Redis does not answer: Error 111")
    assert str(down.value).endswith("\n  next: sluice up redis; one of your own: see that it runs and can be reached")
    assert "secret" not in str(down.value)


@pytest.mark.unit
@pytest.mark.parametrize("uri", ["redis://user:secret@host:port/0", "redis://:secret@host/0?socket_timeout=soon"])
def test_an_address_that_cannot_be_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(
        SettingsError, match=r"this is no address of a Redis(?s:.*)\n  allowed: redis://\[user"
    ) as refused:
        open_store(uri, "fraud")
    assert "secret" not in str(refused.value)


@pytest.mark.unit
def test_a_store_in_memory_is_one_for_all_who_name_it() -> None:
    open_store("memory://one", "fraud").apply(Change(heads=[("v", 5, b"head")]))
    read = [open_store(uri, name).read([("v", 5)]).heads for uri, name in _OTHERS]
    assert read == [[b"head"], [None], [None]]


_OTHERS = [("memory://one", "fraud"), ("memory://one", "clinic"), ("memory://two", "fraud")]


@pytest.mark.integration
def test_pipelines_share_a_redis_and_see_nothing_of_each_other(redis_server: RedisServer) -> None:
    stores = [open_store(redis_server.url, name) for name in ("fraud", "clinic", "fraud:1", "fr{au}d")]
    for store, name in zip(stores, (b"a", b"b", b"c", b"d"), strict=True):
        store.load(1, [("v", 5, None, name)], [])
    assert [store.read([("v", 5)]).heads for store in stores] == [[b"a"], [b"b"], [b"c"], [b"d"]]
    for store in stores:
        store.close()
