"""What a Spark job ended with is told as the error that it was."""

from __future__ import annotations

import pytest

from sluice.errors import DataError, GateStopped, Outage, ServiceDown, SettingsError, SluiceError, UserError
from sluice.local.spark import failure

pytestmark = pytest.mark.unit

STOPPED = "26/11/27 WARN Utils\nGateStopped: batch 'b': orders: count: 1 rows\n  next: ingest it again\n"


WARNED = "WARNING: Using incubator modules: jdk.incubator.vector\n"


@pytest.mark.parametrize(
    ("code", "told", "kind", "message"),
    [
        (3, (STOPPED, ""), GateStopped, "batch 'b': orders: count: 1 rows\n  next: ingest it again"),
        (3, ("", STOPPED), GateStopped, "batch 'b': orders: count: 1 rows\n  next: ingest it again"),
        (2, ("UserError: --file: no such file",), UserError, "--file: no such file"),
        (2, ("SettingsError: SLUICE_ERASURE_KEY: another key", WARNED), SettingsError, "another key"),
        (4, ("Outage: other processes were faster",), Outage, "other processes were faster"),
        (4, ("ServiceDown: b:9092: Kafka does not answer\n", WARNED), ServiceDown, "b:9092: Kafka does not answer"),
        (3, ("DataError: first\nDataError: last",), DataError, "last"),
        (1, ("much ado", "Traceback (most recent call last)\nValueError: x"), DataError, "ValueError: x"),
        (1, ("", "java: not found"), DataError, "java: not found"),
        (1, ("", ""), DataError, "it ended without a word"),
    ],
)
def test_a_jobs_own_error_is_found_in_what_it_wrote(
    code: int, told: tuple[str, ...], kind: type[SluiceError], message: str
) -> None:
    found = failure("ingest", code, *told)
    assert type(found) is kind
    assert str(found).startswith("spark_jobs/ingest.py: ")
    assert str(found).endswith(message)


@pytest.mark.parametrize(("code", "kind"), [(1, DataError), (2, UserError), (3, DataError), (4, Outage)])
def test_without_a_message_a_jobs_exit_code_says_whose_turn_it_is(code: int, kind: type[SluiceError]) -> None:
    found = failure("ingest", code, "ingest: error: unrecognized arguments: --x\n", "")
    assert type(found) is kind
    assert str(found) == "spark_jobs/ingest.py: ingest: error: unrecognized arguments: --x"
