"""Runs as OpenLineage events: in a file, or sent to an address, and never in the way of the work."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sluice.errors import DataError
from sluice.lake.lineage.datasets import Dataset, Run, file_of
from sluice.lake.lineage.runs import FILE, told_run
from sluice.settings import settings

pytestmark = pytest.mark.unit

AT = 1_767_264_000_000_000
MADE = Run(
    [file_of("/in/a.csv"), Dataset("kafka://127.0.0.1:9092", "shop.orders", checks={"count": True, "missing": False})],
    [Dataset("s3://bucket", "lake/shop/silver/orders", "7", 12)],
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def events(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / FILE).read_text().splitlines()]


def test_a_run_is_told_when_it_begins_and_with_what_it_read_and_wrote_when_it_ends(home: Path) -> None:
    with told_run("shop", "ingest", lambda: MADE, at=AT):
        assert [event["eventType"] for event in events(home)] == ["START"]
    began, ended = events(home)
    assert (began["eventType"], ended["eventType"]) == ("START", "COMPLETE")
    assert began["run"]["runId"] == ended["run"]["runId"]
    assert (ended["job"]["namespace"], ended["job"]["name"]) == ("shop", "ingest")
    assert ended["run"]["facets"]["nominalTime"]["nominalStartTime"] == "2026-01-01T10:40:00Z"
    assert (began["inputs"], began["outputs"]) == ([], [])
    assert [(one["namespace"], one["name"]) for one in ended["inputs"]] == [
        ("file", "/in/a.csv"),
        ("kafka://127.0.0.1:9092", "shop.orders"),
    ]
    assertions = ended["inputs"][1]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(one["assertion"], one["success"]) for one in assertions] == [("count", True), ("missing", False)]
    (written,) = ended["outputs"]
    assert (written["namespace"], written["name"]) == ("s3://bucket", "lake/shop/silver/orders")
    assert written["facets"]["version"]["datasetVersion"] == "7"
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 12


def test_an_endless_run_says_what_it_reads_when_it_begins(home: Path) -> None:
    with told_run("shop", "archive", lambda: MADE, endless=True):
        (began,) = events(home)
    assert [one["name"] for one in began["inputs"]] == ["/in/a.csv", "shop.orders"]
    assert began["job"]["facets"]["jobType"]["processingType"] == "STREAMING"
    assert [event["eventType"] for event in events(home)] == ["START", "COMPLETE"]


def test_a_run_that_fails_says_with_what(home: Path) -> None:
    with pytest.raises(DataError), told_run("shop", "ingest", lambda: MADE):
        raise DataError("a page is torn", where="a.parquet")
    failed = events(home)[-1]
    assert failed["eventType"] == "FAIL"
    assert failed["run"]["facets"]["errorMessage"]["message"] == "DataError: a.parquet: a page is torn"
    assert len(failed["outputs"]) == 1


def test_a_private_run_that_fails_does_not_say_with_what(home: Path) -> None:
    with pytest.raises(DataError), told_run("shop", "forget", lambda: MADE, private=True):
        raise DataError("customer=zebra is held")
    failed = events(home)[-1]
    assert failed["run"]["facets"]["errorMessage"]["message"] == "DataError"
    assert "zebra" not in (home / FILE).read_text()


def test_what_cannot_be_told_is_a_warning_and_the_work_is_done(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLUICE_OPENLINEAGE_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    done = []
    with caplog.at_level(logging.WARNING), told_run("shop", "ingest", lambda: MADE):
        done.append(1)
    assert done == [1]
    assert "a run of ingest was not told to OpenLineage" in caplog.text
    assert not (home / FILE).exists()


def test_runs_are_sent_to_the_address_of_the_settings_with_its_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, str | None, dict[str, Any]]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers.get("Authorization"), json.loads(body)))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("SLUICE_OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("SLUICE_OPENLINEAGE_KEY", "a-key")
        settings.cache_clear()
        with told_run("shop", "ingest", lambda: MADE):
            pass
        server.shutdown()
    assert [(path, key, body["eventType"]) for path, key, body in received] == [
        ("/api/v1/lineage", "Bearer a-key", "START"),
        ("/api/v1/lineage", "Bearer a-key", "COMPLETE"),
    ]
    assert not (home / FILE).exists()
