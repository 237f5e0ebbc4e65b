"""A training set as tf.Example shards, written and read through tfx-bsl, always in the same number of shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.split import Int8s, Part
from sluice.errors import DataError
from sluice.scoring import Bools, Float32s, Float64s, Input, Int64s, pack, to_tensor

SHARDS = 4
"""Logical shards: sums run over them in order, so their number is part of a model's identity and workers' is not."""

_ROW, _LABEL, _PART, _SEGMENT = "_row", "_label", "_part", "_segment"
_BATCH = 8_192


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one logical shard, or some of them: tensor [n, k], and [n] each of the rest.

    `places` are row numbers of the sorted table.
    """

    tensor: Float32s
    labels: Int8s
    parts: Int8s
    segments: NDArray[np.str_]
    places: Int64s

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: Bools) -> Rows:
        """Those of the rows for which the mask is true, in the same order."""
        return Rows(self.tensor[mask], self.labels[mask], self.parts[mask], self.segments[mask], self.places[mask])

    def of(self, parts: Sequence[Part], segment: str | None) -> Rows:
        """The rows of these parts and this segment; None is every segment."""
        mask = np.isin(self.parts, parts)
        return self.where(mask if segment is None else mask & (self.segments == segment))


def write_shards(
    table: pa.Table, parts: Int8s, inputs: Sequence[Input], folder: Path, *, shards: int = SHARDS
) -> tuple[str, ...]:
    """Write every row that has a part as a tf.Example, row i of the sorted table into shard i mod `shards`.

    Numbers become float features (tf.Example knows no wider float, which is what `to_tensor` makes of them anyway),
    categories int64 features, null is an absent feature. Returns the shards' paths in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = np.flatnonzero(parts != Part.OUTSIDE)
    paths = []
    for shard in range(shards):
        mine = places[places % shards == shard]
        path = folder / f"examples-{shard:05d}-of-{shards:05d}.tfrecord"
        _write(path, _batch(table.take(pa.array(mine)), parts[mine], mine, inputs), inputs)
        paths.append(str(path))
    return tuple(paths)


def read_shard(path: str, inputs: Sequence[Input]) -> Rows:
    """The rows of one shard in the order they were written; DataError when it holds none."""
    from tfx_bsl.public.tfxio import RecordBatchesOptions, TFExampleRecord

    source = TFExampleRecord(file_pattern=[path], schema=_schema(inputs), telemetry_descriptors=["sluice"])
    options = RecordBatchesOptions(batch_size=_BATCH, num_epochs=1, shuffle=False)  # it shuffles unless told
    batches = list(source.RecordBatches(options))
    if not batches:
        raise DataError("the shard holds no rows", where=path, next_step="check the training's dates and segments")
    return _rows(pa.Table.from_batches(batches), inputs)


def _schema(inputs: Sequence[Input]) -> Any:
    """What tfx-bsl must know of the features: name and type."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    kinds = {each.name: schema_pb2.FLOAT if each.kind == "number" else schema_pb2.INT for each in inputs}
    kinds |= dict.fromkeys((_ROW, _LABEL, _PART), schema_pb2.INT) | {_SEGMENT: schema_pb2.BYTES}
    return schema_pb2.Schema(feature=[schema_pb2.Feature(name=name, type=kind) for name, kind in kinds.items()])


def _batch(table: pa.Table, parts: Int8s, places: Int64s, inputs: Sequence[Input]) -> pa.RecordBatch:
    vectors = pack(table, inputs)
    columns = {}
    for place, each in enumerate(inputs):
        words = np.ascontiguousarray(vectors.words[:, place])
        values = _float32(words.view(np.float64)) if each.kind == "number" else words
        columns[each.name] = _lists(values, ~vectors.nulls[:, place])
    segments = np.asarray(table["segment"]).astype("S")
    fixed = {_ROW: places, _LABEL: np.asarray(table["label"]).astype(np.int64), _PART: parts.astype(np.int64)}
    columns |= {name: _lists(values, np.ones(len(values), dtype=bool)) for name, values in fixed.items()}
    columns[_SEGMENT] = pa.array([[segment] for segment in segments.tolist()], pa.list_(pa.binary()))
    return pa.RecordBatch.from_pydict(columns)


def _float32(numbers: Float64s) -> Float32s:
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def _lists(values: NDArray[Any], valid: Bools) -> pa.ListArray:
    """One list per row: of one value, or null."""
    offsets = np.concatenate([[0], np.cumsum(valid)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[valid]), mask=pa.array(~valid))


def _write(path: Path, batch: pa.RecordBatch, inputs: Sequence[Input]) -> None:
    import tensorflow as tf
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

    encoder = RecordBatchToExamplesEncoder(_schema(inputs))
    with tf.io.TFRecordWriter(str(path)) as writer:
        for start in range(0, batch.num_rows, _BATCH):
            for example in encoder.encode(batch.slice(start, _BATCH)):
                writer.write(example)


def _rows(table: pa.Table, inputs: Sequence[Input]) -> Rows:
    columns = dict(_columns(table))
    return Rows(
        tensor=to_tensor({each.name: columns[each.name] for each in inputs}, inputs),
        labels=columns[_LABEL][0].astype(np.int8),
        parts=columns[_PART][0].astype(np.int8),
        segments=np.asarray(columns[_SEGMENT][0]).astype(np.str_),
        places=columns[_ROW][0].astype(np.int64),
    )


def _columns(table: pa.Table) -> Iterator[tuple[str, tuple[NDArray[Any], Bools]]]:
    """Each feature as values and validity; an absent feature is a null or an empty list."""
    for name in table.column_names:
        lists = table[name].combine_chunks()
        valid = np.asarray(lists.value_lengths().fill_null(0)) > 0
        flat = np.asarray(lists.flatten())
        values = np.zeros(len(valid), dtype=flat.dtype)
        values[valid] = flat
        yield name, (values, valid)
