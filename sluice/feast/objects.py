"""A pipeline as Feast objects.

entity <key>                 each key that the views use
feature view <view>          a windowed view at the clock's moment, without a request, and the entity's state
on-demand view <view>_at     the same view at a request's time and id, from the state and the request's columns
feature view <pipeline>_<as-of view>_table    which version of a table is looked up
on-demand view <pipeline>_<as-of view>        what that version holds at a request's time
on-demand view <pipeline>_<request view>      the request's own features
feature service <pipeline>   all on-demand views: a vector
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from feast import Entity, FeatureService, FeatureView, Field, OnDemandFeatureView, RequestSource
from feast.data_source import DataSource
from feast.transformation.udf_rehydrate import rehydrate_udf_from_source

from sluice.declare.asof import AsOf
from sluice.declare.loading import load_pipeline, registered
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Request, Windows
from sluice.errors import DeclarationError
from sluice.feast.declared import declared
from sluice.feast.fields import feature_fields, key_type, request_field, tiles_field, version_field
from sluice.feast.requests import asked_of, sources_of
from sluice.feast.source import SilverSource
from sluice.feast.versions import MEANING, description_tag, meaning


class ComputedView(OnDemandFeatureView):  # type: ignore[misc] # feast has no types
    """An on-demand view whose declared schema stands: trying it on made-up values would prove nothing."""

    def infer_features(self) -> None:
        """Keep the declared features."""


def feast_objects(pipeline: Pipeline) -> list[Any]:
    """Every Feast object of a pipeline: sources, entities, views, on-demand views, and the service over them."""
    entities = {name: _entity(pipeline, name) for name in pipeline.keys}
    views = {view.name: _view(pipeline, view, entities[view.of]) for view in pipeline.windows}
    states = {view.name: _state(pipeline, view, entities[view.of]) for view in pipeline.windows}
    states |= {view.name: _table(pipeline, view, entities) for view in pipeline.lookups}
    computed = [_computed(pipeline, view, states) for view in pipeline.views]
    tags = declared(pipeline).tags()
    service = FeatureService(name=pipeline.name, features=computed, tags=tags, description=_SERVICE)
    sources = {view.batch_source.name: view.batch_source for view in views.values()}
    return [*sources.values(), *entities.values(), *views.values(), *states.values(), *computed, service]


def references(pipeline: Pipeline) -> dict[str, str]:
    """The Feast reference of each place of the vector: `{"spend__count_7d": "spend_at:count_7d"}`.

    A response with `full_feature_names=True` names it so too, with two underscores in place of the colon.
    """
    found = {}
    for view in pipeline.views:
        prefix = f"{view.name}__"
        for place in pipeline.features:
            if place.name.startswith(prefix):
                found[place.name] = f"{_called(pipeline, view)}:{place.name.removeprefix(prefix)}"
    return {place.name: found[place.name] for place in pipeline.features}


def repository_objects(folder: Path) -> dict[str, Any]:
    """The objects of all pipelines declared in a folder, under names that a module can carry."""
    pipelines = [load_pipeline(_reference(path)) for path in sorted(folder.glob("*.py")) if _declares(path)]
    return together(pipelines)


def together(pipelines: Sequence[Pipeline]) -> dict[str, Any]:
    """The objects of several pipelines in one Feast project; DeclarationError when two differ under one name."""
    found: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for pipeline in pipelines:
        for item in feast_objects(pipeline):
            name = "_".join(place(item))
            if name in found and found[name] != item:
                raise DeclarationError(
                    f"{place(item)[0]} {item.name!r} is declared otherwise in pipeline {owners[name]!r}",
                    where=f"pipeline {pipeline.name!r}",
                    next_step="rename one: pipelines share the names of one Feast project",
                )
            found[name], owners[name] = item, pipeline.name
    return found


def place(item: Any) -> tuple[str, str]:
    """The kind and name that an object has to itself in a Feast project."""
    kinds = {"entity": Entity, "service": FeatureService, "source": DataSource}
    kind = next((kind for kind, base in kinds.items() if isinstance(item, base)), "view")
    return kind, item.name


def with_sources(objects: Sequence[Any]) -> list[Any]:
    """Objects, and the request sources that Feast registers with the on-demand views among them."""
    computed = [item for item in objects if isinstance(item, OnDemandFeatureView)]
    return [*objects, *(source for view in computed for source in view.source_request_sources.values())]


_SERVICE = "Every feature of a request. Read it with full_feature_names=True: views share short names."


def _entity(pipeline: Pipeline, name: str) -> Entity:
    return Entity(name=name, join_keys=[name], value_type=_dtype(pipeline, name).to_value_type())


def _view(pipeline: Pipeline, view: Windows, entity: Entity) -> FeatureView:
    says = f"{view.of} over {view.over} at the clock's moment; null where the request is needed"
    # on the fields, where Feast looks for a new version
    tags = {MEANING: meaning(pipeline, view)}
    return _read(pipeline, view, entity, view.name, feature_fields(pipeline, view, tags), says)


def _state(pipeline: Pipeline, view: Windows, entity: Entity) -> FeatureView:
    says = f"the exact state of {view.of}, online only: {view.name}_at stands on it"
    return _read(pipeline, view, entity, f"{view.name}_state", [tiles_field(view)], says)


def _read(
    pipeline: Pipeline, view: Windows, entity: Entity, called: str, features: list[Field], says: str
) -> FeatureView:
    return FeatureView(
        name=called,
        entities=[entity],
        schema=[Field(name=view.of, dtype=key_type(view.key)), *features],
        source=SilverSource.of(pipeline, view.stream),
        tags={**declared(pipeline, view.name).tags(), **description_tag(pipeline)},
        description=says,
    )


def _table(pipeline: Pipeline, view: AsOf, entities: Mapping[str, Entity]) -> FeatureView:
    """With the entities that it is looked up by, so that Feast brings their keys along."""
    keys = [name for name in view.keys if name in entities]
    called = _called(pipeline, view)
    return FeatureView(
        name=f"{called}_table",
        entities=[entities[name] for name in keys],
        schema=[*(Field(name=name, dtype=_dtype(pipeline, name)) for name in keys), version_field(view)],
        source=SilverSource.of(pipeline, pipeline.events),
        tags=declared(pipeline, view.name).tags(),
        description=f"the version of the table {view.table}, online only: {called} stands on it",
    )


def _dtype(pipeline: Pipeline, name: str) -> Any:
    return key_type(next(view.key for view in pipeline.windows if view.of == name))


def _computed(pipeline: Pipeline, view: Windows | AsOf | Request, states: Mapping[str, FeatureView]) -> ComputedView:
    called = _called(pipeline, view)
    stands_on = sources_of(pipeline, view) if isinstance(view, Request) else (view,)
    asked = [request_field(pipeline, name) for name in asked_of(pipeline, view)]
    text = _text(pipeline, view, called)
    tags = declared(pipeline, view.name).tags()
    described = {**tags, **description_tag(pipeline)}
    return ComputedView(
        name=called,
        sources=[
            *(states[source.name] for source in stands_on),
            RequestSource(name=f"{called}_request", schema=asked, tags=tags),
        ],
        schema=feature_fields(pipeline, view),
        mode="python",
        udf=rehydrate_udf_from_source(text, preferred_name=called),
        udf_string=text,
        tags=described,
        description=f"{view.name} at the time and id of a request",
    )


def _called(pipeline: Pipeline, view: Windows | AsOf | Request) -> str:
    return f"{view.name}_at" if isinstance(view, Windows) else f"{pipeline.name}_{view.name}"


def _text(pipeline: Pipeline, view: Windows | AsOf | Request, called: str) -> str:
    """The function that Feast keeps in its registry and runs wherever it reads from it."""
    made_from = declared(pipeline, view.name)
    function = {Windows: "window_features", AsOf: "table_features", Request: "request_features"}[type(view)]
    return "\n".join(
        [
            f"def {called}(inputs):",
            f"    from sluice.feast.at import {function}",
            f"    from sluice.feast.declared import {type(made_from).__name__}",
            "",
            f"    return {function}(inputs, called={called!r}, made_from={made_from!r})",
            "",
        ]
    )


def _declares(path: Path) -> bool:
    """Whether a file says `pipeline = …`; others in the folder may be a person's own Feast objects."""
    statements = ast.parse(path.read_text()).body
    assigned = [node.targets for node in statements if isinstance(node, ast.Assign)]
    return any(isinstance(target, ast.Name) and target.id == "pipeline" for targets in assigned for target in targets)


def _reference(path: Path) -> str:
    """The registered name of a file if it has one, so that every machine finds it; else its path."""
    if path.stem in registered():
        spec = importlib.util.find_spec(f"feature_repo.{path.stem}")
        if spec is not None and spec.origin is not None and path.samefile(spec.origin):
            return path.stem
    return str(path.resolve())
