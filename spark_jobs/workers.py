"""Spark as the workers of a job: it schedules tasks that read and write with Arrow, and no row enters the JVM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sluice.errors import DataError, SluiceError
from sluice.lake import storage
from sluice.lake.workers import Here
from sluice.settings import settings

if TYPE_CHECKING:
    from pyspark import SparkContext

W = TypeVar("W")
R = TypeVar("R")
_TURNS = 4
"""Tasks for each core: enough that one which is done early does not wait long for the others."""
_TOLD = re.compile(r"sluice\.errors\.(\w+): (.*?)\n(?=\n|\s+at |Traceback|Driver stacktrace|\Z)", re.DOTALL)


@contextmanager
def spark_workers(job: str) -> Iterator[SparkWorkers]:
    """Workers of one job; Spark is started when there is enough to do, and stopped at the end."""
    with ExitStack() as stack:
        yield SparkWorkers(lambda: _start(job, stack), little=settings().sizes.spark_least_rows)


class SparkWorkers:
    """Runs tasks on Spark's executors, and in this process for fewer than `little` rows; `start` is called once."""

    def __init__(self, start: Callable[[], SparkContext], *, little: int) -> None:
        self._start, self._little = start, little
        self._context: SparkContext | None = None

    def each(self, task: Callable[[W], R], work: Sequence[W], *, rows: int) -> list[R]:
        """The results in the order of the work; a DataError of a task is raised as one."""
        if rows < self._little or not work:
            return Here().each(task, work, rows=rows)
        self._context = self._context or self._start()
        placed = partial(_tidily, task, storage.told())
        try:
            return list(self._context.parallelize(work, self._tasks(len(work))).map(placed).collect())
        except Exception as error:
            ours = told(error)
            if ours is None:
                raise
            raise ours from error

    def _tasks(self, pieces: int) -> int:
        """How many tasks of Spark do the pieces: few for each core, as a task costs about 50 ms of it.

        Where executors come as they are needed, nobody knows how many cores there will be, and each piece is a task.
        """
        if self._context is None or self._context.getConf().get("spark.dynamicAllocation.enabled") == "true":
            return pieces
        return min(pieces, _TURNS * int(self._context.defaultParallelism))


def _tidily(task: Callable[[W], R], service: Mapping[str, str], piece: W) -> R:
    """The result of a task; its worker lives on, so what it needed is given back and does not add up.

    It lives longer than a job, too, and was started with the environment of the first: each task brings the service.
    """
    import ctypes
    import gc

    import pyarrow as pa

    storage.adopt(service)
    try:
        return task(piece)
    finally:
        # Spark collects garbage after each task, and would look through all that was imported, for a tenth of a second
        if not gc.get_freeze_count():
            gc.collect()
            gc.freeze()
        pa.default_memory_pool().release_unused()
        # numpy's arrays come from the C library, which keeps what is freed in pieces; only glibc can be asked for it
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def told(error: Exception) -> SluiceError | None:
    """The DataError that a task ended with; Spark hands it over as text, deep in a traceback."""
    found = _TOLD.search(f"{error}\n")
    return DataError(found[2].strip()) if found is not None and found[1] == "DataError" else None


def _start(job: str, stack: ExitStack) -> SparkContext:
    from spark_jobs.session import session

    return stack.enter_context(session(job)).sparkContext
