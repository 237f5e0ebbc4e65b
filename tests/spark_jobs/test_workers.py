"""What a task on Spark ended with is raised: a DataError as one, anything else as it was, at the end of its chain."""

from __future__ import annotations

from typing import Any, Self

import pytest

from sluice.errors import DataError, known
from spark_jobs.workers import SparkWorkers

pytestmark = pytest.mark.unit


class Context:
    """Spark as far as its workers need it; what it collects is an error."""

    defaultParallelism = 2  # noqa: N815 Spark's name

    def __init__(self, error: Exception) -> None:
        self._error = error

    def getConf(self) -> dict[str, str]:  # noqa: N802 Spark's name
        return {}

    def parallelize(self, *_: Any) -> Self:
        return self

    def map(self, *_: Any) -> Self:
        return self

    def collect(self) -> list[Any]:
        raise self._error


def ended(error: Exception) -> Exception:
    workers = SparkWorkers(lambda: Context(error), little=0)
    with pytest.raises(Exception, match=r".") as raised:
        workers.each(str, [1, 2], rows=2)
    return raised.value


def test_a_data_error_of_a_task_is_raised_as_one() -> None:
    told = "Traceback (most recent call last):\nsluice.errors.DataError: a.parquet: torn\n  next: mend it\n\n at scala"
    found = ended(RuntimeError(told))
    assert type(found) is DataError
    assert str(found) == "a.parquet: torn\n  next: mend it"


def test_any_other_error_is_raised_as_it_was_and_is_none_of_ours() -> None:
    error = RuntimeError("Traceback (most recent call last):\nOSError: gone\n")
    assert ended(error) is error
    assert (known(error), error.__cause__) == (None, None)
