"""What of a job's work is done: a mark for each piece, so that a run after a death does what is left and no more.

A piece is done when its mark is there, which is written after all that the piece leaves; the mark holds its result.
Steps are told as they go by counting marks, whoever makes them and wherever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pyarrow.fs

from sluice.lake.files import remove, whole_file
from sluice.lake.progress import Progress
from sluice.lake.storage import place
from sluice.lake.workers import Workers

W = TypeVar("W")
_READERS = 16
"""Marks that are read at once: of a bucket, each takes some milliseconds of waiting."""


@dataclass(frozen=True)
class Kept:
    """The steps of one job, whose marks lie in a folder; results have to be what JSON can hold."""

    workers: Workers
    folder: str
    progress: Progress

    def each(self, step: str, task: Callable[[W], Any], work: Mapping[str, W], *, rows: int) -> list[Any]:
        """The results of a task for each piece of work by its name, in order; of those that are done, as they were.

        `rows` says about how much there is to do in all, were nothing done.
        """
        done = self.results(step, list(work))
        left = [(name, piece) for name, piece in work.items() if name not in done]
        if left:
            share = rows * len(left) // len(work)
            with self.progress.step(step, len(work), rows, partial(self.count, step)):
                found = self.workers.each(partial(_marked, task, self._place(step)), left, rows=share)
            done |= {name: one for (name, _), one in zip(left, found, strict=True)}
        return [done[name] for name in work]

    def results(self, step: str, names: Sequence[str] | None = None) -> dict[str, Any]:
        """The results of the pieces of a step that are done, by name: of some names, or of all."""
        there = self._names(step)
        wanted = [name for name in there if names is None or name in set(names)]
        with ThreadPoolExecutor(_READERS) as readers:
            return dict(zip(wanted, readers.map(partial(_read, self._place(step)), wanted), strict=True))

    def count(self, step: str) -> int:
        """How many pieces of a step are done."""
        return len(self._names(step))

    def mark(self, step: str, name: str, result: Any) -> None:
        """Note that a piece is done, which no worker did."""
        _mark(self._place(step), name, result)

    def forget(self, step: str, name: str | None = None) -> None:
        """Take a mark back, or all of a step: what it stands for is to be done again."""
        remove(self._place(step) if name is None else _at(self._place(step), name))

    def _names(self, step: str) -> list[str]:
        filesystem, root = place(self._place(step))
        found = filesystem.get_file_info(pyarrow.fs.FileSelector(root, allow_not_found=True))
        return sorted(info.base_name[:-5] for info in found if info.base_name.endswith(".json"))

    def _place(self, step: str) -> str:
        return f"{self.folder}/{step}"


def _marked(task: Callable[[W], Any], folder: str, named: tuple[str, W]) -> Any:
    """Do a piece of work, and mark it as done."""
    name, piece = named
    found = task(piece)
    _mark(folder, name, found)
    return found


def _mark(folder: str, name: str, result: Any) -> None:
    with whole_file(_at(folder, name)) as sink:
        sink.write(json.dumps(result).encode())


def _read(folder: str, name: str) -> Any:
    filesystem, path = place(_at(folder, name))
    with filesystem.open_input_file(path) as source:
        return json.loads(source.read())


def _at(folder: str, name: str) -> str:
    return f"{folder}/{name}.json"
