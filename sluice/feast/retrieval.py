"""One call of `get_historical_features`: which features of which views, and the job that computes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

from sluice.declare.asof import AsOf
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Request, Windows
from sluice.engine.batch import Column
from sluice.engine.encode import invalid
from sluice.engine.moment import Moment
from sluice.errors import UserError
from sluice.feast.declared import Declared, declared_by
from sluice.feast.fields import tiles_name, version_name
from sluice.feast.history import History
from sluice.feast.plain.history import at_moments
from sluice.feast.plain.writing import save
from sluice.feast.requests import columns_of, encode_keys, encode_requests, sources_of
from sluice.feast.versions import pipeline_of
from sluice.lake.typing import times

_DOOR = "get_historical_features"
Columns = Mapping[str, Column]


@dataclass(frozen=True)
class Wanted:
    """One feature of a view: at the row's moment, for the entity in the column `key`, or at the row's request."""

    view: Any
    made_from: Declared | None
    """None for a plain view, whose rows are read from its own source."""
    key: str
    """Empty for a view that is computed at the request, and for a plain one."""
    feature: str
    output: str


@dataclass(frozen=True)
class Asked:
    """A retrieval as it was asked for."""

    lake: str
    frame: pd.DataFrame
    wanted: Sequence[Wanted]
    on_demand: Sequence[Any]
    """On-demand views that are not from a declaration; Feast computes them from the others."""
    full_feature_names: bool
    references: Sequence[str]
    repository: Path | None = None
    """Where relative paths of plain sources begin."""
    known_only: bool = False
    """Whether plain rows count only from the moment they were created."""


def wanted_of(views: Sequence[Any], on_demand: Sequence[Any], references: Sequence[str], *, full: bool) -> list[Wanted]:
    """The features that references name, in their order, without those that Feast computes by itself."""
    by_name = {view.projection.name_to_use(): view for view in [*on_demand, *views]}
    sources = {name for view in on_demand for name in view.source_feature_view_projections}
    found = []
    for reference in references:
        name, _, feature = reference.partition(":")
        view = by_name[name]
        made_from = declared_by(view)
        output = f"{name}__{feature}" if full else feature
        if made_from is None:
            found += [] if _is_on_demand(view) else [Wanted(view, None, "", feature, output)]
        elif _is_on_demand(view):
            found.append(Wanted(view, made_from, "", feature, output))
        elif not _online_only(view, made_from, feature, needed=name in sources):
            key = _windows(view, made_from).of
            found.append(Wanted(view, made_from, view.projection.join_key_map.get(key, key), feature, output))
    return found


def _is_on_demand(view: Any) -> bool:
    return hasattr(view, "source_request_sources")


def _windows(view: Any, made_from: Declared) -> Windows:
    return pipeline_of(view, made_from).view(made_from.view)


def _online_only(view: Any, made_from: Declared, feature: str, *, needed: bool) -> bool:
    """Whether it is an entity's state or a table's version, of no use to history; UserError when they are asked for."""
    looked_up = {one.name: one for one in pipeline_of(view, made_from).lookups}.get(made_from.view)
    if looked_up is None:
        carried, asked = tiles_name(_windows(view, made_from)), f"{made_from.view}_at"
    else:
        carried, asked = version_name(looked_up), f"{made_from.pipeline}_{made_from.view}"
    if feature != carried:
        return False
    if not needed:
        raise UserError(f"{feature!r} exists online only", where=_DOOR, next_step=f"ask {asked}")
    return True


class Retrieval(RetrievalJob):  # type: ignore[misc] # feast has no types
    """The rows of the entity frame, in their order, with the features beside them."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    @property
    def full_feature_names(self) -> bool:
        """Whether features are called `<view>__<feature>`."""
        return self._asked.full_feature_names

    @property
    def on_demand_feature_views(self) -> list[Any]:
        """The on-demand views left for Feast to compute."""
        return list(self._asked.on_demand)

    @property
    def metadata(self) -> RetrievalMetadata:
        """What was asked for, and over which time."""
        frame = self._asked.frame
        stamp = _stamp(frame)
        keys = [name for name in frame.columns if name != stamp]
        return RetrievalMetadata(list(self._asked.references), keys, frame[stamp].min(), frame[stamp].max())

    def to_df(self, validation_reference: Any = None, timeout: int | None = None) -> pd.DataFrame:
        """The result in pandas; whole numbers with nulls become `Int64`, since float64 would not hold a 64-bit code."""
        return _pandas(self.to_arrow(validation_reference, timeout))

    def persist(self, storage: Any, allow_overwrite: bool = False, timeout: int | None = None) -> None:
        """Write the rows where a saved dataset is to be."""
        save(self.to_arrow(timeout=timeout), storage, self._asked.repository, replace=allow_overwrite)

    def _to_arrow_internal(self, **_: Any) -> pa.Table:
        asked = self._asked
        table = pa.Table.from_pandas(asked.frame, preserve_index=False).replace_schema_metadata()
        time = _moments(table.column(_stamp(asked.frame)))
        rows = _Rows(asked, table, time, _plain(asked, table, time.to_numpy()))
        for item in asked.wanted:
            if item.output in table.column_names:
                raise UserError(
                    f"the frame has a column {item.output!r}", where=_DOOR, next_step="pass full_feature_names=True"
                )
            table = table.append_column(item.output, rows.column(item))
        return table

    def _to_df_internal(self, **_: Any) -> pd.DataFrame:
        return _pandas(self._to_arrow_internal())


@dataclass
class _Rows:
    """The rows of an entity frame as requests, and the views computed for them so far."""

    asked: Asked
    frame: pa.Table
    time: pa.Array
    plain: Mapping[str, pa.Array]
    """The features of plain views, by their output."""
    _histories: dict[str, History] = field(default_factory=dict)
    _computed: dict[tuple[Declared, str], Columns] = field(default_factory=dict)

    def column(self, item: Wanted) -> pa.Array:
        """The values of one feature."""
        if item.made_from is None:
            return self.plain[item.output]
        place = (item.made_from, item.key)
        if place not in self._computed:
            self._computed[place] = self._view(pipeline_of(item.view, item.made_from), item.made_from.view, item.key)
        values, valid = self._computed[place][item.feature]
        return pa.array(values, mask=~valid)

    def _view(self, pipeline: Pipeline, name: str, key: str) -> Columns:
        history = self._histories.setdefault(pipeline.definition, History(self.asked.lake, pipeline))
        asked = {view.name: view for view in pipeline.requests}
        if name in asked:
            return self._request(pipeline, history, asked[name])
        looked_up = {view.name: view for view in pipeline.lookups}
        if name in looked_up:
            requests = self._requests(pipeline, columns_of(pipeline, looked_up[name]), [looked_up[name]])
            return history.at_requests(looked_up[name], requests)
        view = pipeline.view(name)
        if not key:
            return history.at_requests(view, self._requests(pipeline, columns_of(pipeline, view), [view]))
        return history.at_moments(view, encode_keys(pipeline, view.of, self._listed(key)), self.time)

    def _request(self, pipeline: Pipeline, history: History, view: Request) -> Columns:
        sources = sources_of(pipeline, view)
        requests = self._requests(pipeline, columns_of(pipeline, view), sources)
        known = {
            f"{source.name}__{name}": column
            for source in sources
            for name, column in history.at_requests(source, requests).items()
        }
        features = Moment(pipeline, requests, known)
        return {feature.name: features.compute(feature) for feature in view.features}

    def _requests(self, pipeline: Pipeline, names: Sequence[str], sources: Sequence[Windows | AsOf]) -> pa.Table:
        """Encoded requests at the rows' moments, with the keys of the views that they are asked of."""
        self._check_time(pipeline)
        requests = encode_requests(pipeline, {name: self._listed(name) for name in names}, self.time)
        for key in dict.fromkeys(source.of for source in sources if isinstance(source, Windows)):
            if key not in requests.column_names:
                requests = requests.append_column(key, encode_keys(pipeline, key, self._listed(key)))
        return requests

    def _check_time(self, pipeline: Pipeline) -> None:
        """UserError when a row's declared time is another than its event timestamp."""
        name = pipeline.events.time
        if name not in self.frame.column_names:
            return
        given = _moments(self.frame.column(name), required=False)
        other = pc.fill_null(pc.not_equal(given, self.time), fill_value=False)
        if pc.any(other).as_py():
            row = pc.index(other, value=True).as_py()
            raise UserError(
                f"row {row} has two times", where=f"{_DOOR}, {name!r}", allowed="the row's event timestamp, or null"
            )

    def _listed(self, name: str) -> list[Any]:
        if name not in self.frame.column_names:
            raise UserError(f"the frame has no column {name!r}", where=_DOOR, allowed=self.frame.column_names)
        listed: list[Any] = self.frame.column(name).to_pylist()
        return listed


def _plain(asked: Asked, frame: pa.Table, moments: np.ndarray) -> dict[str, pa.Array]:
    """The features of every plain view, each view's source read once."""
    found: dict[str, pa.Array] = {}
    wanted = [item for item in asked.wanted if item.made_from is None]
    for name in dict.fromkeys(item.view.projection.name_to_use() for item in wanted):
        mine = [item for item in wanted if item.view.projection.name_to_use() == name]
        features = list(dict.fromkeys(item.feature for item in mine))
        columns = at_moments(
            mine[0].view, features, frame, moments, repository=asked.repository, known_only=asked.known_only
        )
        found |= {item.output: columns[item.feature] for item in mine}
    return found


def _pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    for name in table.column_names:
        if pa.types.is_integer(table.schema.field(name).type) and table.column(name).null_count:
            frame[name] = pd.array(table.column(name).to_pylist(), dtype="Int64")
    return frame


def _stamp(frame: pd.DataFrame) -> str:
    """The frame's event timestamp column, as Feast finds it."""
    return str(infer_event_timestamp_from_entity_df(dict(frame.dtypes)))


def _moments(column: pa.ChunkedArray, *, required: bool = True) -> pa.Array:
    """Microseconds; nanoseconds are cut off, which moves no event of whole microseconds across an edge."""
    array = column.combine_chunks()
    if pa.types.is_timestamp(array.type):
        cut = pc.floor_temporal(array, unit="microsecond").cast(pa.timestamp("us", array.type.tz))
        instants, wrong = cut.cast(pa.int64()), np.zeros(len(array), bool)
    else:
        typed = times(array.to_pylist())
        instants, wrong = typed.values.cast(pa.int64()), typed.wrong
    bad = wrong | invalid(instants) if required else wrong
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(f"{array[row].as_py()!r} in row {row} is no time", where=_DOOR, allowed="datetimes or RFC 3339")
    return instants
