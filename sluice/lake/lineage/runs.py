"""Runs as OpenLineage events: what began, what it read and wrote, and how it ended.

A run is told when it begins and when it ends, in the words of the OpenLineage specification (openlineage.io, version
2), through its own client: into a file below the home, one event to a line, or to the address that the settings name.
Who listens is no part of the work: an event that cannot be told is a warning, and the run goes on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.dataset as ds

from sluice.clock import rfc3339
from sluice.decisions import Verdict
from sluice.lake.contract import TOPIC
from sluice.lake.lineage.datasets import Dataset, Run, file_of, table_of, topic_of
from sluice.lake.tables import Lake
from sluice.settings import Settings, settings
from sluice.version import code_version

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent, RunState
    from openlineage.client.facet_v2 import DatasetFacet, InputDatasetFacet, OutputDatasetFacet, RunFacet

PRODUCER = "urn:sluice"
FILE = "openlineage.jsonl"
_log = logging.getLogger(__name__)


@contextmanager
def told_run(
    pipeline: str,
    job: str,
    about: Callable[[], Run],
    *,
    at: int | None = None,
    endless: bool = False,
    private: bool = False,
) -> Iterator[None]:
    """Tell of a run of a job when it begins, and when it has ended or failed, with what it read and wrote by then.

    `about` is asked at the end, however it came; of an `endless` run, which goes on until it is told to stop or dies,
    at its beginning too. `at` is the moment of the event clock that the run is for. What a `private` one failed with is
    told without its words, as they may name a person.
    """
    teller = _Teller(pipeline, job, at, "STREAMING" if endless else "BATCH")
    teller.tell("START", about if endless else Run)
    try:
        yield
    except BaseException as error:
        words = "" if private else f": {error}"
        teller.tell("FAIL", about, f"{type(error).__name__}{words}")
        raise
    teller.tell("COMPLETE", about)


def ingested(lake: Lake, batch: str) -> Run:
    """What a batch was made of and where its rows are, with what the gates found of it."""
    shown = [row for row in lake.published() if row["batch"] == batch]
    writes: list[Dataset] = []
    reads = [file_of(row["path"]) for row in lake.rows("files", where=ds.field("batch") == batch)]
    sources = {place.rpartition("/")[0] for row in shown for place in json.loads(row["sources"] or "{}")}
    reads += [topic_of(settings().kafka, one.removeprefix(TOPIC)) for one in sorted(sources) if one.startswith(TOPIC)]
    verdicts = lake.rows("verdicts", where=ds.field("batch") == batch)
    for stream in sorted({row["stream"] for row in verdicts}):
        counts = {row["stream"]: row["accepted"] for row in shown}
        checks = {row["rule"]: row["verdict"] != Verdict.STOP.value for row in verdicts if row["stream"] == stream}
        # the gates judge what lies in bronze, and a check belongs to what a run reads
        landed = table_of(lake, f"events/{stream}")
        reads.append(replace(landed, checks=checks))
        writes += [landed, *([table_of(lake, f"silver/{stream}", rows=counts[stream])] if stream in counts else [])]
    return Run(reads, writes)


class _Teller:
    """One run, told event by event."""

    def __init__(self, pipeline: str, job: str, at: int | None, processing: str) -> None:
        from openlineage.client.uuid import generate_new_uuid

        self._id, self._pipeline, self._job, self._at = str(generate_new_uuid()), pipeline, job, at
        self._processing = processing

    def tell(self, state: str, about: Callable[[], Run], error: str | None = None) -> None:
        from openlineage.client.event_v2 import RunState

        try:
            _client(settings()).emit(self._event(RunState[state], about(), error))
        except Exception as failed:  # noqa: BLE001 whatever the client raises, the work goes on
            _log.warning("a run of %s was not told to OpenLineage: %s", self._job, failed)

    def _event(self, state: RunState, run: Run, error: str | None) -> RunEvent:
        from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, RunEvent
        from openlineage.client.event_v2 import Run as Told
        from openlineage.client.facet_v2 import error_message_run, job_type_job, nominal_time_run, processing_engine_run

        facets: dict[str, RunFacet] = {
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(code_version(), "Sluice")
        }
        if self._at is not None:
            facets["nominalTime"] = nominal_time_run.NominalTimeRunFacet(rfc3339(self._at))
        if error is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(error, "python")
        kind = job_type_job.JobTypeJobFacet(self._processing, "SLUICE", "JOB")
        return RunEvent(
            eventTime=datetime.now(UTC).isoformat(),
            eventType=state,
            run=Told(self._id, facets),
            job=Job(self._pipeline, self._job, {"jobType": kind}),
            inputs=[
                InputDataset(one.namespace, one.name, facets=_facets(one), inputFacets=_judged(one))
                for one in run.reads
            ],
            outputs=[
                OutputDataset(one.namespace, one.name, facets=_facets(one), outputFacets=_written(one))
                for one in run.writes
            ],
            producer=PRODUCER,
        )


def _facets(one: Dataset) -> dict[str, DatasetFacet]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return {} if one.version is None else {"version": dataset_version_dataset.DatasetVersionDatasetFacet(one.version)}


def _judged(one: Dataset) -> dict[str, InputDatasetFacet]:
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

    found = [quality.Assertion(assertion=name, success=passed) for name, passed in sorted(one.checks.items())]
    return {"dataQualityAssertions": quality.DataQualityAssertionsDatasetFacet(found)} if found else {}


def _written(one: Dataset) -> dict[str, OutputDatasetFacet]:
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    return {} if one.rows is None else {"outputStatistics": statistics.OutputStatisticsOutputDatasetFacet(one.rows)}


def _client(chosen: Settings) -> OpenLineageClient:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.file import FileConfig, FileTransport

    url, key = chosen.engines.openlineage_url, chosen.engines.openlineage_key
    if url is None:
        path = chosen.places.at(FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        return OpenLineageClient(transport=FileTransport(FileConfig(str(path), append=True)))
    auth = {"auth": {"type": "api_key", "apiKey": key.get_secret_value()}} if key else {}
    # the client's own five tries take half a minute of a run that nobody listens to
    patience = {"timeout": 5, "retry": {"total": 1, "connect": 1, "backoff_factor": 0.3}}
    return OpenLineageClient(config={"transport": {"type": "http", "url": url, **auth, **patience}})
