"""The text of a first declaration, from what a file's columns seem to be."""

from __future__ import annotations

import json
import keyword
from collections.abc import Iterator
from pathlib import Path

import sluice
from sluice.lake.guessing import Guess, free, plain

_PARTS = ("activity", "gates", "label", "outcomes", "pipeline")
"""What else the declaration gives a name to."""
_COLUMNS = ("Category", "Decimal", "Flag", "ForeignKey", "Integer", "Key")
_FEATURES = ("distinct", "max_", "mean", "since_last", "sum_", "top")


def called(file: Path) -> str:
    """What the stream of a file's events is called: no word of Python, of Sluice or of the rest of the declaration."""
    name = plain(file.stem)
    return f"{name}_events" if keyword.iskeyword(name) or name in {*_PARTS, *sluice.__all__} else name


def draft(name: str, source: str, found: Guess) -> Iterator[str]:
    """The lines of a declaration."""
    plainly = source.replace("\\", "/").replace('"', "'")
    yield f'"""Events of {plainly}, as `sluice init` took them from {found.rows:,} rows: edit what you know better."""'
    yield ""
    yield from _imports(found)
    yield ""
    yield from _stream(name, found)
    yield from _label(name, found)
    yield from _views(name, found)
    yield "# a batch is published when its rows pass these; docs/ingest.md has every gate"
    yield "gates = Gates(max_quarantined=0.05, fresh=False)"
    yield f'pipeline = Pipeline("{name}", views=[{", ".join(_view_names(found))}], label=label, gates=gates)'


def _imports(found: Guess) -> Iterator[str]:
    used = {"Gates", "Label", "Pipeline", "Stream", *(text.partition("(")[0] for text in found.columns.values())}
    used |= {"Windows", "count"} if found.keys else set()
    used |= {"Flag", "ForeignKey"} if found.label is None else set()
    yield f"from sluice import {', '.join(sorted(used, key=lambda word: (word[0].islower(), word)))}"
    columns, features = (", ".join(word for word in words if word not in used) for words in (_COLUMNS, _FEATURES))
    yield f"# import what you add: {f'the columns {columns}; ' if columns else ''}the features {features};"
    yield "# docs/reference/declare.md has every word"


def _stream(name: str, found: Guess) -> Iterator[str]:
    names = found.names
    yield f"{name} = Stream("
    yield f'    "{name}",'
    yield f'    id="{names[found.id]}",'
    if found.id_type == "text":
        yield '    id_type="text",'
    yield f'    time="{names[found.time]}",'
    if any("max=" in declared for declared in found.columns.values()):
        yield f"    # bounds are guessed from {found.rows:,} rows, with room for twice the greatest value; edit them"
    yield "    columns={"
    for column, declared in found.columns.items():
        yield f'        "{names[column]}": {declared},'
    yield "    },"
    renamed = {declared: column for column, declared in names.items() if column != declared}
    if renamed:
        yield "    sources={"
        for declared, column in renamed.items():
            yield f'        "{declared}": {_text(column)},'
        yield "    },"
    yield ")"


def _label(name: str, found: Guess) -> Iterator[str]:
    identity = found.names[found.id]
    if found.label is not None:
        told = free(plain(found.label), [identity])
        yield "# what models are to predict: a column of the row, which is known some time after the event"
        yield f'label = Label("{told}", of={name}, column={_text(found.label)}, known_after="7d")'
        return
    yield "# what models are to predict is told later, by events of its own: rename it to what yours are"
    yield "outcomes = Stream("
    yield '    "outcomes",'
    yield f'    id="{free("outcome_id", [identity])}",'
    yield f'    time="{free("told_at", [identity])}",'
    outcome = free("outcome", [identity])
    yield f'    columns={{"{identity}": ForeignKey({name}), "{outcome}": Flag()}},'
    yield ")"
    yield f'label = Label("{outcome}", of={name}, told_by=outcomes, absent=0, after="30d")'


def _views(name: str, found: Guess) -> Iterator[str]:
    if not found.keys:
        yield "# no column seems to name what has several events, which a view could count: rows are ingested, and no"
        yield '# features computed. If one does, declare it as Key() or Key("text"), and add a view of it:'
        yield f'# activity = Windows("activity", of="customer", over={name}, features=[count("1d", "7d", "30d")])'
        return
    yield "# what vectors hold of each of these; docs/features.md has every function"
    for view, key in zip(_view_names(found), found.keys, strict=True):
        windows = f'of="{found.names[key]}", over={name}, features=[count("1d", "7d", "30d")]'
        yield f'{view} = Windows("{view}", {windows})'


def _view_names(found: Guess) -> list[str]:
    """The first view is called `activity`, others also after their key."""
    return [f"{found.names[key]}_activity" if index else "activity" for index, key in enumerate(found.keys)]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
