"""The network on the Handbook's own split: its test week, with the features of the kernel."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from feature_repo.handbook import pipeline
from flows.train import model_inputs
from models.request import NETWORK, TrainingRequest, TrainingResult
from models.split import Interval, Part, Split
from models.train import train
from sluice.clock import from_datetime
from sluice.declare.durations import DAY
from sluice.engine.vectors import vectors
from tests.sluice.engine.book import book_folder, labels, transactions

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


def midnight(month: int, day: int) -> int:
    return from_datetime(dt.datetime(2018, month, day, tzinfo=dt.UTC))


SPLIT = Split(
    Interval(midnight(7, 25), midnight(8, 1)), Interval(midnight(8, 8), midnight(8, 15)), delay=7 * DAY, validation=None
)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """The vectors of the three weeks from the 25th of July on, from all of history before them."""
    rows = pq.read_table(book_folder() / "transactions.parquet")
    times = rows["TX_DATETIME"].cast(pa.int64()).to_numpy()
    rows = rows.filter(pa.array(times < SPLIT.test.end))
    asked = rows.filter(pa.array(times[times < SPLIT.test.end] >= SPLIT.train.start))
    encoded = transactions(asked)
    events = {"transactions": transactions(rows), "transactions_is_fraud": labels(rows)}
    columns = {
        "event_id": encoded["_id"],
        "event_time": encoded["_time"],
        "segment": pa.array(["*"] * len(encoded)),
        "label": asked["TX_FRAUD"],
        "customer_id": asked["CUSTOMER_ID"],
    }
    computed = vectors(pipeline, events, encoded)
    return pa.table({**columns, **dict(zip(computed.column_names, computed.columns, strict=True))})


@pytest.fixture(scope="module")
def result(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    home: Path = tmp_path_factory.mktemp("handbook")
    plan = pipeline.training
    return train(
        TrainingRequest(
            pipeline=pipeline.name,
            table=table,
            inputs=model_inputs(pipeline),
            split=SPLIT,
            card="customer_id",
            segments=("*",),
            data_version="vectors@0",
            definition_hash=pipeline.definition,
            code_version="0",
            tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
            store=home / "store",
            yardstick="moment__amount",
            algorithms=(replace(NETWORK, hidden=tuple(plan.hidden), epochs=plan.epochs, batch=plan.batch),),
        )
    )


def test_the_split_is_the_books(table: pa.Table) -> None:
    times, cards, told = (np.asarray(table[name]) for name in ("event_time", "customer_id", "label"))
    parts = SPLIT.parts(times, cards, told)
    counted = {part: (int((parts == part).sum()), int(told[parts == part].sum())) for part in (Part.TRAIN, Part.TEST)}
    assert counted == {Part.TRAIN: (67_240, 598), Part.TEST: (58_264, 385)}


def test_the_average_precision_of_the_test_week_is_at_least_six_tenths(result: TrainingResult) -> None:
    (model,) = result.models
    assert (model.test.rows, model.test.frauds) == (58_264, 385)
    assert model.test.average_precision >= 0.60
    assert model.test.average_precision > model.metrics["yardstick"].average_precision + 0.3


def test_no_input_of_a_model_tells_the_label(table: pa.Table) -> None:
    names = {each.name for each in model_inputs(pipeline)}
    assert names <= set(table.column_names) - {"label"}
    assert not any(pc.equal(table[name], table["label"].cast(table[name].type)) == table["label"] for name in names)
