from __future__ import annotations

import copy
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from feature_repo.fraud import pipeline
from sluice.lake.tables import Lake
from sluice.monitor.report.events import closes
from sluice.monitor.report.figures import ModelFigures, Step, figures, write_figures
from sluice.monitor.report.sections.section import Run
from tests.sluice.monitor.report.lakes import LIVE

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[4] / "docs"
FREE = {"quarantined", "expired_by_view"}
SCHEMA = json.loads((DOCS / "reference" / "report.schema.json").read_text())


def problems(found: dict[str, Any]) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(found)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_the_figures_of_a_whole_run_are_as_the_schema_says(told: Run) -> None:
    assert problems(dict(told.figures)) == []
    assert all(closes(event) for event in told.figures["events"])


def test_the_figures_of_a_run_that_did_nothing_are_as_the_schema_says(lake: Lake) -> None:
    assert problems(figures(lake, pipeline, broker_ends={}, models=[], steps=[], at=0)) == []


def objects(value: Any) -> list[dict[str, Any]]:
    """Every object within a value, but for those whose keys are the names of rules or views."""
    if isinstance(value, dict):
        inner, own = [each for name, each in value.items() if name not in FREE], [value]
    else:
        inner, own = value if isinstance(value, list) else [], []
    return own + [found for each in inner for found in objects(each)]


def test_the_schema_allows_no_other_key_and_misses_every_key(told: Run) -> None:
    short = {name: value[:1] if isinstance(value, list) else value for name, value in told.figures.items()}
    found = copy.deepcopy(short)
    assert problems(found) == []
    for place in objects(found):
        place["extra"] = 1
        assert problems(found)
        del place["extra"]
        for key in list(place):
            value = place.pop(key)
            assert problems(found)
            place[key] = value
    assert problems(found) == []
    assert len(objects(found)) == 17


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": "2026-05-21 00:00:00"},
        {"vectors": -1},
        {"audit": {"checked": 1.5, "mismatched": 0}},
        {
            "promotions": [
                {
                    "segment": "pos",
                    "move": "retreat",
                    "from": None,
                    "to": "m/1",
                    "reason": "x",
                    "at": "2026-05-21T00:00:00Z",
                }
            ]
        },
        {
            "models": [
                {
                    "segment": "pos",
                    "version": 1,
                    "auc": 1.2,
                    "average_precision": None,
                    "card_precision_at_100": None,
                    "log_loss": None,
                }
            ]
        },
        {"events": []},
    ],
)
def test_figures_that_make_no_sense_are_refused_by_the_schema(told: Run, wrong: dict[str, Any]) -> None:
    assert problems({**told.figures, **wrong})


def test_every_stream_is_told_of_in_declared_order(told: Run) -> None:
    events = told.figures["events"]
    assert [event["stream"] for event in events] == ["transactions", "chargebacks"]
    assert [event["produced"] for event in events] == [60 + 20 + 12 + 43, 6]
    assert events[0]["quarantined"] == {"category": 1, "json": 1, "missing": 1, "range": 1}
    assert events[0]["held"] == 12


def test_steps_add_up_and_the_greatest_peak_is_the_runs(lake: Lake) -> None:
    steps = [Step("ingest", 1.25, 900.0), Step("train", 2.5, 1_800.5), Step("report", 0.25, 400.0)]
    found = figures(lake, pipeline, broker_ends={}, models=[], steps=steps, at=LIVE)
    assert (found["seconds"], found["peak_mb"], found["at"]) == (4.0, 1_800.5, "2026-05-21T00:00:00Z")
    assert found["steps"][1] == {"name": "train", "seconds": 2.5, "peak_mb": 1_800.5}


def test_models_are_told_as_they_were_given(lake: Lake) -> None:
    model = ModelFigures("pos", 3, 0.9, 0.5, None, 0.1)
    found = figures(lake, pipeline, broker_ends={}, models=[model], steps=[], at=LIVE)
    assert found["models"] == [
        {
            "segment": "pos",
            "version": 3,
            "auc": 0.9,
            "average_precision": 0.5,
            "card_precision_at_100": None,
            "log_loss": 0.1,
        }
    ]


def test_the_file_holds_the_figures(told: Run, tmp_path: Path) -> None:
    path = write_figures(told.figures, tmp_path / "below" / "report.json")
    assert json.loads(path.read_text()) == told.figures
    assert [each.name for each in path.parent.iterdir()] == ["report.json"]


def test_a_figure_that_is_no_number_is_not_written(told: Run, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(ValueError, match="JSON"):
        write_figures({**told.figures, "peak_mb": math.nan}, path)
    assert not path.exists()


def test_the_page_on_the_report_explains_every_figure_and_its_example_runs() -> None:
    page = (DOCS / "report.md").read_text()
    explained = set(re.findall(r"`([a-z0-9_.\[\]]+)`", page))
    names = {name.removeprefix("events[].").split(".")[0] for name in explained}
    assert set(SCHEMA["properties"]) <= names | {"events"}
    assert set(SCHEMA["properties"]["events"]["items"]["properties"]) - {"stream"} <= names
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "report.md", "exec"), {})  # noqa: S102 - our own documentation
