"""Protobuf: a message as the descriptor of its file says, with the names of the .proto file and the types of JSON.

A schema's text is a `FileDescriptorProto` in base64, which registries give for `?format=serialized`: message classes
are made from it, and no compiler is needed.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError

from sluice.lake.rowfiles import bytes_as_text

_OWN = "google.protobuf."
_WRAPPERS = {f"{_OWN}{name}" for name in wrappers_pb2.DESCRIPTOR.message_types_by_name}
_KNOWN = {
    module.DESCRIPTOR.name: module.DESCRIPTOR
    for module in (
        any_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )
}
"""Files that every registry takes for granted."""
_DEEPEST = 32
"""How many messages may be inside each other in the place of a message type."""
_MAIN = "sluice/main.proto"


def reader(text: str, references: Sequence[tuple[str, str]]) -> Callable[[bytes], dict[str, Any]]:
    """Reads the messages of a schema; ValueError for a text that is no descriptor, and for bytes that are no message.

    Which type of the file a message has its first bytes say. A field that is not there and may be absent is absent; one
    that cannot be told from its default is that.
    """
    types = _types(text, references)

    def read(body: bytes) -> dict[str, Any]:
        path, rest = _place(body)
        try:
            return _row(message_factory.GetMessageClass(_at(types, path)).FromString(rest))
        except (DecodeError, RecursionError, TypeError) as error:
            raise ValueError("no message of the schema") from error

    return read


def descriptor_of(text: str) -> descriptor_pb2.FileDescriptorProto:
    """The file that a schema's text describes; ValueError for a text that describes none, such as .proto source."""
    try:
        return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except DecodeError as error:
        raise ValueError("no descriptor") from error


def _types(text: str, references: Sequence[tuple[str, str]]) -> list[Any]:
    """The message types of a schema's file, in its order."""
    pool = descriptor_pool.DescriptorPool()
    there: set[str] = set()
    try:
        for name, referenced in [*references, (_MAIN, text)]:
            file = descriptor_of(referenced)
            file.name = name
            for needed in _needed(file, there):
                pool.Add(needed)
            pool.Add(file)
            there.add(name)
        messages = pool.FindFileByName(_MAIN).message_types_by_name
    except (KeyError, TypeError) as error:
        raise ValueError("no schema that can be built") from error
    return list(messages.values())


def _needed(file: descriptor_pb2.FileDescriptorProto, there: set[str]) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    """The files that a file imports and nobody added; empty ones, of options that we do not read, where none is known.

    A type that is missing in such a file is refused when the importing file is added.
    """
    for name in file.dependency:
        if name not in there:
            there.add(name)
            found = descriptor_pb2.FileDescriptorProto(name=name)
            if name in _KNOWN:
                _KNOWN[name].CopyToProto(found)
            yield found


def _place(body: bytes) -> tuple[list[int], bytes]:
    """Which message type it is, as its place among those of the file and then within each, and the message itself."""
    count, at = _number(body, 0)
    if not 0 <= count <= _DEEPEST:
        raise ValueError("no place of a message type")
    path = []
    for _ in range(count):
        index, at = _number(body, at)
        path.append(index)
    # a message of the first type, by far the most frequent, has nothing but the count 0
    return path or [0], body[at:]


def _number(body: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint and where it ends."""
    value = shift = 0
    while at < len(body) and shift < 64:
        byte = body[at]
        value, at, shift = value | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
    raise ValueError("no number")


def _at(types: Sequence[Any], path: Sequence[int]) -> Any:
    found: Any = None
    for index in path:
        if not 0 <= index < len(types):
            raise ValueError("no message type at that place")
        found, types = types[index], types[index].nested_types
    return found


def _row(message: Any) -> dict[str, Any]:
    return {
        name: getattr(message, name) if field is None else _several(field, getattr(message, name))
        for name, may_be_absent, field in _fields(message.DESCRIPTOR)
        if not may_be_absent or message.HasField(name)
    }


@functools.lru_cache(maxsize=1024)
def _fields(message: Any) -> list[tuple[str, bool, Any]]:
    """Name of each field, whether it can be absent, and the field itself unless its values are what JSON has."""
    return [(field.name, field.has_presence, None if _is_plain(field) else field) for field in message.fields]


def _is_plain(field: Any) -> bool:
    of_types = field.enum_type is not None or field.message_type is not None or field.type == field.TYPE_BYTES
    return not of_types and not field.is_repeated


def _several(field: Any, value: Any) -> Any:
    if not field.is_repeated:
        return _plain(field, value)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        held = entry.fields_by_name["value"]
        return {str(key): _plain(held, value[key]) for key in value}
    return [_plain(field, item) for item in value]


def _plain(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    if field.message_type is not None:
        return _message(field.message_type.full_name, value)
    return bytes_as_text(value) if isinstance(value, bytes) else value


def _message(name: str, value: Any) -> Any:
    if name in _WRAPPERS:
        return bytes_as_text(value.value) if isinstance(value.value, bytes) else value.value
    if name.startswith(_OWN):
        return json_format.MessageToDict(value)
    return _row(value)
