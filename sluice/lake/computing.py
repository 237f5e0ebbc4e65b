"""The values of a pipeline for every event of some files: from parquet to parquet, and nothing else.

The plainest way to use the engine: rows are typed and judged as in the lake, rows that may not enter are listed with
the reason, and every other event gets its vector as of its own moment, from all the events that the files hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import NOTHING
from sluice.engine.history import settled
from sluice.engine.vectors import vectors
from sluice.errors import DataError, UserError
from sluice.lake.asof import load, newest
from sluice.lake.event_tables import Entered, enter_all
from sluice.lake.tables import Lake

_ROW_GROUP = 131_072


@dataclass(frozen=True)
class Request:
    """What is to be computed: small, and sent to the worker that does it."""

    pipeline: str
    """A registered name or the path of a .py file, which the worker can read."""
    files: tuple[tuple[str, str], ...]
    """The parquet file of each stream."""
    out: str
    lake: str
    """Where as-of tables are."""
    tables: tuple[tuple[str, int], ...] = ()
    """The versions of as-of tables to look things up in."""


@dataclass(frozen=True)
class Computed:
    """What was done: rows read by stream, events with values, and how many rows were refused for which reason."""

    rows: Mapping[str, int]
    events: int
    refused: Mapping[str, Mapping[str, int]]
    refused_file: str | None


def request(pipeline: str, events: Path, out: Path, lake: str) -> Request:
    """The request for a file of the scored events, or for a folder with `<stream>.parquet` of each stream."""
    declared = load_pipeline(pipeline)
    reference = str(Path(pipeline).resolve()) if pipeline.endswith(".py") else pipeline
    files = tuple((name, str(path.resolve())) for name, path in _files(declared, events).items())
    versions = newest(Lake(lake, declared.name), declared) if declared.lookups else {}
    return Request(reference, files, str(out.resolve()), lake, tuple(versions.items()))


def compute(request: Request) -> Computed:
    """Compute and write the values; the file is there when it is whole."""
    pipeline = load_pipeline(request.pipeline)
    tables = {name: _read(path) for name, path in request.files}
    entered = enter_all(pipeline, tables)
    events = {name: found.events for name, found in entered.items()}
    scored = settled(events[pipeline.events.name])
    lookups = load(Lake(request.lake, pipeline.name), pipeline, dict(request.tables)) if request.tables else NOTHING
    values = vectors(pipeline, events, scored, lookups)
    head = {_id_name(pipeline): scored.column("_id")}
    _write(Path(request.out), pa.table({**head, **{name: values.column(name) for name in values.column_names}}))
    refused = {name: dict(found.reasons) for name, found in entered.items() if found.refused}
    return Computed(
        {name: len(table) for name, table in tables.items()},
        len(scored),
        refused,
        _write_refused(pipeline, tables, entered, Path(request.out)) if refused else None,
    )


def _files(pipeline: Pipeline, path: Path) -> dict[str, Path]:
    inside = pipeline.label.told_by.name if pipeline.label.column is not None else None
    needed = [stream.name for stream in pipeline.streams if stream.name != inside]
    if path.is_dir():
        files = {name: path / f"{name}.parquet" for name in needed}
    elif len(needed) == 1:
        files = {needed[0]: path}
    else:
        wanted = ", ".join(f"{name}.parquet" for name in needed)
        raise UserError("one file is not enough", where=str(path), next_step=f"name a folder with {wanted}")
    for file in files.values():
        if not file.is_file():
            raise UserError("there is no such file", where=str(file), next_step="name a parquet file, or a folder")
    return files


def _read(path: str) -> pa.Table:
    try:
        return pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise DataError(f"it is no parquet file ({error})", where=path) from None


def _id_name(pipeline: Pipeline) -> str:
    ids = pipeline.events.id_columns
    return ids[0] if len(ids) == 1 else "event_id"


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    # numbers that hardly repeat: a dictionary would be made and thrown away
    pq.write_table(table, unfinished, use_dictionary=False, row_group_size=_ROW_GROUP)
    unfinished.replace(path)


def _write_refused(
    pipeline: Pipeline, tables: Mapping[str, pa.Table], entered: Mapping[str, Entered], out: Path
) -> str:
    """The refused rows with their reasons, in a file beside the values."""
    rows: list[dict[str, Any]] = []
    for name, found in entered.items():
        stream = pipeline.stream(name)
        source = tables.get(name, tables[pipeline.events.name])
        for problem in found.refused:
            column = stream.source(problem.column) if problem.column else ""
            value = source.column(column)[problem.index].as_py() if column in source.column_names else None
            shown = {"column": column, "rule": problem.rule, "value": str(value), "allowed": problem.allowed}
            rows.append({"stream": name, "row": problem.index, **shown})
    path = out.with_name(f"{out.stem}.refused.parquet")
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)
