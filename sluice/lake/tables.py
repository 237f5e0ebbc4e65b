"""One pipeline's tables in the lake: where they are, how to read what is published, how to append once.

    events/<stream>      bronze: the raw payload and its source position, append-only
    silver/<stream>      typed rows that passed the contract, every version of an event
    quarantine/<stream>  refused rows with rule and value         late/<stream>  rows that came late
    held/<stream>        the refused rows of batches that were stopped, by run
    baselines/<stream>   what the values of each column were like, by day, as sketches that merge
    conflicts/<stream>   two payloads for one version of an event: which hash stands, which was dropped
    verdicts             what the gates found of every batch      batches        the batches that readers may see
    schemas              the registered schemas that messages of topics name, each before a row is judged by it
    files                every file that was delivered, by hash         replays, replayed    refused rows put back
    imports              what every import from a warehouse has read
    waivers              who lets which gate's stop pass, why, and until when
    erasures, erased     who asked to forget an entity, and what it was, by pseudonym
    retirements, retired what retention announced to drop, and what it has dropped      legal_holds
    publications         what is being published: written before the first of those tables, completed after a crash
    asof/<table>         slowly changing tables that vectors look things up in; every load is a version
    rows/<view>          what the windows of a view count, in buckets of the entity      backfills  what each was of
    vectors              of every event, knowing all
    vectors_as_served    of every event, with what had arrived by its time; with rows_as_served and backfills_as_served
    touched              what repairs changed: vectors, and the training sets of models
    tiles/<view>, training_sets, predictions, audits, drift, performance, decisions, promotions, rollbacks

Every reader goes through `Lake.read`: rows of a batch are there when the batch's row in `batches` is, and not before.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.exceptions import CommitFailedError, DeltaError

from sluice.errors import DataError, Outage
from sluice.lake.opened import Opened, open_table
from sluice.lake.properties import properties
from sluice.lake.scanning import dataset_of
from sluice.lake.storage import options
from sluice.lake.within import Within

BATCHED = ("silver/", "quarantine/", "conflicts/", "late/", "baselines/")
"""Tables whose rows belong to a batch and are visible with it."""

_TRIES = 10
T = TypeVar("T")


class Lake:
    """The tables of one pipeline below a URI; any Delta reader reads the same files.

    Every call sees what is there by then. A log, and what it says is published, is read again only when it has gone on.
    """

    def __init__(self, uri: str, pipeline: str) -> None:
        self.root = f"{uri.rstrip('/')}/{pipeline}"
        self.pipeline = pipeline
        self._opened = Opened()
        self._shown: tuple[deltalake.DeltaTable | None, list[dict[str, Any]]] = None, []

    def __reduce__(self) -> tuple[type[Lake], tuple[str, str]]:
        """A worker gets the place, and opens the tables by itself."""
        return Lake, (self.root.removesuffix(f"/{self.pipeline}"), self.pipeline)

    def uri(self, table: str) -> str:
        """Where a table is."""
        return f"{self.root}/{table}"

    def open(self, table: str, version: int | None = None) -> deltalake.DeltaTable | None:
        """The Delta table, to be read from; None while nobody has written it, which is its version -1."""
        if version == -1:
            return None
        return self._opened.newest(self.uri(table)) if version is None else open_table(self.uri(table), version)

    def version(self, table: str) -> int:
        """The table's newest version; -1 while there is none."""
        found = self.open(table)
        return -1 if found is None else int(found.version())

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        within: Within | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """The published rows of a table; DataError when nobody has written it.

        Files without a row `within` are not looked at.
        """
        found, asked = self._asked(table, where, within, version)
        if found is None:
            name = table if version in (None, -1) else f"{table}@{version}"
            raise DataError(
                f"there is no table {name!r}", where=self.root, next_step="run the step that writes it first"
            )
        try:
            return pa.table(self.dataset(found, within=within).to_table(columns=columns, filter=asked))
        except FileNotFoundError as error:
            if version is None:
                raise
            raise DataError(
                f"version {version} of {table!r} cannot be read: files of it are gone",
                where=self.root,
                next_step="it was not kept, or an entity of it was forgotten: sluice forget list; read a newer version",
            ) from error

    def rows(self, table: str, *, where: ds.Expression | None = None) -> list[dict[str, Any]]:
        """The published rows of a small table as dictionaries; none when nobody has written it."""
        found, asked = self._asked(table, where)
        return [] if found is None else pa.table(self.dataset(found).to_table(filter=asked)).to_pylist()

    def count(self, table: str, *, where: ds.Expression | None = None, within: Within | None = None) -> int:
        """How many published rows a table has; 0 when nobody has written it."""
        found, asked = self._asked(table, where, within)
        return 0 if found is None else int(self.dataset(found, within=within).count_rows(filter=asked))

    def scan(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        within: Within | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The published rows of a table, a few at a time; none when nobody has written it."""
        found, asked = self._asked(table, where, within)
        if found is not None:
            yield from self.dataset(found, within=within).to_batches(columns=columns, filter=asked)

    def append(self, table: str, rows: pa.Table, *, once: str | None = None) -> bool:
        """Append rows in one commit; with `once`, only if no commit carries that marker yet. Whether it was written."""

        def write(found: deltalake.DeltaTable | None) -> bool:
            if once is not None and found is not None and found.transaction_version(once) is not None:
                return False
            self._write(table, found, rows, None if once is None else deltalake.Transaction(once, 1, _now_ms()))
            return True

        return self.commit(table, write)

    def append_rows(
        self, table: str, rows: Iterable[Mapping[str, Any]], schema: pa.Schema, *, once: str | None = None
    ) -> bool:
        """Append dictionaries; nothing is written when there are none."""
        listed = list(rows)
        return bool(listed) and self.append(table, pa.Table.from_pylist(listed, schema=schema), once=once)

    def append_new(self, table: str, rows: pa.Table, key: str) -> None:
        """Append the rows whose `key` the table does not have, in one commit; of two processes the first one's stay."""
        application = f"{table}:{key}"

        def write(found: deltalake.DeltaTable | None) -> None:
            held = None if found is None else self.dataset(found).to_table(columns=[key]).column(key)
            fresh = rows if held is None else rows.filter(pc.invert(pc.is_in(rows.column(key), value_set=held)))
            if len(fresh):
                turn = (None if found is None else found.transaction_version(application)) or 0
                self._write(table, found, fresh, deltalake.Transaction(application, turn + 1, _now_ms()))

        self.commit(table, write)

    def append_reaching(self, table: str, rows: pa.Table, application: str, reached: int) -> None:
        """Append rows in one commit that also says how far `application` has come."""
        self.append_moving(table, rows, application, self.reached_by(table, application), reached)

    def append_moving(self, table: str, rows: pa.Table, application: str, before: int | None, reached: int) -> None:
        """Append rows in one commit that moves `application` on from `before` (None: from nowhere).

        Outage when it stands elsewhere: another process does the same work, and nothing is written.
        """

        def write(found: deltalake.DeltaTable | None) -> None:
            stands = None if found is None else found.transaction_version(application)
            if stands != before:
                raise Outage(
                    f"another process has moved {application!r} from {before} to {stands}",
                    where=self.uri(table),
                    next_step="let one process do this work, and run it again",
                )
            self._write(table, found, rows, deltalake.Transaction(application, reached, _now_ms()))

        self.commit(table, write)

    def reached_by(self, table: str, application: str) -> int | None:
        """How far an application has come in a table, by its newest commit."""
        found = self.open(table)
        return None if found is None else found.transaction_version(application)

    def commit(self, table: str, write: Callable[[deltalake.DeltaTable | None], T]) -> T:
        """Call `write` with the newest version of a table, again whenever another process committed in between.

        `write` decides by what it is given (None: no table yet) and commits onto exactly that, so that two processes
        never both find a marker missing. Outage when others are always faster.
        """
        lost: Exception | None = None
        for _ in range(_TRIES):
            # of its own: writing moves it on, and others may be reading
            found = open_table(self.uri(table))
            try:
                done = write(found)
            except CommitFailedError as error:
                lost = error
            except DeltaError as error:
                if found is not None or self.open(table) is None:
                    raise
                lost = error
            else:
                if found is not None:
                    found.update_incremental()  # not every way of writing moves it on
                    self._opened.keep(self.uri(table), found)
                return done
        raise Outage(
            f"other processes were faster {_TRIES} times ({lost})", where=self.uri(table), next_step="run it again"
        )

    def dataset(
        self, found: deltalake.DeltaTable, schema: pa.Schema | None = None, *, within: Within | None = None
    ) -> ds.Dataset:
        """The rows of a table, with null in columns of `schema` that it does not have.

        Of files that have none `within` by their statistics nothing is there.
        """
        files = None if within is None else within.of([field.name for field in found.schema().fields])
        return dataset_of(found, schema=schema, pruned=files)

    def published(self, stream: str | None = None) -> list[dict[str, Any]]:
        """The batches that readers may see, oldest first."""
        found, shown = self.open("batches"), self._shown
        if found is None:
            return []
        if found is not shown[0]:
            batches = pa.table(self.dataset(found).to_table()).to_pylist()
            self._shown = shown = found, sorted(batches, key=lambda batch: (batch["at"], batch["batch"]))
        return [batch for batch in shown[1] if stream is None or batch["stream"] == stream]

    def shows(self, stream: str, batch: str) -> bool:
        """Whether readers may see a batch."""
        return any(row["batch"] == batch for row in self.published(stream))

    def reached(self, stream: str) -> dict[str, int]:
        """The last published position of every source of a stream, as `source/partition`."""
        return self._greatest(stream, "sources")

    def watermarks(self, stream: str) -> dict[str, int]:
        """The greatest accepted event time of every topic partition of a stream, as far as it is published."""
        return self._greatest(stream, "watermarks")

    def _greatest(self, stream: str, column: str) -> dict[str, int]:
        greatest: dict[str, int] = {}
        for batch in self.published(stream):
            for place, value in json.loads(batch.get(column) or "{}").items():
                greatest[place] = max(value, greatest.get(place, value))
        return greatest

    def _asked(
        self, table: str, where: ds.Expression | None, within: Within | None = None, version: int | None = None
    ) -> tuple[deltalake.DeltaTable | None, ds.Expression | None]:
        """A table, and the condition that those of its rows meet which are asked for and which readers may see."""
        if table.startswith(BATCHED):
            # before the table is opened: what is shown by now is in it then
            shown = [batch["batch"] for batch in self.published(table.partition("/")[2])]
            visible = ds.field("_batch").isin(pa.array(shown, pa.string()))
            where = visible if where is None else where & visible
        return self.open(table, version), where if within is None else within.condition(where)

    def create(self, table: str, rows: pa.Table, **commit: Any) -> None:
        """Create a table of some rows, in a commit with these properties; a deltalake error when others were faster."""
        deltalake.write_deltalake(
            self.uri(table),
            rows,
            mode="error",
            configuration=properties(table),
            storage_options=options(self.uri(table)),
            # a creation that is tried again would append, whoever was faster and whatever it marked
            commit_properties=deltalake.CommitProperties(max_commit_retries=0, **commit),
        )

    def _write(
        self, table: str, found: deltalake.DeltaTable | None, rows: pa.Table, mark: deltalake.Transaction | None
    ) -> None:
        marks = None if mark is None else [mark]
        if found is None:
            self.create(table, rows, app_transactions=marks)
        else:
            commit = deltalake.CommitProperties(app_transactions=marks)
            deltalake.write_deltalake(found, rows, mode="append", schema_mode="merge", commit_properties=commit)


def _now_ms() -> int:
    # Delta's own bookkeeping of markers; no logic of ours reads it
    return int(dt.datetime.now(dt.UTC).timestamp() * 1000)
