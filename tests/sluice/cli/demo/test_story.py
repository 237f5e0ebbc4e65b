"""The whole loop on real parts, in one command: what the report says must be so, and the tables must say it too."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import mlflow
import pytest

from sluice.lake.touched import arrived_of
from sluice.monitor.report.events import accounted
from tests.sluice.cli.conftest import LEAST_AUDITED, Loop

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parents[4]
MARGIN = 0.05
"""By how much average precision a model beats ranking by the amount alone, at least."""


def test_the_command_ends_well_and_says_what_held(loop: Loop) -> None:
    assert loop.code == 0, loop.said
    assert "are accounted for" in loop.said
    assert "Traceback" not in loop.said


def test_the_report_is_as_its_schema_says(loop: Loop) -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "report.schema.json").read_text())
    jsonschema.validate(loop.report, schema)
    assert loop.report["pipeline"] == "fraud"


def test_every_event_is_in_exactly_one_place_though_all_kinds_of_trouble_were_there(loop: Loop) -> None:
    for event in loop.report["events"]:
        assert event["produced"] == accounted(event)
    (transactions,) = loop.rows("events", stream="transactions")
    assert transactions["held"] == 0
    assert set(transactions["quarantined"]) >= {"category", "json", "missing", "range"}
    assert min(transactions[name] for name in ("duplicates", "conflicts", "late", "silver")) > 0


def test_every_vector_that_was_served_is_right_to_the_bit(loop: Loop) -> None:
    assert loop.report["audit"]["mismatched"] == 0
    assert loop.report["audit"]["checked"] >= LEAST_AUDITED


def test_no_request_failed_while_models_moved(loop: Loop) -> None:
    serving = loop.report["serving"]
    assert serving["failed"] == 0
    assert [row for row in loop.report["promotions"] if row["from"] is not None]
    assert "the traffic of these days had ended before" not in loop.said


def test_every_kind_of_run_was_told_as_an_openlineage_event(loop: Loop) -> None:
    told = [json.loads(line) for line in (loop.home / "openlineage.jsonl").read_text().splitlines()]
    kinds = {"ingest", "vectors", "train", "watch", "rollout", "repair", "archive", "fold"}
    assert {one["job"]["name"] for one in told if one["eventType"] == "START"} >= kinds
    (archive, *_) = (one for one in told if one["job"]["name"] == "archive")
    assert "fraud.transactions" in [one["name"] for one in archive["inputs"]]


def test_a_gate_stopped_a_delivery_its_run_failed_with_the_verdict_and_it_was_repaired(loop: Loop) -> None:
    stops = [row for row in loop.here.lake.rows("verdicts") if row["verdict"] == "stop"]
    assert {(row["batch"], row["rule"]) for row in stops} == {("last-day", "quarantined")}
    assert "last-day" in {row["batch"] for row in loop.here.lake.published("transactions")}
    runs = loop.ask_prefect("flow_runs", flow_runs={"state": {"type": {"any_": ["FAILED"]}}})
    failed = [run for run in runs if run["parameters"]["pipeline"] == "fraud"]
    assert [run["parameters"]["batch"] for run in failed] == ["last-day"]
    verdicts = loop.ask_prefect("artifacts", artifacts={"key": {"any_": ["verdict"]}})
    shown = [row for artifact in verdicts if artifact["flow_run_id"] == failed[0]["id"] for row in _table(artifact)]
    assert "stop" in {row["verdict"] for row in shown}
    (told,) = loop.events("sluice.gate.stopped")
    assert (told["payload"]["pipeline"], told["payload"]["batch"]) == ("fraud", "last-day")


def test_drift_was_seen_decided_upon_and_retrained_by_the_event_of_the_decision(loop: Loop) -> None:
    assert loop.rows("drift", alarm=True)
    retrains = [row for row in loop.rows("decisions", action="retrain") if "moved by" in row["reason"]]
    assert retrains
    (deployment,) = loop.ask_prefect(
        "deployments", flows={"name": {"any_": ["retrain"]}}, deployments={"name": {"any_": ["fraud"]}}
    )
    runs = loop.ask_prefect("flow_runs", deployments={"id": {"any_": [deployment["id"]]}})
    segments = {name for run in runs for name in run["parameters"]["segments"].split(",")}
    assert {row["segment"] for row in retrains} <= segments
    assert "COMPLETED" in {run["state"]["type"] for run in runs}


def test_a_challenger_went_through_shadow_and_canary_and_took_over(loop: Loop) -> None:
    taken = [row for row in loop.rows("promotions", move="promote") if row["from"] is not None]
    assert taken
    for row in taken:
        way = [move["move"] for move in loop.rows("promotions", segment=row["segment"], to=row["to"])]
        assert way[:4] == ["shadow", "canary", "canary", "promote"]


def test_every_control_that_was_let_in_was_caught_before_it_answered_anybody(loop: Loop) -> None:
    controls = {row["to"] for row in loop.rows("promotions", move="shadow") if _variant(loop, row["to"]) == "shuffled"}
    assert controls
    assert controls <= {row["from"] for row in loop.rows("promotions", move="rollback")}
    assert {row["move"] for row in loop.report["promotions"] if row["to"] in controls} == {"shadow"}
    answers = loop.here.lake.read("predictions", columns=["model", "version", "role"]).to_pylist()
    assert {row["role"] for row in answers if f"{row['model']}/{row['version']}" in controls} == {"shadow"}


def test_a_segment_with_too_few_frauds_for_a_model_of_its_own_is_answered_by_the_fallback(loop: Loop) -> None:
    own = {row["segment"] for row in loop.rows("promotions", move="promote")}
    answers = loop.here.lake.read("predictions", columns=["segment", "role"]).to_pylist()
    roles = {segment: {row["role"] for row in answers if row["segment"] == segment} for segment in ("pos", "atm")}
    assert own == {"pos", "online", "*"}
    assert roles["atm"] == {"fallback"}
    assert "fallback" not in roles["pos"]


def test_each_segments_model_beats_ranking_by_the_amount_alone(loop: Loop) -> None:
    first = {row["segment"]: row["to"] for row in loop.rows("promotions", move="promote") if row["from"] is None}
    assert {"pos", "online", "*"} <= set(first)
    for model in first.values():
        measured = _run(loop, model).data.metrics
        assert measured["average_precision"] > measured["yardstick.average_precision"] + MARGIN, model


def test_the_repair_names_the_models_that_learned_from_what_was_told_anew_or_came_late(loop: Loop) -> None:
    assert [row for row in loop.report["touched"] if row["model"] is not None and row["changed"] > 0]
    (vectors,) = [row for row in loop.here.lake.rows("touched") if not row["model"]]
    batches = {row["batch"]: row for row in arrived_of(vectors) if row["stream"] == "transactions"}
    (anew,) = [name for name in batches if name.startswith("restated-")]
    late = [row["late"] for name, row in batches.items() if name != anew and row["late"] > 0]
    assert late
    assert all(f", {count:,} late\n" in loop.said for count in [*late, batches[anew]["late"]])


def test_the_page_beside_the_figures_needs_nothing_else(loop: Loop) -> None:
    page = (loop.home / "report.html").read_text()
    assert page.count("<svg") >= 5
    assert not re.search(r"<link|<script[^>]*src|@import|(src|url)\W{0,2}https?:", page)


def _table(artifact: dict[str, Any]) -> list[dict[str, Any]]:
    data = artifact["data"]
    found: list[dict[str, Any]] = json.loads(data) if isinstance(data, str) else data
    return found


def _run(loop: Loop, model: str) -> Any:
    name, version = model.split("/")
    client = mlflow.MlflowClient(tracking_uri=loop.here.settings.mlflow, registry_uri=loop.here.settings.mlflow)
    return client.get_run(client.get_model_version(name, version).run_id)


def _variant(loop: Loop, model: str) -> str:
    tags: dict[str, str] = _run(loop, model).data.tags
    return tags["variant"]
