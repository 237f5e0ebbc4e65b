"""`sluice init`: a first declaration for a file of events, for a person to edit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.places import check_written
from sluice.declare.loading import load_pipeline
from sluice.errors import DeclarationError, UserError
from sluice.wording import command

if TYPE_CHECKING:
    from sluice.lake.guessing import Guess

File = Annotated[Path, typer.Argument(help="Events: parquet, CSV (commas, UTF-8, with a header) or JSON lines.")]
Out = Annotated[Path | None, typer.Option(help="The declaration; by default the file's name, as .py, in this folder.")]
Id = Annotated[str | None, typer.Option("--id", help="The column that tells events apart; by default it is guessed.")]
Time = Annotated[str | None, typer.Option("--time", help="The column that says when an event happened.")]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="A column that names what has several events, such as a customer; repeatable."),
]
Told = Annotated[str | None, typer.Option("--label", help="The column of 0 and 1 that models are to predict.")]


def init(
    file: File, out: Out = None, id_column: Id = None, time: Time = None, key: Keys = None, label: Told = None
) -> None:
    """Write a first declaration for a file of events: what each column seems to be, for a person to edit."""
    from sluice.cli.drafting import called, draft
    from sluice.lake.guessing import Asked, guess

    name = called(file)
    path = out or Path(f"{name}.py")
    check_written(path, "--out", ".py")
    if path.exists():
        raise UserError("there is a file of that name", where=str(path), next_step="choose another: --out NAME.py")
    found = guess(file, Asked(id_column, time, label, key or ()))
    text = "\n".join(draft(name, file.name, found)) + "\n"
    _check_loads(text, path)
    path.write_text(text, encoding="utf-8")
    for line in _told(name, path, file, found):
        typer.echo(line)


def _check_loads(text: str, path: Path) -> None:
    """UserError, before anything is written, for a declaration that would not load."""
    with tempfile.TemporaryDirectory() as folder:
        tried = Path(folder) / path.name
        tried.write_text(text, encoding="utf-8")
        try:
            load_pipeline(str(tried))
        except DeclarationError as error:
            raise UserError(
                f"nothing was written, as it could not be read: {error.what}",
                where=(error.where or "").replace(str(tried), str(path)),
                allowed=error.allowed,
                next_step="name the columns: --id, --time, --key, --label",
            ) from error


def _told(name: str, path: Path, file: Path, found: Guess) -> Iterator[str]:
    from sluice.lake.guessing import listed

    columns = f"{len(found.columns) + 2} columns, guessed from {found.rows:,} rows: look them over"
    yield f"{path}: stream {name!r}, {columns}"
    parts = [f"id `{found.id}`", f"time `{found.time}`", *(f"key `{key}`" for key in found.keys)]
    yield ", ".join([*parts, f"label `{found.label}`"] if found.label else parts)
    others = {column: count for column, count in found.candidates.items() if column not in found.keys}
    if not found.keys:
        yield "no column seems to name what has several events: there is no view; rows are ingested, nothing computed"
    if others:
        yield f"another key is --key COLUMN: {listed(others)}" if found.keys else f"or --key COLUMN: {listed(others)}"
    yield f"next: {command('ingest', str(path), f'{name}={file}')}"
