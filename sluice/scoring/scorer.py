"""A trained model in a process: LiteRT interpreters over one folder, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sluice.errors import DataError
from sluice.scoring.inputs import Columns, Float64s, Vectors
from sluice.scoring.spec import MODEL_FILE, ModelSpec
from sluice.scoring.tensor import Float32s, to_tensor

BUCKETS = (1, 8, 32, 256, 1024)


class Graph:
    """A LiteRT graph ready to run; not thread-safe, so every loop or thread opens its own.

    An interpreter has a fixed batch size, and changing it allocates: there is one per bucket, a batch is padded to the
    nearest, and a row's answer does not depend on the rows beside it.
    """

    def __init__(self, model: bytes, width: int, *, buckets: Sequence[int] = BUCKETS) -> None:
        self._buckets = tuple(_Bucket.open(model, size, width) for size in sorted(buckets))

    def run(self, tensor: Float32s) -> Float64s:
        """The graph's answers [n] to a tensor [n, k]."""
        answers = np.empty(len(tensor), dtype=np.float64)
        for start, bucket in self._chunks(len(tensor)):
            rows = tensor[start : start + bucket.size]
            answers[start : start + len(rows)] = bucket.run(rows)
        return answers

    def _chunks(self, rows: int) -> Iterator[tuple[int, _Bucket]]:
        start = 0
        while start < rows:
            left = rows - start
            bucket = next((each for each in self._buckets if each.size >= left), self._buckets[-1])
            yield start, bucket
            start += bucket.size


class Scorer:
    """Scores vectors with one model; not thread-safe, so every loop or thread loads its own."""

    def __init__(self, spec: ModelSpec, graph: Graph) -> None:
        self.spec = spec
        self._graph = graph

    @classmethod
    def load(cls, folder: Path | str, *, buckets: Sequence[int] = BUCKETS) -> Scorer:
        """The model in a folder of `spec.json` and `model.tflite`; DataError if one is missing or they disagree."""
        spec = ModelSpec.load(Path(folder))
        model = Path(folder) / MODEL_FILE
        if not model.is_file():
            raise DataError(f"no model here: {MODEL_FILE} is missing", where=str(folder))
        return cls(spec, Graph(model.read_bytes(), len(spec.inputs), buckets=buckets))

    def score(self, tensor: Float32s) -> Float64s:
        """Calibrated probabilities [n] of a tensor [n, k] made by `to_tensor`."""
        return self._graph.run(tensor)

    def score_vectors(self, source: Vectors | Columns) -> Float64s:
        """Calibrated probabilities [n] of packed vectors or of named columns."""
        return self.score(to_tensor(source, self.spec.inputs))

    def decide(self, probabilities: Float64s | Sequence[float]) -> list[str]:
        """The decision label of each probability, by the model's thresholds."""
        return self.spec.decide(probabilities)


@dataclass(slots=True)
class _Bucket:
    size: int
    interpreter: Any
    input: int
    output: int
    padded: Float32s

    @classmethod
    def open(cls, model: bytes, size: int, width: int) -> _Bucket:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=model, num_threads=1)
        taken = interpreter.get_input_details()[0]
        if int(taken["shape_signature"][1]) != width:
            raise DataError(f"the graph takes {taken['shape_signature'][1]} inputs, its spec says {width}")
        interpreter.resize_tensor_input(taken["index"], [size, width])
        interpreter.allocate_tensors()
        given = interpreter.get_output_details()[0]["index"]
        return cls(size, interpreter, taken["index"], given, np.zeros((size, width), dtype=np.float32))

    def run(self, rows: Float32s) -> Float32s:
        if len(rows) < self.size:
            self.padded[: len(rows)] = rows
            rows_in, count = self.padded, len(rows)
        else:
            rows_in, count = rows, self.size
        self.interpreter.set_tensor(self.input, rows_in)
        self.interpreter.invoke()
        answers: Float32s = self.interpreter.get_tensor(self.output)[:count, 0]
        return answers
