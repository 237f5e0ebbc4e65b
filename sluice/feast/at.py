"""What the `_at` views, the as-of and the request views compute: the read path of serving, on what Feast hands over.

Feast calls these with a dictionary of lists: the entities' tiles, the versions of tables, keys, and the request's time,
id and columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.declare.asof import AsOf
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Request, Windows
from sluice.engine.batch import Column
from sluice.engine.moment import Moment as Features
from sluice.engine.read import view_values
from sluice.engine.requests import Moment
from sluice.errors import UserError
from sluice.feast.declared import Declared
from sluice.feast.fields import tiles_name, version_name
from sluice.feast.requests import columns_of, encode_requests, read_times, sources_of
from sluice.feast.state import unpack_tiles
from sluice.feast.tables import opened

Inputs = Mapping[str, Sequence[Any]]
Outputs = dict[str, list[float | int | None]]


def window_features(inputs: Inputs, *, called: str, made_from: Declared) -> Outputs:
    """A windowed view's values at each request's time and id."""
    pipeline = made_from.load()
    view = pipeline.view(made_from.view)
    requests = _requests(pipeline, view, inputs)
    return _outputs(called, _windowed(view, inputs, requests))


def table_features(inputs: Inputs, *, called: str, made_from: Declared) -> Outputs:
    """An as-of view's values at each request's time."""
    pipeline = made_from.load()
    view = next(view for view in pipeline.lookups if view.name == made_from.view)
    return _outputs(called, _looked_up(pipeline, view, inputs, _requests(pipeline, view, inputs)))


def request_features(inputs: Inputs, *, called: str, made_from: Declared) -> Outputs:
    """A request view's values: the request's own columns, and what they are beside what is known at its time and id."""
    pipeline = made_from.load()
    view = request_view(pipeline, made_from.view)
    requests = _requests(pipeline, view, inputs)
    known = {
        f"{source.name}__{name}": column
        for source in sources_of(pipeline, view)
        for name, column in _known(pipeline, source, inputs, requests).items()
    }
    features = Features(pipeline, requests, known)
    return _outputs(called, {feature.name: features.compute(feature) for feature in view.features})


def request_view(pipeline: Pipeline, name: str) -> Request:
    """The request view of that name."""
    return next(view for view in pipeline.requests if view.name == name)


def _requests(pipeline: Pipeline, view: Windows | AsOf | Request, inputs: Inputs) -> pa.Table:
    names = columns_of(pipeline, view)
    missing = [name for name in (pipeline.events.time, *names) if name not in inputs]
    if missing:
        raise UserError(
            f"no column {missing[0]!r} came with the request",
            where=f"{pipeline.name}.{view.name}",
            next_step="pass entity keys under their declared names: these views cannot be joined by another",
        )
    time = read_times(pipeline, inputs[pipeline.events.time])
    return encode_requests(pipeline, {name: inputs[name] for name in names}, time)


def _known(pipeline: Pipeline, view: Windows | AsOf, inputs: Inputs, requests: pa.Table) -> Mapping[str, Column]:
    if isinstance(view, AsOf):
        return _looked_up(pipeline, view, inputs, requests)
    return _windowed(view, inputs, requests)


def _looked_up(pipeline: Pipeline, view: AsOf, inputs: Inputs, requests: pa.Table) -> Mapping[str, Column]:
    if len(requests) == 0:
        return dict.fromkeys(view.features, (np.empty(0), np.empty(0, bool)))
    # all rows of one call carry one version
    return opened(pipeline, view, inputs[version_name(view)][0]).at(requests)


def _windowed(view: Windows, inputs: Inputs, requests: pa.Table) -> dict[str, Column]:
    tiles = [unpack_tiles(state, where=tiles_name(view)) for state in inputs[tiles_name(view)]]
    times, ids = requests.column("_time").to_pylist(), requests.column("_id").to_pylist()
    moments = [Moment(time, identity) for time, identity in zip(times, ids, strict=True)]
    return view_values(view, tiles, moments, requests)


def _outputs(called: str, columns: Mapping[str, Column]) -> Outputs:
    """The values under their short names and under the full ones: Feast picks by the caller's choice."""
    listed = {name: _listed(*column) for name, column in columns.items()}
    return {**listed, **{f"{called}__{name}": values for name, values in listed.items()}}


def _listed(values: np.ndarray, valid: np.ndarray) -> list[float | int | None]:
    return [value if known else None for value, known in zip(values.tolist(), valid.tolist(), strict=True)]
