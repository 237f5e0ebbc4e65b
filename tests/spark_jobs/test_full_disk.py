"""A disk that is full at any step of an ingest: a clear message, and the next run completes what that one began."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.lake.accounts import accounts
from tests.spark_jobs.deliveries import Shop, order, orders, returned
from tests.spark_jobs.test_ingest_jobs import ended, job

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
KILOBYTES = (0, 130, 250, 400)
"""What is left of the disk: less than the file of raw events takes, and more than all of it."""
SIZE = "6m"


def test_a_full_disk_is_told_and_the_next_run_completes_what_that_one_began(tmp_path: Path) -> None:
    # a file system of its own, in a name space that ends with the process: nothing is left mounted
    mount = f"mount -t tmpfs -o size={SIZE} sluice-test {tmp_path} && exec {sys.executable} -m {__name__} {tmp_path}"
    alone = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    done = subprocess.run([*alone, "sh", "-c", mount], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["left"] for one in results] == list(KILOBYTES)
    for one in results:
        if one["code"]:
            assert one["code"] == 4, one
            assert "Outage: no space is left on a disk\n" in one["error"], one
            assert "next: make room, and run it again" in one["error"]
        assert (one["again"], one["silver"], one["refused"], one["ailments"]) == (0, 1_010, {"category": 1}, [])
    assert [one["code"] for one in results if one["left"] in {KILOBYTES[0], KILOBYTES[-1]}] == [4, 0]


def main(folder: Path) -> None:
    """Deliver with so much space left, then with enough, and say how both ended."""
    for left in KILOBYTES:
        print(json.dumps({"left": left, **delivered(folder / f"{left}", left)}))  # noqa: T201 the test reads it


def delivered(folder: Path, left: int) -> dict[str, object]:
    """How a job ends when so many kilobytes are left, and how the next one does."""
    folder.mkdir()
    shop = Shop(folder)
    shop.deliver("before", orders=orders(1, 10), returns=[returned(1), returned(2)])
    rows = [order(number, amount=5.0) for number in range(11, 1_011)] + [order(2_000, amount=5.0, channel="fax")]
    path = shop.file("orders", rows)
    filler = folder / "filler"
    fill(filler, left)
    code, error = ended(job(shop, "--batch", "a", "--file", f"orders={path}"))
    filler.unlink()
    again, _ = ended(job(shop, "--batch", "a", "--file", f"orders={path}"))
    found = accounts(shop.lake, "orders")
    return {
        "code": code,
        "error": error,
        "again": again,
        "silver": found.silver,
        "refused": dict(found.quarantined),
        "ailments": shop.ailments(),
    }


def fill(path: Path, left: int) -> None:
    """Take all of the disk but so many kilobytes."""
    disk = os.statvfs(path.parent)
    path.write_bytes(bytes(max(0, disk.f_bavail * disk.f_frsize - left * 1024)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
