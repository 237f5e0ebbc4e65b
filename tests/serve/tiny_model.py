"""A logistic regression as a real LiteRT file, assembled operator by operator: no TensorFlow is needed to make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from serve.routing import Model
from sluice.declare.pipeline import Pipeline
from sluice.scoring import MODEL_FILE, Calibration, Input, ModelSpec, Threshold


def make_model(
    folder: Path,
    pipeline: Pipeline,
    segment: str = "*",
    version: int = 1,
    *,
    bias: float = 0.0,
    weights: Mapping[str, float] | None = None,
    definition: str | None = None,
) -> Model:
    """Write a model of the pipeline's whole vector that scores `sigmoid(bias + sum of weight * input)`, null as 0."""
    folder.mkdir(parents=True)
    inputs = [_input(feature.name, feature.kind, feature.size) for feature in pipeline.features]
    row = [(weights or {}).get(each.name, 0.0) for each in inputs]
    (folder / MODEL_FILE).write_bytes(logistic(row, bias))
    spec = ModelSpec(
        name=f"{pipeline.name}-{'all' if segment == '*' else segment}",
        segment=segment,
        algorithm="logistic",
        inputs=tuple(inputs),
        thresholds=(Threshold("approve", 0.0), Threshold("review", 0.5), Threshold("block", 0.9)),
        calibration=Calibration(),
        definition_hash=definition or pipeline.definition,
        data_version="test",
        code_version="test",
        weights_hash="test",
        version=version,
    )
    spec.save(folder)
    return Model(spec.name, str(version), folder.as_uri(), spec.definition_hash)


def logistic(weights: Sequence[float], bias: float) -> bytes:
    """The file: is a value NaN (x != x)? then 0 (SELECT_V2), a dense layer, LOGISTIC."""
    row = np.array([weights], np.float32)
    buffers = [b"", np.zeros(1, np.float32).tobytes(), row.tobytes(), np.array([bias], np.float32).tobytes()]
    width = len(weights)
    tensors = [
        _tensor("inputs", [1, width], signature=[-1, width]),
        _tensor("zero", [1], buffer=1),
        _tensor("weights", [1, width], buffer=2),
        _tensor("bias", [1], buffer=3),
        _tensor("is_null", [1, width], signature=[-1, width], kind=tfl.TensorType.BOOL),
        _tensor("filled", [1, width], signature=[-1, width]),
        _tensor("logit", [1, 1], signature=[-1, 1]),
        _tensor("probability", [1, 1], signature=[-1, 1]),
    ]
    operators = [
        _operator(0, [0, 0], [4], tfl.BuiltinOptions.NotEqualOptions, tfl.NotEqualOptionsT()),
        _operator(1, [4, 1, 0], [5], tfl.BuiltinOptions.SelectV2Options, tfl.SelectV2OptionsT()),
        _operator(2, [5, 2, 3], [6], tfl.BuiltinOptions.FullyConnectedOptions, tfl.FullyConnectedOptionsT()),
        _operator(3, [6], [7], tfl.BuiltinOptions.NONE, None),
    ]
    return _file(buffers, tensors, operators)


def _input(name: str, kind: str, size: int | None) -> Input:
    if kind == "number":
        return Input(name, "number")
    return Input(name, "category", size or 16, open=size is None)


def _tensor(
    name: str,
    shape: list[int],
    *,
    buffer: int = 0,
    signature: list[int] | None = None,
    kind: int = tfl.TensorType.FLOAT32,
) -> tfl.TensorT:
    tensor = tfl.TensorT()
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name.encode(), shape, buffer, kind
    tensor.shapeSignature = signature or shape
    return tensor


def _operator(code: int, inputs: list[int], outputs: list[int], kind: int, options: object) -> tfl.OperatorT:
    operator = tfl.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator


def _file(buffers: list[bytes], tensors: list[tfl.TensorT], operators: list[tfl.OperatorT]) -> bytes:
    graph = tfl.SubGraphT()
    graph.name, graph.tensors, graph.operators, graph.inputs, graph.outputs = b"main", tensors, operators, [0], [7]
    model = tfl.ModelT()
    model.version, model.description, model.subgraphs = 3, b"test", [graph]
    model.buffers = [_buffer(data) for data in buffers]
    kinds = tfl.BuiltinOperator
    model.operatorCodes = [_code(k) for k in (kinds.NOT_EQUAL, kinds.SELECT_V2, kinds.FULLY_CONNECTED, kinds.LOGISTIC)]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _buffer(data: bytes) -> tfl.BufferT:
    buffer = tfl.BufferT()
    buffer.data = np.frombuffer(data, np.uint8) if data else None
    return buffer


def _code(kind: int) -> tfl.OperatorCodeT:
    code = tfl.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 1
    return code
