"""Feast's own page in the browser shows what a declaration was registered as."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sluice.declare.loading import load_pipeline
from sluice.feast.registry import PROJECT, apply
from sluice.local.ports import free_port
from sluice.settings import settings

pytestmark = pytest.mark.integration

REPOSITORY = Path(__file__).parents[3] / "feature_repo"
FEAST = Path(sys.executable).with_name("feast")
PATIENCE_S = 60


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """`feast ui` as docs/feast.md has it, over a registry that holds the fraud pipeline, and a browser."""
    folder, port = tmp_path_factory.mktemp("ui"), free_port(31_000 + os.getpid() % 3_000)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(folder / "home"))
        settings.cache_clear()
        apply(load_pipeline("fraud"))
        command = [FEAST, "ui", "--host", "127.0.0.1", "--port", str(port)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT)
    settings.cache_clear()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as browser:
            wait_for(browser, process, folder / "log")
            yield browser
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(browser: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once it answers; AssertionError with what it said if it ends, or takes too long."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if browser.get("/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_the_page_lists_the_project_and_its_features(ui: httpx.Client) -> None:
    assert ui.get("/").text.startswith("<!doctype html>")
    (project,) = ui.get("/projects-list.json").json()["projects"]
    assert project["id"] == PROJECT
    found = shown(ui, project["registryPath"], "feature_views")["featureViews"]
    views = {view["spec"]["name"]: {one["name"] for one in view["spec"]["features"]} for view in found}
    declared = load_pipeline("fraud")
    for view in declared.windows:
        assert views[view.name] == {feature.name for feature in view.functions}
        assert f"{view.name}_at" in views
    assert "fraud_moment" in views


def test_the_page_lists_the_whole_vector_as_a_service(ui: httpx.Client) -> None:
    (service,) = shown(ui, "/api/v1", "feature_services")["featureServices"]
    assert service["spec"]["name"] == "fraud"
    picked = [feature["name"] for view in service["spec"]["features"] for feature in view["featureColumns"]]
    assert len(picked) == len(load_pipeline("fraud").features)


def shown(ui: httpx.Client, path: str, kind: str) -> dict[str, list[dict[str, dict[str, object]]]]:
    """What the page asks its registry for."""
    answer = ui.get(f"{path}/{kind}", params={"project": PROJECT})
    answer.raise_for_status()
    found: dict[str, list[dict[str, dict[str, object]]]] = answer.json()
    return found
