"""The jars that Spark, the broker and the warehouse need: fetched once per person, checked every time.

They are never looked up again: which ones, in which version and with which bytes, is written in `jars.lock`. They are
kept below the cache folder (`SLUICE_CACHE`), shared by every project of the person.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import DataError, UserError
from sluice.local.ivy import fetch
from sluice.settings import settings

LOCK = Path(__file__).with_name("jars.lock")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar by its Maven coordinates and the SHA-256 that its bytes must have."""

    coordinates: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name of the file in the cache, `group.artifact-version.jar`."""
        group, artifact, version = self.coordinates.split(":")
        return f"{group}.{artifact}-{version}.jar"


def delta_jars() -> list[Path]:
    """Delta for Spark, for `--jars`; fetched if they are not in the cache."""
    return _from_cache("delta")


def kafka_jars() -> list[Path]:
    """The Kafka broker's class path; fetched if it is not in the cache."""
    return _from_cache("kafka")


def jdbc_jars() -> list[Path]:
    """The JDBC driver of the warehouse, for `--jars`: Postgres' one, fetched if it is not in the cache, or yours."""
    named = settings().warehouse.jars
    return _from_cache("jdbc") if named is None else [_there(Path(part.strip())) for part in named.split(",")]


def locked(group: str, lock: Path = LOCK) -> list[Jar]:
    """The jars of one group of the lock file (`delta`, `kafka`, `jdbc`), in its order."""
    return [Jar(coordinates, sha256) for coordinates, sha256 in tomllib.loads(lock.read_text())[group].items()]


def provide(jars: Sequence[Jar], folder: Path, *, repository: str | None = None) -> list[Path]:
    """The jars' files in the folder, each with the bytes it must have; only what is missing or damaged is fetched.

    Outage when a jar cannot be fetched, DataError when the repository hands out other bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        wanted = [jar for jar in jars if not _sound(jar, folder)]
        if wanted:
            _fetch_into(folder, wanted, repository)
    return [folder / jar.file_name for jar in jars]


def _from_cache(group: str) -> list[Path]:
    places = settings().places
    return provide(locked(group), places.cache_folder / "jars", repository=places.jar_repository)


def _there(jar: Path) -> Path:
    if not jar.is_file():
        raise UserError(f"there is no jar {str(jar)!r}", where="SLUICE_WAREHOUSE_JARS")
    return jar.absolute()


def _sound(jar: Jar, folder: Path) -> bool:
    path = folder / jar.file_name
    if not path.exists():
        return False
    if _sha256(path) == jar.sha256:
        return True
    _log.warning("%s is damaged: its SHA-256 is not the one in %s; it is fetched again", path, LOCK.name)
    return False


def _fetch_into(folder: Path, wanted: Sequence[Jar], repository: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        fetch([jar.coordinates for jar in wanted], Path(scratch), repository=repository)
        for jar in wanted:
            arrived = Path(scratch) / jar.file_name
            _refuse_other_bytes(jar, arrived)
            arrived.replace(folder / jar.file_name)


def _refuse_other_bytes(jar: Jar, arrived: Path) -> None:
    got = _sha256(arrived)
    if got != jar.sha256:
        raise DataError(
            f"{jar.coordinates} arrived with SHA-256 {got}",
            where=LOCK.name,
            allowed=jar.sha256,
            next_step="the repository or the way to it changes files: name another one in SLUICE_JAR_REPOSITORY",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two processes never fetch into one folder at once; the second finds the first one's files."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
