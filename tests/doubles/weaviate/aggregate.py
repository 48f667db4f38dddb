"""Counting."""

from typing import Any

from tests.doubles.weaviate import filters
from tests.doubles.weaviate.calls import Call
from tests.doubles.weaviate.errors import Code, Refused
from tests.doubles.weaviate.store import Store


def aggregate(store: Store, call: Call, asked: Any, answer: Any) -> None:
    """Count the objects of a tenant, or those that match a filter. Other aggregations are not served."""
    if asked.aggregations or asked.HasField("group_by") or asked.WhichOneof("search"):
        raise Refused("the double only counts", 501, Code.UNIMPLEMENTED)
    collection = store.find(asked.collection)
    matches = filters.compiled(asked.filters, collection) if asked.HasField("filters") else None
    with collection.lock:
        objects = collection.active(asked.tenant).objects
        count = len(objects) if matches is None else sum(matches(item) for item in objects.values())
    answer.single_result.SetInParent()
    if asked.objects_count:
        answer.single_result.objects_count = count
    call.objects = count
