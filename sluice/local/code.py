"""The code as one archive, for workers on other machines: all rooms and no tests, laid out as a wheel is.

Spark puts a `.zip` on the path of its Python workers, and no `.whl`; what is inside is the same.

    python -m sluice.local.code FOLDER      writes it there, and prints its path
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sluice.errors import UserError

ROOMS = ("sluice", "feature_repo", "flows", "spark_jobs", "models", "serve")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""When every file of the archive is said to be written, so that the same code is the same bytes."""


def write_archive(folder: Path) -> Path:
    """The archive in a folder, under a name that its bytes give; what is there already is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    found = dict(_files())
    digest = hashlib.sha256()
    for name, content in sorted(found.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    version = importlib.metadata.version("sluice")
    path = folder / f"sluice-{version}-{digest.hexdigest()[:12]}.zip"
    if not path.exists():
        fresh = path.with_suffix(f".{os.getpid()}")
        with zipfile.ZipFile(fresh, "w") as archive:
            for name, content in sorted(found.items()):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        fresh.replace(path)
    return path


def _files() -> Iterator[tuple[str, bytes]]:
    """Every file of the rooms by its place in the archive, and what says which version of which package they are."""
    for room in ROOMS:
        root = _root(room)
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{room}/{path.relative_to(root).as_posix()}", path.read_bytes()
    version = importlib.metadata.version("sluice")
    yield f"sluice-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: sluice\nVersion: {version}\n".encode()


def _root(room: str) -> Path:
    spec = importlib.util.find_spec(room)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise UserError(f"the room {room!r} is not installed", where="sluice", next_step="install Sluice whole")
    return Path(places[0])


if __name__ == "__main__":
    print(write_archive(Path(sys.argv[1])))  # noqa: T201 what it is called for
