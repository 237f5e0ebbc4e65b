"""What one run of ingest is asked to bring in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline, hash_of
from sluice.declare.streams import Stream
from sluice.errors import UserError
from sluice.lake.contract import contract_version
from sluice.lake.days import Days
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.replays import batch_of
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
        return load_pipeline(self.pipeline)

    def tables(self) -> Lake:
        """The pipeline's tables."""
        return Lake(self.lake, self.declared().name)

    def contract(self, stream: str) -> Stream:
        """A stream under the names that its columns have in this delivery."""
        declared = self.declared().stream(stream)
        return replace(declared, sources={**declared.sources, **self.renamed.get(stream, {})})

    @property
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
        """UserError unless it is one delivery, and all that it names is declared."""
        pipeline = self.declared()
        if not self.batch:
            raise UserError("a batch has a name", where="--batch")
        if self.replay is not None and (self.from_bronze or self.files or self.batch != batch_of(self.replay)):
            raise UserError("a replay is a delivery of its own", where=f"batch {self.batch!r}")
        if self.from_bronze and self.files:
            raise UserError("files and the archive are two deliveries", where=f"batch {self.batch!r}")
        for name in [*(name for name, _ in self.files), *self.renamed]:
            pipeline.stream(name)
        for name, columns in self.renamed.items():
            for column in columns:
                _check_column(pipeline.stream(name), column)
        if self.restates is not None:
            self._check_restating([pipeline.stream(name) for name, _ in self.files])

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


def _check_column(stream: Stream, column: str) -> None:
    if column not in stream.all_columns:
        raise UserError.unknown("column", column, stream.all_columns, where=f"{stream.name}, renamed")
