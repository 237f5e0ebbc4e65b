"""Versions of declared views: Feast counts one when a view's meaning changes, and each carries what it meant.

Feast makes a new version of a view when its fields change, and looks no further; so every field carries the hash of
what its view means. The snapshot that Feast keeps of a former version carries the whole description of its pipeline,
from which the values of any past moment are computed as they were defined then.
"""

from __future__ import annotations

import base64
import functools
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.declare.changes import Change, Description, changes
from sluice.declare.pipeline import Pipeline, hash_of
from sluice.declare.restoring import restore
from sluice.declare.views import Windows
from sluice.errors import DataError, UserError
from sluice.feast.declared import Declared, declared_by

MEANING = "sluice.meaning"
"""The tag of a field that says what its view means."""
_DESCRIPTION = "sluice.description"


@dataclass(frozen=True)
class Version:
    """One version of a view that Feast holds."""

    reference: str
    """What reads it, such as `customer_spend@v1`."""
    definition: str
    since: str
    changes: list[Change]
    """What is other than in the version before."""


def meaning(pipeline: Pipeline, view: Windows) -> str:
    """The hash of everything that changes the values of one view."""
    described: dict[str, object] = {"view": view.describe()}
    if view.label is not None or view.stream.parent is not None:
        # what is told about an event, and for how long, is a matter of all views together
        described["events"] = pipeline.events.meaning()
        described["kept"] = max(other.horizon for other in pipeline.windows)
    return hash_of(described)


def description_tag(pipeline: Pipeline) -> dict[str, str]:
    """The tag that holds what a pipeline means, packed."""
    text = json.dumps(pipeline.describe(), sort_keys=True, separators=(",", ":"))
    return {_DESCRIPTION: base64.b85encode(zlib.compress(text.encode(), 9)).decode()}


def described_by(view: Any) -> Description:
    """What the pipeline meant that a Feast view was made from."""
    packed = (view.tags or {}).get(_DESCRIPTION)
    if packed is None:
        raise DataError(
            "it was registered before versions carried what they mean",
            where=f"view {view.name!r}",
            next_step="use the code of that version",
        )
    found: Description = json.loads(zlib.decompress(base64.b85decode(packed)))
    return found


def pipeline_of(view: Any, made_from: Declared) -> Pipeline:
    """The declaration that a view was made from: the code's, or for a version that was asked for by number, its own."""
    if view.projection.version_tag is None:
        return made_from.load()
    return _restored(made_from.pipeline, json.dumps(described_by(view), sort_keys=True))


def served_as(view: Any, made_from: Declared) -> Declared:
    """What a view is read as online: the code's declaration, if a version asked for by number still means that.

    UserError for a former version: the online store holds tiles of the present definition alone.
    """
    if view.projection.version_tag is None:
        return made_from
    present = made_from.present()
    windows = {one.name: one for one in present.windows}
    if made_from.view in windows and _means(view) == meaning(present, windows[made_from.view]):
        return Declared(made_from.pipeline, made_from.view, present.definition, made_from.file)
    raise UserError(
        "the online store holds the present definition alone",
        where=view.projection.name_to_use(),
        next_step="get_historical_features reads former versions, at any moment",
    )


def history_of(store: Any, pipeline: Pipeline) -> list[Version]:
    """Every version of a pipeline's windowed views that Feast holds, oldest first within a view."""
    held = {view.name for view in store.list_feature_views()}
    found = []
    for name in (view.name for view in pipeline.windows if view.name in held):
        before: Description | None = None
        for row in store.list_feature_view_versions(name):
            view = store.registry.get_feature_view_by_version(name, store.project, row["version_number"])
            made_from, after = declared_by(view), described_by(view)
            if made_from is None:
                continue
            since = f"{row['created_timestamp']:%Y-%m-%dT%H:%M:%SZ}"
            changed = [] if before is None else [one for one in changes(before, after) if _concerns(one, name, after)]
            found.append(Version(f"{name}@{row['version']}", made_from.definition, since, changed))
            before = after
    return found


def _means(view: Any) -> str | None:
    tags: Mapping[str, str] = view.features[0].tags or {}
    return tags.get(MEANING)


def _concerns(change: Change, view: str, description: Description) -> bool:
    """Whether a change is one of this view, rather than of another view of its pipeline."""
    others = {f"view {other['name']}" for other in description["views"]} - {f"view {view}"}
    return change.place.partition(",")[0] not in {*others, "order of the views"}


@functools.lru_cache(maxsize=64)
def _restored(name: str, description: str) -> Pipeline:
    return restore(name, json.loads(description))
