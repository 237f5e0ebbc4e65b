"""The sources of plain views: parquet and Delta, read with no more than the columns and the time that are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError, TableNotFoundError
from feast import FileSource
from feast.data_format import DeltaFormat
from feast.feature_view import DUMMY_ENTITY_ID

from sluice.errors import DataError, UserError
from sluice.lake.scanning import dataset_of
from sluice.lake.storage import options

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND


@dataclass(frozen=True)
class Columns:
    """The columns of a source that a view uses, by the names that they have in the source."""

    keys: Sequence[str]
    features: Sequence[str]
    time: str
    created: str | None = None

    def all(self) -> list[str]:
        """Every column once."""
        stamps = [self.time, *([self.created] if self.created else [])]
        return list(dict.fromkeys([*self.keys, *self.features, *stamps]))


def columns_of(view: Any, features: Sequence[str]) -> Columns:
    """The columns of a view's source; a field mapping of the source is taken back."""
    source = view.batch_source
    back = {feature: column for column, feature in (source.field_mapping or {}).items()}
    keys = [column.name for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    created = source.created_timestamp_column or None
    return Columns(
        keys=[back.get(name, name) for name in keys],
        features=[back.get(name, name) for name in features],
        time=back.get(source.timestamp_field, source.timestamp_field),
        created=back.get(created, created) if created else None,
    )


def open_source(source: Any, repository: Path | None) -> ds.Dataset:
    """The rows of a source; UserError for a kind that is not read here, DataError when nothing is there."""
    if not isinstance(source, FileSource):
        raise UserError(
            f"a {type(source).__name__} is not read here",
            where=getattr(source, "name", None) or "source",
            allowed="FileSource with parquet files, FileSource(file_format=DeltaFormat())",
        )
    place = place_of(source, repository)
    try:
        return _delta(place) if isinstance(source.file_format, DeltaFormat) else _parquet(source, place)
    except (FileNotFoundError, TableNotFoundError) as error:
        raise DataError("there is nothing at this place", where=place, next_step="write the source first") from error


def place_of(source: FileSource, repository: Path | None) -> str:
    """Where a source is; a relative path is below the feature repository."""
    return str(FileSource.get_uri_for_file_path(repository, source.path))


def scan(
    dataset: ds.Dataset, columns: Columns, *, first: int | None = None, last: int | None = None, where: str
) -> Iterator[pa.Table]:
    """The rows whose event time is in this range (microseconds, both ends included), a part at a time, in their order.

    Rows without an event time are at no moment, and left out.
    """
    missing = [name for name in columns.all() if name not in dataset.schema.names]
    if missing:
        raise UserError(f"no column {missing[0]!r} in the source", where=where, allowed=dataset.schema.names)
    rough = _between(dataset.schema.field(columns.time), first, last)
    for batch in dataset.to_batches(columns=columns.all(), filter=rough):
        table = pa.Table.from_batches([batch])
        moments, known = instants(table.column(columns.time), where=f"{where}, {columns.time!r}")
        low = known if first is None else known & (moments >= first)
        inside = low if last is None else low & (moments <= last)
        if inside.any():
            yield table.filter(pa.array(inside))


def instants(column: pa.ChunkedArray, *, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds and which of them are known; times without a zone are UTC, finer ones are cut off."""
    array = pa.chunked_array(column).combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_date(array.type) or pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        array = _parsed(array, where)
    if not pa.types.is_timestamp(array.type):
        raise UserError(f"a column of {array.type} holds no times", where=where, allowed="timestamps, dates, RFC 3339")
    cut = pc.floor_temporal(array, unit="microsecond").cast(pa.timestamp("us", array.type.tz))
    known = cut.is_valid().to_numpy(zero_copy_only=False)
    return cut.cast(pa.int64()).fill_null(0).to_numpy(), known


def described(schema: pa.Schema) -> list[tuple[str, str]]:
    """Names and Arrow types, as Feast infers a view's schema from them."""
    return [(field.name, str(field.type)) for field in schema]


def renamed(table: pa.Table, mapping: Mapping[str, str]) -> pa.Table:
    """The table with its columns under the names that a source's field mapping gives them."""
    return table.rename_columns([mapping.get(name, name) for name in table.column_names])


def _parsed(array: pa.Array, where: str) -> pa.Array:
    try:
        return array.cast(pa.timestamp("us", "UTC")) if not pa.types.is_date(array.type) else _midnight(array)
    except pa.ArrowInvalid as error:
        raise UserError(f"these are no times: {error}", where=where, allowed="timestamps, dates, RFC 3339") from None


def _midnight(array: pa.Array) -> pa.Array:
    return array.cast(pa.timestamp("us"))


def _between(field: pa.Field, first: int | None, last: int | None) -> ds.Expression | None:
    """What skips files and row groups: a second wider than the range, since units differ; the rest is exact."""
    if not pa.types.is_timestamp(field.type):
        return None
    found: ds.Expression | None = None
    for bound, compare in ((first, "low"), (last, "high")):
        if bound is None:
            continue
        edge = pa.scalar(bound - _SECOND if compare == "low" else bound + _SECOND, pa.timestamp("us", field.type.tz))
        held = ds.field(field.name)
        one = held >= edge if compare == "low" else held <= edge
        found = one if found is None else found & one
    return found


def _delta(place: str) -> ds.Dataset:
    table = deltalake.DeltaTable(place, storage_options=options(place))
    try:
        dataset = dataset_of(table)
    except DeltaError as error:
        raise DataError(
            f"the table uses what Arrow does not read: {error}",
            where=place,
            next_step="rewrite it without deletion vectors (REORG TABLE … APPLY (PURGE))",
        ) from error
    # the log names the newest files first; rows that were committed later come later
    actions = pa.table(table.get_add_actions()).select(["path", "modification_time"]).to_pylist()
    written = {unquote(action["path"]): action["modification_time"] for action in actions}
    ordered = sorted(dataset.get_fragments(), key=lambda fragment: (written[fragment.path], fragment.path))
    return ds.FileSystemDataset(ordered, dataset.schema, dataset.format) if ordered else dataset


def _parquet(source: FileSource, place: str) -> ds.Dataset:
    filesystem, path = FileSource.create_filesystem_and_path(place, source.s3_endpoint_override)
    if filesystem is None and "*" in path:
        found = sorted(str(file) for file in Path(path).parent.glob(Path(path).name))
        if not found:
            raise FileNotFoundError(path)
        return ds.dataset(found, format="parquet")
    return ds.dataset(path, format="parquet", partitioning="hive", filesystem=filesystem)
