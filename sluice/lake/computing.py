"""The values of a pipeline for every event of some files: from parquet or Delta to parquet or Delta, and nothing else.

The plainest way to use the engine: rows are typed and judged as in the lake, rows that may not enter are listed with
the reason, and every other event gets its vector as of its own moment, from all the events that the files hold. What
one worker can hold is computed at once, and more of it in `slices`.
"""

from __future__ import annotations

import functools
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import NOTHING
from sluice.engine.cores import cores
from sluice.errors import DataError, UserError
from sluice.lake import slices
from sluice.lake.asof import load, newest
from sluice.lake.dealing import relate
from sluice.lake.event_tables import check_columns
from sluice.lake.files import is_delta, open_delta, write_parquet
from sluice.lake.handing import handed_over
from sluice.lake.lineage.datasets import Run, file_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.outputs import REFUSED, check_output, is_file, refused_file, staged
from sluice.lake.pieces import pieces
from sluice.lake.slices import Job, Slice, Stretch
from sluice.lake.tables import Lake
from sluice.lake.values import label_column, values, wanted
from sluice.lake.workers import Workers

AT_ONCE = 2_000_000
"""Rows that one worker computes at once; more are dealt."""
SLICE = 500_000
"""Rows of a slice at most, and of a bucket about."""


@dataclass(frozen=True)
class Request:
    """What is to be computed: small, and sent to the workers that do it."""

    pipeline: str
    """A registered name or the path of a .py file, which the workers can read."""
    files: tuple[tuple[str, tuple[str, ...]], ...]
    """The parquet files of each stream, in the order of their rows."""
    out: str
    """A parquet file, or the folder of a Delta table."""
    lake: str
    """Where as-of tables are."""
    tables: tuple[tuple[str, int], ...] = ()
    """The versions of as-of tables to look things up in."""


@dataclass(frozen=True)
class Computed:
    """What was done: every row that was read is told once, as one of `refused` or of `fates`."""

    rows: Mapping[str, int]
    """Rows read, by stream."""
    events: int
    """Events with values."""
    refused: Mapping[str, Mapping[str, int]]
    """How many rows of a stream were refused for which reason."""
    fates: Mapping[str, Mapping[str, int]]
    """How many of the others met which of `engine.versions.FATES`; of a label in a row, by the label's stream too."""
    refused_file: str | None


def request(pipeline: str, events: Path, out: Path, lake: str) -> Request:
    """The request for a file or a Delta table of the scored events, or for a folder with `<stream>.parquet` of each."""
    declared, out = load_pipeline(pipeline), out.resolve()
    declared.check_computes()
    reference = str(Path(pipeline).resolve()) if pipeline.endswith(".py") else pipeline
    places = {name: path.resolve() for name, path in _places(declared, events).items()}
    check_output(out, list(places.values()))
    files = {name: _parquet_files(declared, name, path) for name, path in places.items()}
    for name, paths in files.items():
        for path in paths:
            told = label_column(declared, name)
            check_columns(declared.stream(name), slices.columns_of(path), label=told, where=path)
    versions = newest(Lake(lake, declared.name), declared) if declared.lookups else {}
    return Request(reference, tuple(files.items()), str(out), lake, tuple(versions.items()))


def compute(workers: Workers, request: Request, *, at_once: int = AT_ONCE, size: int = SLICE) -> Computed:
    """Compute and write the values; they are there when they are whole."""
    about = Run([file_of(path) for _, paths in request.files for path in paths], [file_of(request.out)])
    with told_run(load_pipeline(request.pipeline).name, "compute", lambda: about):
        found = sliced(request, size)
        rows = sum(piece.rows for piece in found)
        with staged(Path(request.out)) as folder:
            if rows > at_once:
                return _in_slices(workers, request, found, folder, size)
            whole = sliced(request, max(1, rows))
            (done,) = workers.each(functools.partial(_at_once, request, whole), [str(folder)], rows=rows)
            return done


def sliced(request: Request, size: int) -> list[Slice]:
    """The rows of all files in slices of at most a size."""
    found: list[Slice] = []
    for stream, paths in request.files:
        first = 0
        for chosen in _together([one for path in paths for one in slices.stretches(path, size)], size):
            rows = sum(one.rows for one in chosen)
            found.append(Slice(len(found), stream, first, rows, tuple(chosen)))
            first += rows
    scored = load_pipeline(request.pipeline).events.name
    if all(piece.stream != scored for piece in found):
        raise DataError(
            f"there are no rows of {scored}",
            where=", ".join(dict(request.files)[scored]) or "--events",
            next_step="name a parquet file or a Delta table that has some",
        )
    return found


def _together(stretches: Sequence[Stretch], size: int) -> Iterator[list[Stretch]]:
    """Stretches that follow each other, as many as have at most so many rows together."""
    chosen: list[Stretch] = []
    for stretch in stretches:
        if chosen and sum(one.rows for one in chosen) + stretch.rows > size:
            yield chosen
            chosen = []
        chosen.append(stretch)
    if chosen:
        yield chosen


def _at_once(request: Request, files: Sequence[Slice], folder: str) -> Computed:
    pipeline = load_pipeline(request.pipeline)
    streams = dict.fromkeys(piece.stream for piece in files)
    tables = {
        name: pa.concat_tables(
            [slices.read_slice(piece, wanted(pipeline, name)) for piece in files if piece.stream == name]
        )
        for name in streams
    }
    lookups = load(Lake(request.lake, pipeline.name), pipeline, dict(request.tables)) if request.tables else NOTHING
    found = values(pipeline, tables, lookups)
    _write(found.table, folder, 1 if is_file(Path(request.out)) else cores(len(found.table)))
    file = _write_refused(request, folder, found.refused) if len(found.refused) else None
    rows = {name: len(tables.get(name, ())) for name, _ in request.files}
    return Computed(rows, len(found.table), found.reasons, found.fates, file)


def _write(table: pa.Table, folder: str, parts: int) -> None:
    """Write values as so many files, all at once."""
    size = max(1, -(-len(table) // parts))
    pieces = [(number, table.slice(number * size, size)) for number in range(max(1, -(-len(table) // size)))]
    with ThreadPoolExecutor(parts) as threads:
        list(threads.map(lambda piece: _write_piece(folder, *piece), pieces))


def _write_piece(folder: str, number: int, table: pa.Table) -> None:
    write_parquet(f"{folder}/{number:06}.parquet", [table], table.schema, repeated=[])


def _in_slices(workers: Workers, request: Request, found: Sequence[Slice], folder: Path, size: int) -> Computed:
    pipeline = load_pipeline(request.pipeline)
    rows = {name: sum(piece.rows for piece in found if piece.stream == name) for name, _ in request.files}
    work = folder / "work"
    each: Callable[..., list[Any]] = functools.partial(workers.each, rows=sum(rows.values()))
    ids = tuple(pipeline.events.source(name) for name in pipeline.events.id_columns)
    direct = len(rows) == 1 and _one_version_each(each(functools.partial(slices.ascending, ids=ids), found))
    parts = -(-max(rows.values()) // size)
    job = Job(request.pipeline, request.lake, request.tables, str(work), tuple(found), parts, direct)
    entered = each(functools.partial(slices.enter_slice, job), found)
    counts = [counted for _, counted in entered]
    if not direct:
        told = [stream.name for stream in pipeline.streams if stream.parent]
        each(functools.partial(relate, job), [(name, part) for name in told for part in range(parts)])
        counts = each(functools.partial(slices.count_part, job), range(parts))
    each(functools.partial(slices.value_piece, job), pieces(workers, job, [one.rows for one in counts], 2 * size))
    events = sum(each(functools.partial(slices.gather_slice, job, str(folder)), job.scored))
    refused = handed_over(job.work("refused"))
    file = _write_refused(request, str(folder), refused) if refused is not None else None
    shutil.rmtree(work)
    return Computed(rows, events, _sums(one for one, _ in entered), _sums(one.fates for one in counts), file)


def _sums(found: Iterable[Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    """What several tasks counted, by stream."""
    summed: dict[str, Counter[str]] = {}
    for one in found:
        for name, counts in one.items():
            summed.setdefault(name, Counter()).update(counts)
    return {name: dict(counts) for name, counts in summed.items()}


def _one_version_each(found: Sequence[tuple[bool, int, int]]) -> bool:
    """Whether ids ascend within all slices and from each to the next, so that none occurs twice."""
    follow = all(before[2] < after[1] for before, after in pairwise(found))
    return follow and all(ascending for ascending, _, _ in found)


def _places(pipeline: Pipeline, path: Path) -> dict[str, Path]:
    inside = pipeline.label.told_by.name if pipeline.label.column is not None else None
    needed = [stream.name for stream in pipeline.streams if stream.name != inside]
    if is_delta(path) or path.is_file():
        if len(needed) > 1:
            wanted = ", ".join(f"{name}.parquet" for name in needed)
            raise UserError("one file is not enough", where=str(path), next_step=f"name a folder with {wanted}")
        return {needed[0]: path}
    files = {name: path / f"{name}.parquet" for name in needed} if path.is_dir() else {needed[0]: path}
    for file in files.values():
        if not file.is_file():
            raise UserError(
                "there is no such file", where=str(file), next_step="name a parquet file, a Delta table, or a folder"
            )
    return files


def _parquet_files(pipeline: Pipeline, stream: str, path: Path) -> tuple[str, ...]:
    if not is_delta(path):
        return (str(path),)
    table = open_delta(path)
    # files have no order of their own; by the first id in each, events that were written in their order keep it
    ids = pipeline.stream(stream).id_columns
    least = f"min.{pipeline.stream(stream).source(ids[0])}" if ids else ""
    files = pa.table(table.get_add_actions(flatten=True))
    by = least if least in files.column_names else "path"
    return tuple(f"{path}/{name}" for name in files.sort_by(by).column("path").to_pylist())


def _write_refused(request: Request, folder: str, rows: pa.Table) -> str:
    """Leave the refused rows with their reasons for the file beside the values; what that will be called."""
    pq.write_table(rows.sort_by([("stream", "ascending"), ("row", "ascending")]), f"{folder}/{REFUSED}")
    return str(refused_file(Path(request.out)))
