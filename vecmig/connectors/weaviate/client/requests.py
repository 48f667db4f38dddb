"""The messages that are sent to Weaviate, and records made of its answers."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from vecmig.connectors.weaviate.client.proto import base_pb2, search_get_pb2
from vecmig.connectors.weaviate.schema.layout import Layout
from vecmig.connectors.weaviate.schema.names import ID, JSON, UNNAMED

SINGLE = base_pb2.Vectors.VECTOR_TYPE_SINGLE_FP32


class Record(NamedTuple):
    """An object as an answer has it. `vectors`: by their names there, those that it has, as little-endian float32."""

    uuid: str
    fields: Any
    vectors: dict[str | None, bytes]
    updated_s: int  # when it was last written, by the server's clock


def search(layout: Layout, tenant: str | None, limit: int, **more: Any) -> Any:
    """Return a request for objects; what it is to give, and of which, as keywords."""
    return search_get_pb2.SearchRequest(
        collection=layout.stored,
        tenant=tenant or "",
        limit=limit,
        uses_123_api=True,
        uses_125_api=True,
        uses_127_api=True,
        **more,
    )


def whole(layout: Layout, vectors: Iterable[str | None]) -> dict[str, Any]:
    """Return what asks for all properties and these vectors."""
    names = list(vectors)
    named = [name for name in names if name is not None]
    metadata = search_get_pb2.MetadataRequest(
        uuid=True, vector=None in names, vectors=named, last_update_time_unix=True
    )
    return {"metadata": metadata, "properties": _properties(layout)}


def only_ids(layout: Layout) -> Any:
    """Return the properties that say a record's own id."""
    return search_get_pb2.PropertiesRequest(non_ref_properties=[ID] if layout.has_id else [])


def by_uuid(layout: Layout, uuids: Sequence[str]) -> Any:
    """Return the filter that these objects pass.

    The server finds an object by its UUID as that was sent, though it gives all in small letters (seen on 1.38): what
    others wrote in capitals is asked for so, too.
    """
    spellings = uuids if layout.collection.mark is not None else [*uuids, *map(str.upper, uuids)]
    return base_pb2.Filters(
        operator=base_pb2.Filters.OPERATOR_CONTAINS_ANY,
        target=base_pb2.FilterTarget(property="_id"),
        value_text_array=base_pb2.TextArray(values=spellings),
    )


def records(answer: Any) -> list[Record]:
    return [_record(each) for each in answer.results]


def uuid_of(metadata: Any) -> str:
    if not (raw := metadata.id_as_bytes):
        return str(metadata.id)
    text = raw.hex()  # by way of a UUID it takes eight times as long
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def own_id(uuid: str, fields: Any) -> str:
    """Return the id that the record had before it was in Weaviate."""
    kept = fields[ID].text_value if ID in fields else ""
    return kept or uuid


def _properties(layout: Layout) -> Any:
    """Return what asks for all properties: an object as a whole, or part by part where it holds blobs.

    As a whole it comes without blobs, part by part without what begins with a capital letter (see `unread`).
    """
    names = [each.name for each in layout.properties if not each.has_nested_blob]
    names += [name for name, there in ((ID, layout.has_id), (JSON, layout.has_json)) if there]
    objects = [_nested(each) for each in layout.properties if each.has_nested_blob]
    return search_get_pb2.PropertiesRequest(non_ref_properties=names, object_properties=objects)


def _nested(each: Any) -> Any:
    return search_get_pb2.ObjectPropertiesRequest(
        prop_name=each.name,
        primitive_properties=[child.name for child in each.nested if not child.type.startswith("object")],
        object_properties=[_nested(child) for child in each.nested if child.type.startswith("object")],
    )


def _record(result: Any) -> Record:
    metadata = result.metadata
    vectors: dict[str | None, bytes] = {each.name or UNNAMED: each.vector_bytes for each in metadata.vectors}
    if unnamed := metadata.vector_bytes:
        vectors[None] = unnamed
    return Record(
        uuid_of(metadata), result.properties.non_ref_props.fields, vectors, metadata.last_update_time_unix // 1000
    )
