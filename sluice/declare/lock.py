"""A frozen declaration: what it means lies beside it as JSON, and a declaration that means something else is refused.

`fraud.py` is frozen by `fraud.lock.json`. The file holds the whole description, not a hash of it, so that the refusal
can say what changed, with no lake at hand, and a reviewer sees a new definition as a diff of its own.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

from sluice.declare.changes import Change, Description, changes
from sluice.declare.pipeline import Pipeline
from sluice.errors import DataError, DeclarationError


def lock_of(file: Path) -> Path:
    """Where the lock of a declaration's file is, whether it is frozen or not."""
    return file.with_suffix(".lock.json")


def frozen(file: Path) -> Description | None:
    """What a declaration was frozen as; None for one that is not."""
    lock = lock_of(file)
    text = _text(lock)
    if text is None:
        return None
    try:
        found: Description = json.loads(text)
        changes(found, found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"this is no lock: {error!r}", where=str(lock), next_step="take it from version control, or freeze again"
        ) from error
    return found


def freeze(pipeline: Pipeline, file: Path, *, again: bool = False) -> list[Change]:
    """Freeze a declaration as it is now; with `again` also one that was frozen as something else: what changed."""
    if not again:
        check_frozen(pipeline, file)
    before, described = frozen(file), pipeline.describe()
    lock_of(file).write_text(json.dumps(described, indent=2) + "\n")
    return [] if before is None else changes(before, described)


def thaw(file: Path) -> bool:
    """Let a declaration change again; whether it was frozen."""
    was_frozen = lock_of(file).is_file()
    lock_of(file).unlink(missing_ok=True)
    return was_frozen


def check_frozen(pipeline: Pipeline, file: Path) -> None:
    """DeclarationError with every change when a declaration no longer means what it was frozen as."""
    before = frozen(file)
    found = [] if before is None else changes(before, pipeline.describe())
    if found:
        raise DeclarationError(
            "the declaration is frozen, and means something else now:" + "".join(f"\n    {one}" for one in found),
            where=str(file),
            next_step=f"take it back, or accept it: sluice features freeze {_named(pipeline, file)} --again",
        )


def _text(lock: Path) -> str | None:
    """What a lock says, be it a file or in the archive that a job's code was sent in; None where there is none."""
    if lock.is_file():
        return lock.read_text()
    archive = next((parent for parent in lock.parents if parent.suffix == ".zip" and parent.is_file()), None)
    inside = None if archive is None else zipfile.Path(archive, lock.relative_to(archive).as_posix())
    return inside.read_text() if inside is not None and inside.is_file() else None


def _named(pipeline: Pipeline, file: Path) -> str:
    return pipeline.name if file.parent.name == "feature_repo" and file.stem == pipeline.name else str(file)
