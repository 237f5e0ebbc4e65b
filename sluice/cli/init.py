"""`sluice init`: a first declaration for a file of events, for a person to edit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from sluice.declare.loading import load_pipeline
from sluice.errors import UserError
from sluice.lake.guessing import Guess, guess, plain

File = Annotated[Path, typer.Argument(help="Events: parquet, CSV or JSON lines.")]
Out = Annotated[Path | None, typer.Option(help="The declaration; by default the file's name, as .py, in this folder.")]
Id = Annotated[str | None, typer.Option("--id", help="The column that tells events apart; by default it is guessed.")]
Time = Annotated[str | None, typer.Option("--time", help="The column that says when an event happened.")]
Told = Annotated[str | None, typer.Option("--label", help="The column of 0 and 1 that models are to predict.")]


def init(file: File, out: Out = None, id_column: Id = None, time: Time = None, label: Told = None) -> None:
    """Write a first declaration for a file of events: what each column seems to be, for a person to edit."""
    found = guess(file, identity=id_column, time=time, label=label)
    name = plain(file.stem)
    path = out or Path(f"{name}.py")
    if path.exists():
        raise UserError("there is a file of that name", where=str(path), next_step="choose another: --out NAME.py")
    path.write_text("\n".join(declaration(name, file.name, found)) + "\n")
    load_pipeline(str(path))
    columns = f"{len(found.columns) + 2} columns, guessed from {found.rows:,} rows: look them over"
    typer.echo(f"{path}: stream {name!r}, {columns}")
    typer.echo(f"next: sluice ingest {path} {name}={file}")


def declaration(name: str, source: str, found: Guess) -> Iterator[str]:
    """The lines of a declaration."""
    columns = {plain(column): declared for column, declared in found.columns.items()}
    words = {declared.partition("(")[0] for declared in columns.values()}
    told = found.label is None
    imported = {*words, "Gates", "Label", "Pipeline", "Stream", "Windows", "count"} | (
        {"Flag", "ForeignKey"} if told else set()
    )
    key = plain(found.key) if found.key else plain(found.id)
    yield f'"""Events of {source}, as `sluice init` took them from {found.rows:,} rows: edit what you know better."""'
    yield ""
    yield f"from sluice import {', '.join(sorted(imported, key=lambda word: (word[0].islower(), word)))}"
    yield ""
    yield f"{name} = Stream("
    yield f'    "{name}",'
    yield f'    id="{plain(found.id)}",'
    if found.id_type == "text":
        yield '    id_type="text",'
    yield f'    time="{plain(found.time)}",'
    yield "    columns={"
    for column, declared in columns.items():
        yield f'        "{column}": {declared},'
    yield "    },"
    renamed = {plain(column): column for column in (found.id, found.time, *found.columns) if plain(column) != column}
    if renamed:
        yield "    sources={"
        for column, original in renamed.items():
            yield f'        "{column}": "{original}",'
        yield "    },"
    yield ")"
    yield from _label(name, found)
    yield "# what vectors hold of each of these; docs/features.md has every function"
    yield f'activity = Windows("activity", of="{key}", over={name}, features=[count("1d", "7d", "30d")])'
    yield "# a batch is published when its rows pass these; docs/ingest.md has every gate"
    yield "gates = Gates(max_quarantined=0.05, fresh=False)"
    yield f'pipeline = Pipeline("{name}", views=[activity], label=label, gates=gates)'


def _label(name: str, found: Guess) -> Iterator[str]:
    if found.label is not None:
        yield "# what models are to predict: a column of the row, which is known some time after the event"
        yield f'label = Label("{plain(found.label)}", of={name}, column="{found.label}", known_after="7d")'
        return
    yield "# what models are to predict is told later, by events of its own: rename it to what yours are"
    yield "outcomes = Stream("
    yield '    "outcomes",'
    yield '    id="outcome_id",'
    yield '    time="told_at",'
    yield f'    columns={{"{plain(found.id)}": ForeignKey({name}), "outcome": Flag()}},'
    yield ")"
    yield f'label = Label("outcome", of={name}, told_by=outcomes, absent=0, after="30d")'
