"""Where computed values go: a parquet file or a Delta table, and the refused rows in a file beside it.

Nothing is written that would destroy what is there, but for an earlier file or Delta table of values.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from sluice.errors import UserError
from sluice.lake.files import create_table, is_delta, open_delta, replace_files, staged_files

REFUSED = "refused"
_ALLOWED = "a new or an old .parquet file; a new or an empty folder, or one that is a Delta table"


def is_file(out: Path) -> bool:
    """Whether values go to a parquet file, and not to a Delta table."""
    return out.suffix == ".parquet"


def refused_file(out: Path) -> Path:
    """Where the refused rows of some values go."""
    return out.with_name(f"{out.stem if is_file(out) else out.name}.refused.parquet")


def check_output(out: Path, inputs: Sequence[Path]) -> None:
    """UserError unless values can be written to this place without harm; `inputs` are the files and tables to read."""
    for written in (out, refused_file(out)):
        for read in inputs:
            if written == read or read in written.parents or written in read.parents:
                raise _refusal(f"writing {written} would destroy the events in {read}", out, "choose another place")
    wrong = _file_problem(out) if is_file(out) else _table_problem(out)
    if wrong is not None:
        raise _refusal(wrong[0], out, wrong[1])


def _file_problem(out: Path) -> tuple[str, str] | None:
    """What is wrong with a place for a parquet file, and the next step."""
    if out.is_dir():
        return "it is a folder", "name a file in it, or a folder without .parquet for a Delta table"
    return None


def _table_problem(out: Path) -> tuple[str, str] | None:
    """What is wrong with a place for a Delta table, and the next step; UserError for a table that is no place."""
    if is_delta(out):
        open_delta(out)
        return None
    if out.suffix:
        return f"values are not written as {out.suffix!r}", f"name it {out.stem}.parquet"
    if out.is_dir():
        full = any(out.iterdir())
        return (
            ("the folder is no Delta table, and not empty", "name a new one, or a .parquet file in it")
            if full
            else None
        )
    return ("it is a file", "name it .parquet, or another place for a Delta table") if out.exists() else None


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside a place, of which the place and its neighbour are made when the block ends well.

    Its parquet files are the values, and `REFUSED` in it the refused rows.
    """
    folder = out.with_name(f".{out.name}.{uuid.uuid4().hex}")
    try:
        with _writing(out):
            folder.mkdir(parents=True)
        yield folder
        with _writing(out):
            _publish(out, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, DeltaError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise _refusal(f"it cannot be written: {reason}", out, "name a place that you may write to") from error


def _publish(out: Path, folder: Path) -> None:
    refused = refused_file(out)
    refused.unlink(missing_ok=True)  # those of earlier values
    if (folder / REFUSED).exists():
        (folder / REFUSED).rename(refused)
    if is_file(out):
        _whole(folder).replace(out)
    else:
        _commit(out, folder)


def _commit(out: Path, folder: Path) -> None:
    out.mkdir(exist_ok=True)
    inside = out / folder.name.rpartition(".")[2]
    folder.rename(inside)
    try:
        actions, schema = staged_files(str(out), inside.name)
        if is_delta(out):
            replace_files(open_delta(out), schema or pa.schema([]), actions, [])
        else:
            create_table(str(out), schema or pa.schema([]), actions, [], {})
    except BaseException:
        shutil.rmtree(inside, ignore_errors=True)
        raise


def _whole(folder: Path) -> Path:
    """The files of a folder as one."""
    files = sorted(folder.glob("*.parquet"))
    if len(files) == 1:
        return files[0]
    whole = folder / "whole.parquet"
    with pq.ParquetWriter(whole, pq.read_schema(files[0]), use_dictionary=False) as writer:
        for file in files:
            writer.write_table(pq.read_table(file))
    return whole


def _refusal(what: str, out: Path, next_step: str) -> UserError:
    return UserError(what, where=f"--out {out}", allowed=_ALLOWED, next_step=next_step)
