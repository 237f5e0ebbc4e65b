"""Finds a pipeline by its registered name (a file in `feature_repo/`) or by the path of a Python file."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from sluice.declare.lock import check_frozen
from sluice.declare.pipeline import Pipeline
from sluice.errors import DeclarationError, SluiceError, UserError

_ROOM = "feature_repo"


def registered() -> list[str]:
    """The names of the pipelines that ship in `feature_repo`."""
    folder = importlib.util.find_spec(_ROOM)
    places = folder.submodule_search_locations if folder else []
    return sorted(module.name for module in pkgutil.iter_modules(places) if module.name != "feast_objects")


def load_pipeline(reference: str) -> Pipeline:
    """The pipeline of a registered name or of the .py file at a path; DeclarationError says what is missing.

    A frozen one that means something else by now is refused, with what changed.
    """
    found, file = load_unlocked(reference)
    check_frozen(found, file)
    return found


def load_unlocked(reference: str) -> tuple[Pipeline, Path]:
    """The pipeline and its file, whatever it was frozen as: for those who freeze it anew."""
    module = _from_path(Path(reference)) if reference.endswith(".py") else _from_name(reference)
    found = getattr(module, "pipeline", None)
    if not isinstance(found, Pipeline):
        raise DeclarationError(
            "no `pipeline = Pipeline(…)` in it",
            where=reference,
            next_step="call the pipeline of the file `pipeline`",
        )
    object.__setattr__(found, "reference", reference)
    return found, Path(str(module.__file__))


def _from_name(name: str) -> ModuleType:
    if name not in registered():
        raised = UserError.unknown("pipeline", name, registered())
        meant = f"did you mean {name}.py?" if Path(f"{name}.py").is_file() else raised.next_step
        raise DeclarationError(raised.what, allowed=[*registered(), "path/to/file.py"], next_step=meant)
    [room] = importlib.import_module(_ROOM).__path__
    with _told_where(Path(room) / f"{name}.py"):
        return importlib.import_module(f"{_ROOM}.{name}")


def _from_path(path: Path) -> ModuleType:
    if not path.is_file():
        raise DeclarationError("there is no such file", where=str(path))
    spec = importlib.util.spec_from_file_location(f"sluice_pipeline_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise DeclarationError("it is not a Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # Python's own cache takes a file for unchanged when its size and the second of its last write are the same
    with _told_where(path):
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102
    return module


@contextmanager
def _told_where(file: Path) -> Iterator[None]:
    """Whatever a declaration's file raises is a DeclarationError with the line of the file."""
    try:
        yield
    except DeclarationError as error:
        where = ", ".join(part for part in (_line(file, error), error.where) if part)
        raise DeclarationError(error.what, where=where, allowed=error.allowed, next_step=error.next_step) from error
    except SluiceError:
        raise
    except Exception as error:  # a file of somebody's may raise anything
        raise DeclarationError(
            f"{type(error).__name__}: {error}",
            where=_line(file, error),
            next_step=_next(error),
        ) from error


def _next(error: Exception) -> str:
    """What mends it: a word of Sluice that nobody imported is named."""
    if isinstance(error, NameError) and error.name in importlib.import_module("sluice").__all__:
        return f"add {error.name} to the import from sluice"
    return "docs/reference/declare.md shows what each word takes"


def _line(file: Path, error: Exception) -> str:
    """Where in the file it was raised; of a file that cannot be compiled, where that begins."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    found = lines[-1] if lines else error.lineno if isinstance(error, SyntaxError) else None
    return str(file) if found is None else f"{file}:{found}"
