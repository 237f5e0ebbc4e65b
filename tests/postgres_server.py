"""A real Postgres of its own on a free loopback port: the warehouse of the tests, never the one that Debian starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from sluice.local.ports import free_port
from sluice.local.postgres import programs

ACCOUNT = "postgres"
"""Whom Debian's package makes for it: Postgres does not run as root."""
SPEEDY = ("-c", "fsync=off", "-c", "max_connections=30", "-c", "shared_buffers=16MB")


@dataclass(frozen=True)
class Postgres:
    """A running server; each test has a database of its own in it."""

    port: int
    password: str
    database: str = "postgres"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make it the warehouse."""
        return {
            "SLUICE_WAREHOUSE_URL": f"jdbc:postgresql://127.0.0.1:{self.port}/{self.database}",
            "SLUICE_WAREHOUSE_USER": "sluice",
            "SLUICE_WAREHOUSE_PASSWORD": self.password,
        }

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        """A connection of a client that has nothing to do with JDBC."""
        address = f"host=127.0.0.1 port={self.port} dbname={self.database} user=sluice password={self.password}"
        return psycopg.connect(address, autocommit=autocommit)

    def run(self, sql: str) -> list[tuple]:
        """Run statements; the rows of the last."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def another(self) -> Postgres:
        """An empty database of the same server."""
        name = f"test_{uuid.uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        return replace(self, database=name)


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run one while the block does; its data and its socket lie in a folder of its own account."""
    # the account cannot enter pytest's own folders when the tests run as root
    folder = Path(tempfile.mkdtemp(prefix="sluice-postgres-"))
    port, password = free_port(24_500 + os.getpid() % 4_000), "not:a@secret"
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        _initialise(folder, password)
        control = ["pg_ctl", "-D", str(folder / "data"), "-w", "-s"]
        options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), *SPEEDY]
        _run(folder, *control, "-l", str(folder / "log"), "-o", " ".join(options), "start")
        try:
            yield Postgres(port, password)
        finally:
            _run(folder, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _initialise(folder: Path, password: str) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(secret, ACCOUNT, ACCOUNT)
    given = ["-D", str(folder / "data"), "-U", "sluice", "-A", "scram-sha-256", f"--pwfile={secret}"]
    _run(folder, "initdb", *given, "-E", "UTF8", "--locale=C", "--no-sync")


def _run(folder: Path, program: str, *arguments: str) -> None:
    """Run one of Postgres' programs, as its own account where this one may not."""
    account = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"] if os.geteuid() == 0 else []
    with (folder / f"{program}.out").open("a") as said:
        done = subprocess.run(
            [*account, str(programs() / program), *arguments], cwd=folder, stdout=said, stderr=said, check=False
        )
    assert done.returncode == 0, (folder / f"{program}.out").read_text()
