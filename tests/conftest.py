"""What holds for every test: its own settings, a level, the order of the levels, and no skip in CI."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sluice.settings import known_variables, settings
from tests.budget import lines, spent
from tests.properties import register

if TYPE_CHECKING:
    from tests.postgres_server import Postgres
    from tests.redis_server import RedisServer
    from tests.s3_server import S3Server

register()

# Ray reads these when it is first imported, by whichever test comes first; every head here is on loopback
os.environ |= {
    "RAY_AUTH_MODE": "disabled",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
}

LEVELS = ("unit", "integration", "scenario", "soak")
_ENGINE_VARIABLES = ("RAY_ADDRESS", "PREFECT_HOME", "_MLFLOW_SERVER_ARTIFACT_ROOT")
_SHARED = {"SLUICE_CACHE", "SLUICE_JAR_REPOSITORY"}
"""Fetched jars are shared with the person who runs the tests: looking in the cache is what a second start does."""


@pytest.fixture(scope="session", autouse=True)
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test sees the settings of the person who runs it, nor writes into the project's own `.sluice`."""
    with pytest.MonkeyPatch.context() as environment:
        for name in {*known_variables(), *_ENGINE_VARIABLES} - _SHARED:
            environment.delenv(name, raising=False)
        environment.setenv("SLUICE_HOME", str(tmp_path_factory.getbasetemp() / "home"))
        yield


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One redis-server for all tests that ask for it; each keeps to keys that no other has. For integration tests."""
    from tests.redis_server import RedisServer

    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.up()
    yield server
    server.down()


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    """The same, with nothing in it yet; its `url` is what `SLUICE_ONLINE` would say."""
    running_redis.empty()
    return running_redis


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[Postgres]:
    """One Postgres for all tests that ask for it. For integration tests."""
    from tests.postgres_server import postgres_server

    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres(running_postgres: Postgres) -> Iterator[Postgres]:
    """A database of its own in it, which the settings name as the warehouse."""
    mine = running_postgres.another()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in mine.environment.items():
            environment.setenv(name, value)
        yield mine


@pytest.fixture(scope="session")
def running_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 service for all tests that ask for it; each keeps to keys that no other has. For integration tests."""
    from tests.s3_server import s3_server

    with s3_server(tmp_path_factory.mktemp("s3") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def s3(running_s3: S3Server) -> Iterator[S3Server]:
    """The same, and the environment names it."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in running_s3.environment.items():
            environment.setenv(name, value)
        yield running_s3


@pytest.fixture(scope="module", autouse=True)
def environment_as_found() -> Iterator[None]:
    """What a module's engines leave in the environment (MLflow puts its address there) is gone before the next one."""
    before = dict(os.environ)
    yield
    for name in (set(os.environ) | set(before)) - {"PYTEST_CURRENT_TEST"}:
        if name in before:
            os.environ[name] = before[name]
        else:
            del os.environ[name]


@pytest.fixture(autouse=True)
def settings_read_afresh() -> Iterator[None]:
    """A test that sets a variable sees it, and leaves nothing of it behind."""
    settings.cache_clear()
    yield
    settings.cache_clear()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file without a test of the one level asked for stays unread: its engines take seconds to import."""
    level = config.option.markexpr
    unread = level in LEVELS and collection_path.match("test_*.py") and not _names(collection_path, level)
    return unread or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast levels first; a test without a level, or with two, is a mistake."""
    items.sort(key=_level)


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage looks through it again, which took a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if os.environ.get("CI") == "true" and report.skipped:
        _fail(report, collector.nodeid)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What each folder took of its budget; a slow machine is no failure, so being over is only told."""
    reports = [report for kind in ("passed", "failed", "") for report in terminalreporter.getreports(kind)]
    terminalreporter.section("time by folder")
    for line in lines(spent(report for report in reports if isinstance(report, pytest.TestReport))):
        terminalreporter.write_line(line)


def _level(item: pytest.Item) -> int:
    levels = [level for level in LEVELS if item.get_closest_marker(level)]
    if len(levels) != 1:
        raise pytest.UsageError(f"{item.nodeid} needs exactly one of the marks {', '.join(LEVELS)}; it has {levels}")
    if not _names(item.path, levels[0]):
        raise pytest.UsageError(f"{item.nodeid} needs its mark in its own file, else `-m {levels[0]}` does not see it")
    return LEVELS.index(levels[0])


@functools.cache
def _names(path: Path, level: str) -> bool:
    return f"mark.{level}" in path.read_text()


def _fail(report: pytest.TestReport | pytest.CollectReport, nodeid: str) -> None:
    report.outcome = "failed"
    report.longrepr = f"{nodeid} was skipped, which CI does not accept: {report.longrepr}"
