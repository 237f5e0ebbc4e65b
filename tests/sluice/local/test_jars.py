"""Jars are fetched once, checked always, and never looked up again. The repository is a folder served on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sluice.errors import DataError, Outage
from sluice.local.jars import Jar, locked, provide

CONTENT = b"not really a jar, but with these very bytes"
JAR = Jar("org.example:thing_2.13:1.2.0", hashlib.sha256(CONTENT).hexdigest())
NOWHERE = "http://127.0.0.1:9/maven2"
"""Nothing listens on the discard port."""


class Repository:
    """A Maven repository that counts what is asked of it."""

    def __init__(self, folder: Path) -> None:
        self.jar = folder / "org" / "example" / "thing_2.13" / "1.2.0" / "thing_2.13-1.2.0.jar"
        self.jar.parent.mkdir(parents=True)
        self.jar.write_bytes(CONTENT)
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self.asked, directory=str(folder)))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


class _Handler(SimpleHTTPRequestHandler):
    def __init__(self, asked: list[str], *arguments: object, **options: object) -> None:
        self.asked = asked
        super().__init__(*arguments, **options)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    served = Repository(tmp_path / "repository")
    thread = threading.Thread(target=served.server.serve_forever)
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.mark.unit
def test_the_lock_names_every_jar_once_with_its_sha256() -> None:
    jars = [*locked("delta"), *locked("kafka"), *locked("jdbc")]

    assert len({jar.coordinates for jar in jars}) == len(jars) == 54
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)


@pytest.mark.unit
def test_the_lock_brings_no_hadoop_and_nothing_that_spark_has_itself() -> None:
    groups = {jar.coordinates.split(":")[0] for jar in locked("delta")}

    assert groups == {"io.delta", "io.unitycatalog"}


@pytest.mark.unit
def test_a_jar_in_the_cache_is_used_without_a_network(tmp_path: Path) -> None:
    (tmp_path / JAR.file_name).write_bytes(CONTENT)

    assert provide([JAR], tmp_path, repository=NOWHERE) == [tmp_path / "org.example.thing_2.13-1.2.0.jar"]


@pytest.mark.integration
def test_a_missing_jar_is_fetched_by_its_coordinates_and_not_asked_for_again(
    repository: Repository, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"

    [jar] = provide([JAR], cache, repository=repository.url)
    fetched = list(repository.asked)
    again = provide([JAR], cache, repository=repository.url)

    assert jar.read_bytes() == CONTENT
    assert again == [jar]
    assert set(fetched) == {"/org/example/thing_2.13/1.2.0/thing_2.13-1.2.0.jar"}
    assert repository.asked == fetched


@pytest.mark.integration
def test_a_damaged_jar_is_named_and_fetched_again(
    repository: Repository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / JAR.file_name
    damaged.write_bytes(CONTENT[:-1])

    provide([JAR], tmp_path, repository=repository.url)

    assert damaged.read_bytes() == CONTENT
    assert f"{damaged} is damaged" in caplog.text


@pytest.mark.integration
def test_a_jar_that_cannot_be_fetched_is_an_outage_that_names_it_and_the_repository(tmp_path: Path) -> None:
    with pytest.raises(Outage, match=r"(?s)http://127.0.0.1:9/maven2: .*thing_2.13-1.2.0.jar.*SLUICE_JAR_REPOSITORY"):
        provide([JAR], tmp_path, repository=NOWHERE)

    assert not (tmp_path / JAR.file_name).exists()


@pytest.mark.integration
def test_other_bytes_than_the_lock_says_never_enter_the_cache(repository: Repository, tmp_path: Path) -> None:
    repository.jar.write_bytes(b"something else")

    with pytest.raises(DataError, match=r"org.example:thing_2.13:1.2.0 arrived with SHA-256"):
        provide([JAR], tmp_path, repository=repository.url)

    assert not (tmp_path / JAR.file_name).exists()
