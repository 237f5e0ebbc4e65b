"""An S3 service in a process of its own on a free loopback port, for the tests of a lake in a bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3

from sluice.local.health import tcp
from sluice.local.ports import free_port

BUCKET = "lake"


@dataclass(frozen=True)
class S3Server:
    """A running service with one empty bucket; all its clients need is `environment`."""

    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }

    def keys(self, prefix: str) -> list[str]:
        """What lies in the bucket under a prefix."""
        found = self.client().list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return [one["Key"] for one in found]

    def client(self) -> boto3.client:
        """A client that has nothing to do with Arrow or Delta."""
        keys = {"aws_access_key_id": "somebody", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.endpoint, **keys)


@contextmanager
def s3_server(log: Path) -> Iterator[S3Server]:
    """Run it while the block does."""
    port = free_port(20_500 + os.getpid() % 4_000)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
    try:
        server = S3Server(f"http://127.0.0.1:{port}")
        while not tcp("127.0.0.1", port):
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        server.client().create_bucket(Bucket=BUCKET)
        yield server
    finally:
        process.terminate()
        process.wait()
