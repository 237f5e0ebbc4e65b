"""Which declaration a Feast object was made from, as tags, and the way back to the declaration."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.declare.asof import AsOf
from sluice.declare.loading import load_pipeline, registered
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.errors import UserError

_PREFIX = "sluice."


@dataclass(frozen=True)
class Declared:
    """A view of a pipeline as it was declared when the object was made."""

    pipeline: str
    view: str
    definition: str
    file: str = ""
    """The file it was declared in, unless it is one of the registered pipelines."""

    def tags(self) -> dict[str, str]:
        """The tags of a Feast object."""
        found = {"pipeline": self.pipeline, "view": self.view, "definition": self.definition, "file": self.file}
        return {f"{_PREFIX}{name}": value for name, value in found.items() if value}

    def load(self) -> Pipeline:
        """The pipeline with this definition; UserError when the code at hand declares another one."""
        return _load(self.pipeline, self.definition, self.file)

    def present(self) -> Pipeline:
        """The pipeline of this name as the code at hand declares it, whatever it means by now."""
        return load_pipeline(self.pipeline if self.pipeline in registered() else self.file)

    def windows(self) -> Windows:
        """The windowed view."""
        return self.load().view(self.view)

    def lookup(self) -> AsOf | None:
        """The as-of view, if it is one."""
        return next((view for view in self.load().lookups if view.name == self.view), None)


def declared(pipeline: Pipeline, view: str = "") -> Declared:
    """What the tags of an object of this pipeline say."""
    return Declared(pipeline.name, view, pipeline.definition, _file(pipeline))


def declared_by(feast_object: Any) -> Declared | None:
    """What an object was made from; None for one that is not ours."""
    tags: Mapping[str, str] = feast_object.tags or {}
    if f"{_PREFIX}pipeline" not in tags:
        return None
    return Declared(*(tags.get(f"{_PREFIX}{name}", "") for name in ("pipeline", "view", "definition", "file")))


@functools.cache
def _load(name: str, definition: str, file: str) -> Pipeline:
    """The registered pipeline of that name, or else the file's, whichever has the definition."""
    references = [name] if name in registered() else []
    references += [file] if file and Path(file).is_file() else []
    found = {reference: load_pipeline(reference) for reference in references}
    for pipeline in found.values():
        if pipeline.name == name and pipeline.definition == definition:
            return pipeline
    listed = [f"{reference} ({pipeline.definition})" for reference, pipeline in found.items()]
    raise UserError(
        f"Feast's registry holds definition {definition} of pipeline {name!r}, and the code here does not",
        where=file or name,
        allowed=listed or None,
        next_step="run `feast apply` in the feature repository, or use the code that the registry was applied from",
    )


def _file(pipeline: Pipeline) -> str:
    """The file of the module that declares a pipeline; empty for registered ones, which any machine finds by name."""
    # __dict__, because lazily imported packages would answer getattr by importing themselves
    modules = {name: getattr(module, "__dict__", {}) for name, module in list(sys.modules.items())}
    found = {
        name: values.get("__file__") for name, values in modules.items() if _same(values.get("pipeline"), pipeline)
    }
    if any(name.startswith("feature_repo.") for name in found):
        return ""
    return next((str(Path(file).resolve()) for file in found.values() if file), "")


def _same(found: object, pipeline: Pipeline) -> bool:
    """Whether it is this pipeline, or the same one loaded another time."""
    if not isinstance(found, Pipeline):
        return False
    return (found.name, found.definition) == (pipeline.name, pipeline.definition)
