"""The messages of vector_service.proto, and the way between them and the store's records."""

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import grpc_tools
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2
from grpc_tools import protoc

from tests.doubles.pinecone.errors import Refused
from tests.doubles.pinecone.store import Json, Record, Sparse, Vector

PROTO = Path(__file__).with_name("vector_service.proto")
PACKED = np.dtype("<f4")


def _load() -> dict[str, Any]:
    """Compile the file, and return its messages by name."""
    with tempfile.TemporaryDirectory() as directory:
        compiled = Path(directory, "set")
        known = str(files(grpc_tools).joinpath("_proto"))
        arguments = ["protoc", f"-I{PROTO.parent}", f"-I{known}", f"--descriptor_set_out={compiled}", PROTO.name]
        if protoc.main(arguments):
            raise RuntimeError(f"{PROTO.name} does not compile")
        described = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    for file in described.file:
        pool.Add(file)
    service = pool.FindServiceByName("VectorService")
    names = [message.name for message in service.file.message_types_by_name.values()]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names}


MESSAGES = _load()


def floats(packed: bytes) -> Vector | None:
    """Values off the wire, without a copy; None where there are none. Raises Refused for half a number."""
    if len(packed) % PACKED.itemsize:
        raise Refused("Vector values are malformed")
    return np.frombuffer(packed, PACKED) if packed else None


def pairs(message: Any, field: str) -> Sparse | None:
    if not message.HasField(field):
        return None
    given = getattr(message, field)
    return Sparse(np.array(given.indices, np.uint32), np.array(given.values, np.float32))


def json_of(message: Any, field: str) -> Json | None:
    """A Struct as JSON; None where it was not set."""
    return _object(getattr(message, field)) if message.HasField(field) else None


def show(record: Record, message: Any, with_values: bool = True, with_metadata: bool = True) -> None:
    """Write a record into a Vector or ScoredVector."""
    message.id = record.id
    if with_values and record.values is not None:
        message.values = record.values.astype(PACKED, copy=False).tobytes()
    if with_values and record.sparse is not None:
        message.sparse_values.indices.extend(record.sparse.indices.tolist())
        message.sparse_values.values.extend(record.sparse.values.tolist())
    if with_metadata and record.metadata:
        fields = message.metadata.fields
        for key, value in record.metadata.items():
            _set(fields[key], value)


def _set(message: Any, value: Any) -> None:
    if isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, list):
        message.list_value.SetInParent()  # or an empty one would not be there at all
        for item in value:
            message.list_value.values.add().string_value = item
    else:
        message.number_value = value


def _object(struct: Any) -> Json:
    return {key: _value(value) for key, value in struct.fields.items()}


def _value(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "struct_value":
        return _object(message.struct_value)
    if kind == "list_value":
        return [_value(item) for item in message.list_value.values]
    return None if kind in (None, "null_value") else getattr(message, kind)
