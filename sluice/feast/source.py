"""The published history of a stream as a Feast data source."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.value_type import ValueType

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.feast.declared import Declared, declared
from sluice.lake.contract import silver_schema

_TYPES = {
    "int64": ValueType.INT64,
    "int32": ValueType.INT32,
    "int8": ValueType.INT32,
    "string": ValueType.STRING,
    "timestamp[us, tz=UTC]": ValueType.UNIX_TIMESTAMP,
}


class SilverSource(DataSource):  # type: ignore[misc] # feast has no types
    """The silver table of one stream, read through the lake; `SluiceOfflineStore` is the store that reads it."""

    def __init__(self, *, name: str, pipeline: str, stream: str, timestamp_field: str, tags: dict[str, str]) -> None:
        super().__init__(name=name, timestamp_field=timestamp_field, tags=tags)
        self.pipeline = pipeline
        self.stream = stream

    @classmethod
    def of(cls, pipeline: Pipeline, stream: Stream) -> SilverSource:
        """The source of a stream of a pipeline, `<pipeline>_<stream>`."""
        return cls(
            name=f"{pipeline.name}_{stream.name}",
            pipeline=pipeline.name,
            stream=stream.name,
            timestamp_field=stream.time,
            tags=declared(pipeline).tags(),
        )

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> SilverSource:
        """The source from its registry entry."""
        options = json.loads(data_source.custom_options.configuration)
        return SilverSource(
            name=data_source.name,
            pipeline=options["pipeline"],
            stream=options["stream"],
            timestamp_field=data_source.timestamp_field,
            tags=dict(data_source.tags),
        )

    def validate(self, config: Any) -> None:
        """Nothing is asked of the lake: a pipeline is registered before its first events arrive."""

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """Maps Arrow type names to Feast types."""
        return lambda name: _TYPES.get(name, ValueType.DOUBLE)

    def get_table_column_names_and_types(self, _config: Any) -> Iterable[tuple[str, str]]:
        """The columns of the silver table, from the declaration."""
        made_from = Declared(self.pipeline, "", self.tags["sluice.definition"], self.tags.get("sluice.file", ""))
        schema = silver_schema(made_from.load().stream(self.stream))
        return [(field.name, str(field.type)) for field in schema]

    def get_table_query_string(self) -> str:
        """The table's name in the lake."""
        return f"{self.pipeline}/silver/{self.stream}"

    def _to_proto_impl(self) -> DataSourceProto:
        options = json.dumps({"pipeline": self.pipeline, "stream": self.stream}, sort_keys=True)
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{type(self).__module__}.{type(self).__name__}",
            custom_options=DataSourceProto.CustomSourceOptions(configuration=options.encode()),
            timestamp_field=self.timestamp_field,
            tags=self.tags,
        )

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, SilverSource) and (self.pipeline, self.stream) == (other.pipeline, other.stream)
        return same and bool(super().__eq__(other))

    __hash__ = DataSource.__hash__
