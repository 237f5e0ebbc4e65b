"""Which version of an as-of table a Feast call looks things up in: the online store names it, its reader opens it.

A version never changes, so that a view which is given its name is still a pure function of what it is given.
"""

from __future__ import annotations

import functools
import json

from sluice.declare.asof import AsOf
from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import Lookup
from sluice.errors import DataError
from sluice.lake.asof import lookup, newest
from sluice.lake.tables import Lake


def named(lake: str, pipeline: Pipeline, view: AsOf) -> str:
    """The newest version of a view's table as text; DataError while nobody has loaded it."""
    return json.dumps({"lake": lake, "version": newest(Lake(lake, pipeline.name), pipeline)[view.table]})


def opened(pipeline: Pipeline, view: AsOf, name: str | None) -> Lookup:
    """The view over the version that `named` named; DataError for anything else."""
    try:
        place = json.loads(name or "")
        lake, version = place["lake"], place["version"]
    except (ValueError, TypeError, KeyError):
        raise DataError(
            f"{name!r} is no version of a table",
            where=f"{pipeline.name}.{view.name}",
            next_step="let SluiceOnlineStore be the online store in feature_store.yaml",
        ) from None
    return _opened(pipeline, view, lake, version)


@functools.lru_cache(maxsize=16)
def _opened(pipeline: Pipeline, view: AsOf, lake: str, version: int) -> Lookup:
    return lookup(Lake(lake, pipeline.name), pipeline, view, version)
