"""A lake in a bucket is a lake: what holds of tables in a folder holds there, and of two writers one wins."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from sluice.lake.handing import hand_over, handed_over
from sluice.lake.keeping.compaction import compact
from sluice.lake.keeping.present import tables
from sluice.lake.keeping.rewriting import Older, drop
from sluice.lake.keeping.vacuum import leftovers, unneeded, vacuum
from sluice.lake.kept import Kept
from sluice.lake.progress import Progress
from sluice.lake.snapshots import read_source, snapshot
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from tests.s3_server import BUCKET, S3Server
from tests.sluice.lake import test_bronze, test_files, test_publish, test_tables

pytestmark = pytest.mark.integration

HELD = {
    name: test
    for suite in (test_tables, test_files, test_publish, test_bronze)
    for name, test in vars(suite).items()
    if name.startswith("test_")
}
"""The tests of a lake in a folder."""
IN_A_FOLDER = (
    "test_a_version_that_others_name_can_be_read_for_ever",
    "test_of_other_tables_only_the_newest_versions_stay",
)
"""They make files older than they are."""
globals().update({name: test for name, test in HELD.items() if name not in IN_A_FOLDER})

WRITER = """
import sys
import pyarrow as pa
from sluice.errors import Outage
from sluice.lake.tables import Lake

uri, me = sys.argv[1:]
lake = Lake(uri, "shop")
for number in range(8):
    lake.append("appended", pa.table({"by": [me], "n": [number]}), once=f"{me}:{number}")
    try:
        lake.append_moving("moved", pa.table({"by": [me]}), "turn", lake.reached_by("moved", "turn"), number)
    except Outage:
        continue
"""


@pytest.fixture
def lake(s3: S3Server) -> Lake:
    """A lake of its own in the bucket, in place of the folder's."""
    return Lake(f"s3://{BUCKET}/{uuid.uuid4().hex}", "shop")


def test_no_suite_is_hidden_by_another(s3: S3Server) -> None:
    suites = (test_tables, test_files, test_publish, test_bronze)
    assert len(HELD) == sum(name.startswith("test_") for suite in suites for name in vars(suite)) > 30


def test_the_service_lets_one_of_two_create_a_key(s3: S3Server) -> None:
    """What commits rely on; a service that does not know it would lose one of two commits without a word."""
    client, key = s3.client(), uuid.uuid4().hex
    client.put_object(Bucket=BUCKET, Key=key, Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"second", IfNoneMatch="*")


def test_two_processes_that_write_at_once_lose_nothing_and_double_nothing(lake: Lake) -> None:
    uri = lake.root.removesuffix("/shop")
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, uri, name], env=dict(os.environ)) for name in ("one", "two")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = sorted((row["by"], row["n"]) for row in lake.rows("appended"))
    assert found == [(name, number) for name in ("one", "two") for number in range(8)]
    assert lake.version("appended") == 15
    assert lake.count("moved") == lake.version("moved") + 1


def test_a_process_that_used_a_bucket_ends_in_peace(lake: Lake) -> None:
    lake.append("x", pa.table({"n": [1, 2]}))
    uri = lake.root.removesuffix("/shop")
    script = f"from sluice.lake.tables import Lake; print(len(Lake({uri!r}, 'shop').read('x')))"
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (0, "2\n"), ended.stderr


def test_nothing_is_written_outside_the_bucket(lake: Lake, s3: S3Server, tmp_path: Path) -> None:
    lake.append("x", pa.table({"n": [1]}))
    assert any(key.endswith(".parquet") for key in s3.keys(f"{lake.root.partition(BUCKET + '/')[2]}/x/"))
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_is_kept_as_a_folder_is(lake: Lake) -> None:
    """Small files are packed, old rows dropped, and files that no kept version names removed."""
    for number in range(12):
        lake.append("audits", pa.table({"n": [number], "at": [number]}))
    lake.append("vectors", pa.table({"n": [1]}))
    assert tables(lake) == ["audits", "vectors"]
    assert compact(lake, "audits") == 12
    assert drop(lake, "audits", Older("at", 5, {})).rows == 5
    assert sorted(lake.read("audits").column("n").to_pylist()) == list(range(5, 12))
    assert len(unneeded(lake, "audits", {11}, young_h=0)) == 1
    assert len(vacuum(lake, "audits", {11}, young_h=0)) == 1
    assert lake.read("audits", version=11).num_rows == 12
    assert len(vacuum(lake, "audits", (), young_h=0)) == 12
    assert sorted(lake.read("audits").column("n").to_pylist()) == list(range(5, 12))
    assert vacuum(lake, "audits", (), young_h=0) == leftovers(lake, young_h=0) == []


def test_a_delta_table_in_the_bucket_is_delivered_from_there(lake: Lake, tmp_path: Path) -> None:
    lake.append("elsewhere", pa.table({"number": [1, 2]}))
    lake.append("elsewhere", pa.table({"number": [3]}))
    found = snapshot(f"{lake.uri('elsewhere')}@0")
    assert found is not None
    assert found.name == f"{lake.uri('elsewhere')}@0"
    (source,) = found.sources
    assert list(read_source(found.name, source)) == [(0, [{"number": 1}, {"number": 2}])]


def test_what_a_job_has_done_is_known_in_the_bucket_and_a_span_of_time_is_read_from_there(lake: Lake) -> None:
    """What a backfill that is gone on from needs of where it works."""
    for given in ({"a": 1}, {"a": 1, "b": 2}):
        kept = Kept(Here(), lake.uri("work/backfill-1/done"), Progress([].append))
        assert kept.each("double", double, given, rows=2) == [2 * number for number in given.values()]
    assert (kept.count("double"), kept.results("double")) == (2, {"a": 2, "b": 4})
    kept.forget("double", "a")
    assert kept.results("double") == {"b": 4}

    hand_over(lake.uri("work/backfill-1/counted/0.arrow"), pa.table({"time": [3, 1, 2]}), by="time")
    found = handed_over(lake.uri("work/backfill-1/counted"), since=2)
    assert found is not None
    assert found.to_pydict() == {"time": [2, 3]}


def double(number: int) -> int:
    return 2 * number
