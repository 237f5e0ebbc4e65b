"""Rows that Feast writes to files: more rows of a view's source, saved datasets, logged answers."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from feast import FileSource
from feast.data_format import DeltaFormat
from feast.errors import SavedDatasetLocationAlreadyExists
from feast.infra.offline_stores.file_source import FileLoggingDestination, SavedDatasetFileStorage

from sluice.errors import UserError
from sluice.feast.plain.sources import open_source, place_of


def add_rows(source: Any, rows: pa.Table, repository: Path | None) -> None:
    """Append rows to a source that is there; UserError when their columns are not the source's."""
    schema = open_source(source, repository).schema
    if sorted(schema.names) != sorted(rows.column_names):
        raise UserError(
            f"the rows have other columns than the source: {', '.join(rows.column_names)}",
            where=source.name,
            allowed=schema.names,
        )
    try:
        fitting = rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"the rows do not fit the source: {error}", where=source.name, allowed=str(schema)) from None
    place = _local(place_of(source, repository))
    if isinstance(source.file_format, DeltaFormat):
        deltalake.write_deltalake(str(place), fitting, mode="append")
    elif place.is_dir():
        pq.write_table(fitting, place / f"{uuid.uuid4().hex}.parquet")
    else:
        _replace(place, pa.concat_tables([pq.read_table(place).cast(schema), fitting]))


def save(rows: pa.Table, storage: Any, repository: Path | None, *, replace: bool) -> None:
    """Write a saved dataset; Feast's error for a place that is taken, unless it may be replaced."""
    if not isinstance(storage, SavedDatasetFileStorage):
        raise UserError(
            f"a dataset is not saved to a {type(storage).__name__}",
            where="create_saved_dataset",
            allowed="SavedDatasetFileStorage",
        )
    options = storage.file_options
    place = _local(FileSource.get_uri_for_file_path(repository, options.uri))
    files = sorted(place.glob("*.parquet")) if place.is_dir() else []
    is_taken = place.is_file() or bool(files) or (place / "_delta_log").exists()
    if is_taken and not replace:
        raise SavedDatasetLocationAlreadyExists(location=options.uri)
    if isinstance(options.file_format, DeltaFormat):
        deltalake.write_deltalake(str(place), rows, mode="overwrite", schema_mode="overwrite")
    elif place.is_dir():
        _replace(place / "part.parquet", rows)
        for file in files:
            if file.name != "part.parquet":
                file.unlink()
    else:
        _replace(place, rows)


def log(rows: pa.Table | Path, destination: Any, repository: Path | None) -> None:
    """Add logged answers to the files of a log; UserError for a destination that is no folder of files."""
    if not isinstance(destination, FileLoggingDestination):
        raise UserError(
            f"answers are not logged to a {type(destination).__name__}",
            where="write_logged_features",
            allowed="FileLoggingDestination",
        )
    table = ds.dataset(rows, format="parquet").to_table() if isinstance(rows, Path) else rows
    place = _local(FileSource.get_uri_for_file_path(repository, destination.path))
    pq.write_to_dataset(
        table,
        place,
        partition_cols=destination.partition_by or None,
        basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
    )


def _local(place: str) -> Path:
    if "://" in place:
        raise UserError(
            "files are written on this machine only",
            where=place,
            allowed="a path",
            next_step="write to_arrow() there yourself, or mount it",
        )
    return Path(place)


def _replace(path: Path, rows: pa.Table) -> None:
    """A file changes as a whole, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    pq.write_table(rows, fresh)
    fresh.replace(path)
