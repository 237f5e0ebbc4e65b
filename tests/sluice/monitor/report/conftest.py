from __future__ import annotations

from pathlib import Path

import pytest

from feature_repo.fraud import pipeline
from sluice.lake.tables import Lake
from sluice.monitor.report.figures import figures
from sluice.monitor.report.sections.section import Run
from tests.sluice.monitor.report import story
from tests.sluice.monitor.report.lakes import END


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake that nobody has written to."""
    return Lake(str(tmp_path / "lake"), pipeline.name)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run, with its figures."""
    whole = Lake(str(tmp_path_factory.mktemp("report")), pipeline.name)
    story.tell(whole, pipeline)
    found = figures(whole, pipeline, broker_ends=story.BROKER_ENDS, models=story.MODELS, steps=story.STEPS, at=END)
    return Run(whole, pipeline, found, END)
