"""Write, audit, publish: files are written first, judged while no log names them, and named table by table.

The order is verdict, quarantine, conflicts, late, silver, and last the row in `batches` that shows it to readers.
Every commit carries the batch's marker, so that a publication that died is completed by running it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, create_table_with_add_actions

from sluice.decisions import Finding, Verdict, worst
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
    }
)
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
    }
)


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

    @property
    def marker(self) -> str:
        """The application name that its commits carry."""
        return f"batch:{self.stream}:{self.name}"


def record_verdict(lake: Lake, batch: Batch, findings: Sequence[Finding]) -> Verdict:
    """Write what the gates found, once for each attempt's `at`, and return the gravest verdict."""
    rows = [
        {
            "batch": batch.name,
            "stream": batch.stream,
            "at": batch.at,
            "rule": finding.rule,
            "verdict": finding.verdict.value,
            "message": finding.message,
            "evidence": json.dumps(dict(finding.evidence), sort_keys=True),
            "rows": batch.rows,
        }
        for finding in findings
    ]
    lake.append_rows("verdicts", rows, VERDICTS, once=f"{batch.marker}:{batch.at}")
    return worst(list(findings))


def publish(lake: Lake, batch: Batch, staged: Mapping[str, str]) -> None:
    """Name the staged files of each table (`table -> folder` in publishing order), then show the batch."""
    for table, folder in staged.items():
        commit_folder(lake, table, folder, markers=[batch.marker])
    row = {
        "batch": batch.name,
        "stream": batch.stream,
        "at": batch.at,
        "rows": batch.rows,
        "accepted": batch.accepted,
        "duplicates": batch.duplicates,
        "conflicts": batch.conflicts,
        "late": batch.late,
        "quarantined": json.dumps(dict(batch.quarantined), sort_keys=True),
        "sources": json.dumps(dict(batch.sources), sort_keys=True),
        "contract": batch.contract,
        "renamed": json.dumps(dict(batch.renamed), sort_keys=True),
        "silver_version": lake.version(f"silver/{batch.stream}"),
    }
    lake.append_rows("batches", [row], BATCHES, once=batch.marker)


def commit_folder(lake: Lake, table: str, folder: str, *, markers: Sequence[str], replace: bool = False) -> bool:
    """Name the parquet files of a folder below the table in one commit; False when its markers show that it was done.

    With `replace` the new version of the table holds these files and no others.
    """
    held = lake.open(table)
    if held is not None and all(held.transaction_version(marker) is not None for marker in markers):
        return False
    files, schema = _parquet_files(f"{lake.uri(table)}/{folder}")
    if not files:
        return False
    adds = [_add(folder, info) for info in files]
    marks = [deltalake.Transaction(marker, 1) for marker in markers]
    properties = deltalake.CommitProperties(app_transactions=marks)
    if held is None:
        create_table_with_add_actions(
            lake.uri(table), deltalake.Schema.from_arrow(schema), adds, mode="append", commit_properties=properties
        )
    else:
        held.create_write_transaction(
            adds,
            mode="overwrite" if replace else "append",
            schema=deltalake.Schema.from_arrow(schema) if replace else held.schema(),
            partition_by=[],
            commit_properties=properties,
        )
    return True


def _parquet_files(uri: str) -> tuple[list[Any], pa.Schema | None]:
    filesystem, root = pyarrow.fs.FileSystem.from_uri(uri if "://" in uri else f"file://{uri}")
    selector = pyarrow.fs.FileSelector(root, allow_not_found=True)
    files = [info for info in filesystem.get_file_info(selector) if info.base_name.endswith(".parquet")]
    measured = [(info, pq.ParquetFile(filesystem.open_input_file(info.path))) for info in files]
    filled = [(info, file.metadata.num_rows) for info, file in measured if file.metadata.num_rows]
    schema = measured[0][1].schema_arrow.remove_metadata() if measured else None
    return filled, schema


def _add(folder: str, measured: tuple[Any, int]) -> AddAction:
    info, rows = measured
    stats = json.dumps({"numRecords": rows})
    modified = int(info.mtime_ns // 1_000_000)
    return AddAction(f"{folder}/{info.base_name}", info.size, {}, modified, True, stats)  # noqa: FBT003 its signature
