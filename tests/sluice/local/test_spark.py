"""What a Spark job ended with is told as the error that it was."""

from __future__ import annotations

import pytest

from sluice.errors import DataError, GateStopped, Outage, SluiceError, UserError
from sluice.local.spark import failure

pytestmark = pytest.mark.unit

STOPPED = "26/11/27 WARN Utils\nGateStopped: batch 'b': orders: count: 1 rows\n  next: ingest it again\n"


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        ((STOPPED, ""), GateStopped, "batch 'b': orders: count: 1 rows\n  next: ingest it again"),
        (("", STOPPED), GateStopped, "batch 'b': orders: count: 1 rows\n  next: ingest it again"),
        (("UserError: --file: no such file",), UserError, "--file: no such file"),
        (("Outage: other processes were faster",), Outage, "other processes were faster"),
        (("DataError: first\nDataError: last",), DataError, "last"),
        (("much ado", "Traceback (most recent call last)\nValueError: x"), DataError, "ValueError: x"),
        (("", "java: not found"), DataError, "java: not found"),
        (("", ""), DataError, "it ended without a word"),
    ],
)
def test_a_jobs_own_error_is_found_in_what_it_wrote(
    told: tuple[str, ...], kind: type[SluiceError], message: str
) -> None:
    found = failure("ingest", *told)
    assert type(found) is kind
    assert str(found).startswith("spark_jobs/ingest.py: ")
    assert str(found).endswith(message)
