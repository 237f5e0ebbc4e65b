"""Write, audit, publish: files are written first, judged while no log names them, and named table by table.

The verdict is recorded, then the publication is announced in one commit: from there on it happens, whatever dies. It
names the files of quarantine, conflicts, late and silver, and last the row in `batches` that shows them to readers.
Every commit carries the batch's marker, so that `recover` completes what a crash left by doing it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds

from sluice.decisions import Finding, Verdict, worst
from sluice.declare.pipeline import hash_of
from sluice.errors import Outage
from sluice.lake.attempts import attempts_of
from sluice.lake.files import append_files, create_table, move, remove, replace_files, staged_files
from sluice.lake.properties import properties
from sluice.lake.tables import Lake

VERDICTS = pa.schema(
    {
        "batch": pa.string(),
        "stream": pa.string(),
        "at": pa.int64(),
        "rule": pa.string(),
        "verdict": pa.string(),
        "message": pa.string(),
        "evidence": pa.string(),
        "rows": pa.int64(),
        "run": pa.string(),
        "attempt": pa.int64(),
        "renamed": pa.string(),
    }
)
"""`attempt` counts how often a batch of a stream was judged: moments may be equal, and runs have no order.

`renamed` is JSON of what columns were called in it, with which it has to be ingested again.
"""
BATCHES = pa.schema(
    {
        "batch": pa.string(),
        "stream": pa.string(),
        "at": pa.int64(),
        "rows": pa.int64(),
        "accepted": pa.int64(),
        "duplicates": pa.int64(),
        "conflicts": pa.int64(),
        "late": pa.int64(),
        "quarantined": pa.string(),
        "sources": pa.string(),
        "contract": pa.string(),
        "renamed": pa.string(),
        "silver_version": pa.int64(),
        "watermarks": pa.string(),
        "run": pa.string(),
    }
)
PUBLICATIONS = pa.schema(
    {"batch": pa.string(), "stream": pa.string(), "at": pa.int64(), "shown": pa.string(), "staged": pa.string()}
)
"""What is being published: `shown` is the row for `batches`, `staged` the folder of each table, both as JSON."""


@dataclass(frozen=True)
class Batch:
    """One delivery of one stream: its name, what was counted, and how far it reaches in each source."""

    name: str
    stream: str
    at: int
    rows: int
    accepted: int
    duplicates: int
    conflicts: int
    late: int
    quarantined: Mapping[str, int]
    sources: Mapping[str, int]
    """The last position of each source, as `source/partition`."""
    contract: str
    renamed: Mapping[str, str]
    """Declared columns that this delivery calls otherwise."""
    run: str | None = None
    """The attempt that judged it."""
    watermarks: Mapping[str, int] = field(default_factory=dict)
    """The greatest accepted event time of each topic partition after this batch, as `source/partition`."""

    @property
    def marker(self) -> str:
        """The application name that its commits carry."""
        return _marker(self.stream, self.name)

    def row(self) -> dict[str, Any]:
        """The row that shows the batch to readers, but for the version of silver."""
        nested = ("quarantined", "sources", "renamed", "watermarks")
        plain = ("stream", "at", "rows", "accepted", "duplicates", "conflicts", "late", "contract", "run")
        return {
            "batch": self.name,
            **{name: getattr(self, name) for name in plain},
            **{name: _json(getattr(self, name)) for name in nested},
        }


def record_verdict(lake: Lake, batch: Batch, findings: Sequence[Finding]) -> Verdict:
    """Write what the gates found, once for each attempt, and return the gravest verdict."""
    rows = [
        {
            "batch": batch.name,
            "stream": batch.stream,
            "at": batch.at,
            "rule": finding.rule,
            "verdict": finding.verdict.value,
            "message": finding.message,
            "evidence": _json(finding.evidence),
            "rows": batch.rows,
            "run": batch.run,
            "renamed": _json(batch.renamed),
        }
        for finding in findings
    ]
    # an attempt is known by what it found: the same again is a restart, another finding another attempt
    found = hash_of({"found": rows})
    attempt = {"attempt": attempts_of(lake, batch.stream, batch.name) + 1}
    lake.append_rows("verdicts", [row | attempt for row in rows], VERDICTS, once=f"{batch.marker}:{batch.at}:{found}")
    return worst(list(findings))


def hold(lake: Lake, batch: Batch, staged: Mapping[str, str]) -> None:
    """Keep the refused rows of a batch that is stopped where a person who mends it finds them, once for each run.

    They are moved to a table of their own, as nothing of the batch may be seen; all its rows stay in bronze.
    """
    refused, held = f"quarantine/{batch.stream}", f"held/{batch.stream}"
    folder = staged.get(refused)
    if folder is not None:
        move(f"{lake.uri(refused)}/{folder}", f"{lake.uri(held)}/{folder}")
        if not commit_folder(lake, held, folder, markers=[f"{batch.marker}:{batch.run}"]):
            remove(f"{lake.uri(held)}/{folder}")


def turn_of(lake: Lake, stream: str) -> int:
    """How many publications of a stream were announced."""
    return lake.reached_by("publications", _turn(stream)) or 0


def publish(lake: Lake, batch: Batch, staged: Mapping[str, str], *, turn: int | None = None) -> None:
    """Announce the staged files of each table (`table -> folder` in publishing order), name them, show the batch.

    `turn` is the stream's `turn_of` when the batch was judged: Outage, and nothing announced, when another publication
    came in between, because duplicates and conflicts were judged against an older history. Without it: as of now.
    """
    before = turn_of(lake, batch.stream) if turn is None else turn
    row = {
        "batch": batch.name,
        "stream": batch.stream,
        "at": batch.at,
        "shown": _json(batch.row()),
        "staged": json.dumps(dict(staged)),
    }
    announced = pa.Table.from_pylist([row], schema=PUBLICATIONS)
    lake.append_moving("publications", announced, _turn(batch.stream), before or None, before + 1)
    _complete(lake, row)


def recover(lake: Lake, stream: str) -> int:
    """Complete every publication of a stream that was announced and not shown; the stream's `turn_of` before that."""
    turn = turn_of(lake, stream)
    shown = pa.array([batch["batch"] for batch in lake.published(stream)], pa.string())
    for row in lake.rows("publications", where=(ds.field("stream") == stream) & ~ds.field("batch").isin(shown)):
        _complete(lake, row)
    return turn


def commit_folder(lake: Lake, table: str, folder: str, *, markers: Sequence[str], replace: bool = False) -> bool:
    """Name the parquet files of a folder below the table in one commit; False when its markers show that it was done.

    With `replace` the new version of the table holds these files and no others. Outage when another process has done
    a part of it.
    """
    return lake.commit(table, partial(_name_files, lake, table, folder, markers, replace))


def _complete(lake: Lake, row: Mapping[str, Any]) -> None:
    marker = _marker(row["stream"], row["batch"])
    for table, folder in json.loads(row["staged"]).items():
        commit_folder(lake, table, folder, markers=[marker])
    shown = {**json.loads(row["shown"]), "silver_version": lake.version(f"silver/{row['stream']}")}
    lake.append_rows("batches", [shown], BATCHES, once=marker)


def _name_files(
    lake: Lake, table: str, folder: str, markers: Sequence[str], replace: bool, held: deltalake.DeltaTable | None
) -> bool:
    if held is not None and _done(held, markers):
        return False
    actions, schema = staged_files(lake.uri(table), folder)
    if not actions:
        return False
    marks = [deltalake.Transaction(marker, 1) for marker in markers]
    if held is None:
        create_table(lake.uri(table), schema, actions, marks, properties(table))
    elif replace:
        replace_files(held, schema, actions, marks)
    else:
        append_files(held, schema, actions, marks)
    return True


def _done(held: deltalake.DeltaTable, markers: Sequence[str]) -> bool:
    there = [marker for marker in markers if held.transaction_version(marker) is not None]
    if there and len(there) < len(markers):
        raise Outage(
            f"another process wrote a part of the same ({len(there)} of {len(markers)})",
            where=held.table_uri,
            next_step="run it again",
        )
    return bool(there)


def _marker(stream: str, batch: str) -> str:
    return f"batch:{stream}:{batch}"


def _turn(stream: str) -> str:
    return f"stream:{stream}"


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True)
