from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.examples import SHARDS, read_shard, write_shards
from models.split import Part
from sluice.errors import DataError
from sluice.scoring import Input, to_tensor

pytestmark = pytest.mark.integration

INPUTS = (Input("amount", "number"), Input("channel", "category", 3), Input("country", "category", 16, open=True))


def table(rows: int) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "segment": pa.array(np.array(["pos", "atm"])[np.arange(rows) % 2]),
            "label": pa.array((np.arange(rows) % 3 == 0).astype(np.int8)),
            "amount": pa.array(rng.lognormal(3, 2, rows), mask=rng.random(rows) < 0.3),
            "channel": pa.array(rng.integers(0, 3, rows), mask=rng.random(rows) < 0.3),
            "country": pa.array(rng.integers(-(2**63), 2**63 - 1, rows), mask=rng.random(rows) < 0.3),
        }
    )


def test_shards_hold_every_row_once_in_order_and_give_the_tensor_that_serving_makes(tmp_path: Path) -> None:
    rows = table(1_003)
    parts = np.where(np.arange(1_003) < 5, Part.OUTSIDE, np.arange(1_003) % 4).astype(np.int8)
    paths = write_shards(rows, parts, INPUTS, tmp_path)
    served = to_tensor(rows, INPUTS)
    assert len(paths) == SHARDS
    for shard, path in enumerate(paths):
        found = read_shard(path, INPUTS)
        expected = [place for place in range(5, 1_003) if place % SHARDS == shard]
        assert found.places.tolist() == expected
        assert found.tensor.tobytes() == served[expected].tobytes()
        assert found.labels.tolist() == [int(place % 3 == 0) for place in expected]
        assert found.segments.tolist() == [["pos", "atm"][place % 2] for place in expected]
        assert found.parts.tolist() == [place % 4 for place in expected]


def test_a_column_without_any_value_is_read_back_as_missing(tmp_path: Path) -> None:
    empty = table(20).set_column(2, "amount", pa.nulls(20, pa.float64()))
    paths = write_shards(empty, np.zeros(20, dtype=np.int8), INPUTS, tmp_path)
    assert np.isnan(read_shard(paths[0], INPUTS).tensor[:, 0]).all()


def test_a_selection_keeps_parts_and_segments_apart(tmp_path: Path) -> None:
    parts = np.repeat([Part.TRAIN, Part.TEST], 8).astype(np.int8)
    (path,) = write_shards(table(16), parts, INPUTS, tmp_path, shards=1)
    rows = read_shard(path, INPUTS)
    assert rows.of([Part.TEST], "pos").places.tolist() == [8, 10, 12, 14]
    assert len(rows.of([Part.TRAIN, Part.TEST], None)) == 16


def test_a_shard_without_rows_is_refused(tmp_path: Path) -> None:
    paths = write_shards(table(2), np.zeros(2, dtype=np.int8), INPUTS, tmp_path)
    with pytest.raises(DataError, match="holds no rows"):
        read_shard(paths[3], INPUTS)
