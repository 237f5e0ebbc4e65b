"""What one run of ingest is asked to bring in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline, hash_of
from sluice.declare.streams import Stream
from sluice.errors import UserError
from sluice.lake.contract import contract_version
from sluice.lake.days import Days
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.replays import batch_of
from sluice.lake.rowfiles import check_named
from sluice.lake.snapshots import names_table
from sluice.lake.tables import Lake


@dataclass(frozen=True)
class Delivery:
    """One delivery: files, or what the archive has written, or a batch of files that was stopped, once more."""

    pipeline: str
    """A registered name or the path of a .py file, which every worker can read."""
    lake: str
    batch: str
    at: int
    """Event clock, microseconds."""
    files: Sequence[tuple[str, Path | str]] = ()
    """Streams, each with a file, or with a Delta table as `place` or `place@version`."""
    from_bronze: bool = False
    restates: Days | None = None
    """Days about which the files are the whole truth."""
    replay: str | None = None
    """A replay whose rows are brought back, as the batch of that replay."""
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By stream: declared column → its name in this delivery."""
    rows_per_task: int = 250_000
    """Rows that one task holds in memory, and about how many a file of silver gets."""
    forgotten: Forgotten = field(default=Forgotten(), repr=False)
    """What was forgotten when it began, whose rows land without their content."""

    def declared(self) -> Pipeline:
        """The pipeline, loaded where it is needed."""
        return self._declared

    def tables(self) -> Lake:
        """The pipeline's tables; every step in one process reads the same ones, and none of them twice."""
        return self._tables

    @cached_property
    def _declared(self) -> Pipeline:
        return load_pipeline(self.pipeline)

    @cached_property
    def _tables(self) -> Lake:
        return Lake(self.lake, self.declared().name)

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is sent: the names, and nothing that was opened or loaded."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def contract(self, stream: str) -> Stream:
        """A stream under the names that its columns have in this delivery."""
        declared = self.declared().stream(stream)
        return replace(declared, sources={**declared.sources, **self.renamed.get(stream, {})})

    @cached_property
    def run(self) -> str:
        """The name of this attempt at it: the same call under the same contracts, made again, is the same run."""
        return hash_of(
            {
                "batch": self.batch,
                "at": self.at,
                "files": [[stream, str(path)] for stream, path in self.files],
                "from_bronze": self.from_bronze,
                "restates": None if self.restates is None else str(self.restates),
                "replay": self.replay,
                "contracts": {
                    stream.name: contract_version(self.contract(stream.name)) for stream in self.declared().streams
                },
            }
        )

    def check(self) -> None:
        """UserError unless it is one delivery, all that it names is declared, and its files are there."""
        if not self.batch:
            raise UserError("a batch has a name", where="--batch")
        if self.replay is not None and (self.from_bronze or self.files or self.batch != batch_of(self.replay)):
            raise UserError("a replay is a delivery of its own", where=f"batch {self.batch!r}")
        if self.from_bronze and self.files:
            raise UserError("files and the archive are two deliveries", where=f"batch {self.batch!r}")
        self._check_named()
        if self.restates is not None:
            self._check_restating([self.declared().stream(name) for name, _ in self.files])

    def _check_named(self) -> None:
        """UserError unless streams and columns are declared, and files are there."""
        pipeline = self.declared()
        for name in [*(name for name, _ in self.files), *self.renamed]:
            pipeline.stream(name)
        for _, path in self.files:
            if not names_table(str(path)):
                check_named(Path(path))
        for name, columns in self.renamed.items():
            for column in columns:
                _check_column(pipeline.stream(name), column)

    def _check_restating(self, streams: Sequence[Stream]) -> None:
        if not streams:
            raise UserError("only files can restate days", where="--restates", allowed="STREAM=FILE")
        for stream in streams:
            if not stream.id_columns:
                raise UserError(
                    f"events of {stream.name} have no ids, so that nothing says which of them a row replaces",
                    where="--restates",
                    next_step="declare the columns that tell its events apart: id=(…)",
                )


def named_file(text: str, streams: Sequence[str]) -> tuple[str, Path | str]:
    """`STREAM=FILE`, as a person writes it: the stream, and its file or Delta table."""
    stream, sign, path = text.partition("=")
    if not sign:
        raise UserError(
            f"{text!r} names no stream", where="STREAM=FILE", next_step=f"write {streams[0]}={text}", allowed=streams
        )
    if stream not in streams:
        raise UserError.unknown("stream", stream, streams, where=text)
    if not path:
        raise UserError(f"{text!r} names no file", where="STREAM=FILE")
    return stream, path if "://" in path else Path(path)


def renamed_in(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """`STREAM:COLUMN=NAME`, as a person writes it: by stream, what declared columns are called in a delivery."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        left, _, name = text.partition("=")
        stream, _, column = left.partition(":")
        if not (stream and column and name):
            raise UserError(f"{text!r} is no renamed column", where="--rename", allowed="STREAM:COLUMN=NAME")
        found.setdefault(stream, {})[column] = name
    return found


def _check_column(stream: Stream, column: str) -> None:
    if column not in stream.all_columns:
        raise UserError.unknown("column", column, stream.all_columns, where=f"{stream.name}, renamed")
