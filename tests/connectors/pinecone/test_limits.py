"""Each limit of Pinecone on both sides: what is just within it is taken as it is, what is just beyond is refused or cut.

Those of ids, metadata and sparse vectors are in test_ids.py, test_metadata.py and test_writing.py, that of an index's name
in tests/end_to_end/test_pinecone_failures.py.
"""

from collections.abc import Sequence
from urllib.parse import quote

import numpy as np
import pytest

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import PLAIN, asked, batch, ids, pages, plant
from tests.doubles.pinecone import Double
from vecmig.connectors.pinecone.client.api import Api
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.limits import MAX_REQUEST_BYTES, refusals
from vecmig.connectors.pinecone.records.fetching import pieces
from vecmig.connectors.pinecone.records.write import RECORD_BYTES
from vecmig.model.batch import Key
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.protocols import Search

MARK = "vecmig:test"


def api(connector: PineconeConnector) -> Api:
    return connector._open("docs").api


def sent(double: Double, operation: str) -> list[int]:
    """Return how many records each request of a kind was about."""
    return sorted(each.records for each in double.requests if each.operation == operation)


def test_a_vector_has_20_000_dimensions(double: Double, connect: Connect) -> None:
    within, beyond = (Collection("docs", (VectorField("", d, "cosine"),), mark=MARK) for d in (20_000, 20_001))
    assert not refusals(within, None)
    assert "20,001 dimensions, an index at most 20,000" in " ".join(refusals(beyond, None))
    connector = connect("docs")
    connector.create(within)
    assert not connector.upsert("docs", batch([{}, {}], within))
    assert double.store.find("docs").dimension == 20_000


@pytest.mark.parametrize(("name", "is_taken"), [("é" * 32, True), ("é" * 32 + "x", False)])
def test_the_name_of_a_field_has_64_bytes(connect: Connect, name: str, is_taken: bool) -> None:
    declared = Collection("docs", (VectorField(name, 3, "cosine"),), mark=MARK)
    assert bool(refusals(declared, "documents")) != is_taken
    if is_taken:
        connector = connect("docs", kind="documents")
        connector.create(declared)
        assert not connector.upsert("docs", batch([{}], declared))


@pytest.mark.parametrize("kind", ["vectors", "documents"])
def test_the_name_of_a_namespace_has_512_characters(double: Double, connect: Connect, kind: str) -> None:
    connector = connect("docs", kind=kind)
    connector.create(PLAIN)
    rejected = connector.upsert("docs", batch([{"namespace": "n" * 512}, {"namespace": "n" * 513}]))
    assert [each.key.namespace for each in rejected] == ["n" * 513]
    connector.settle("docs", {"n" * 512: 1}, timeout_s=10)
    assert connector.count("docs") == {"n" * 512: 1}
    assert ids(pages(connector)) == ["r0"]


def fields(count: int) -> tuple[Field, ...]:
    return tuple(Field(f"a_field_with_a_name_of_forty_bytes_{n:05}", "text[]", filter=True) for n in range(count))


def test_the_types_of_fields_take_the_tags_that_an_index_has(double: Double, connect: Connect) -> None:
    declared = [Collection("docs", PLAIN.vectors, fields(count), MARK) for count in range(60)]
    most = max(count for count, each in enumerate(declared) if not refusals(each, None))
    assert 20 < most < 59
    assert "have no room in the 20 tags of an index" in " ".join(refusals(declared[most + 1], None))
    connect("docs").create(declared[most])
    tags = double.store.find("docs").tags
    assert len(tags) == 20
    assert max(map(len, tags.values())) == 120
    described = connect("docs").describe("docs")
    assert described
    assert described.fields == fields(most)


@pytest.mark.parametrize(("count", "requests"), [(1_000, [1_000]), (1_001, [1, 1_000])])
def test_a_request_writes_and_deletes_1_000_records(
    double: Double, connect: Connect, count: int, requests: Sequence[int]
) -> None:
    plant(double, [])
    connector = connect("docs")
    records = batch([{"id": f"{n}"} for n in range(count)])
    assert not connector.upsert("docs", records)
    assert sent(double, "upsert") == requests
    connector.delete("docs", records.keys)
    assert sent(double, "delete") == requests


@pytest.mark.parametrize(("more", "requests"), [(0, 1), (1, 2)])
def test_a_request_has_two_million_bytes_as_the_connector_counts_them(
    double: Double, connect: Connect, more: int, requests: int
) -> None:
    """It counts more than there are, so that the service, whose own sum is not known, finds less."""
    double.store.plant("docs", 1_000)
    wide = Collection("docs", (VectorField("", 1_000, "cosine"),), mark=MARK)
    size = 4 * 1_000 + len("{}") + len("0000") + RECORD_BYTES
    rows = MAX_REQUEST_BYTES // size
    assert not connect("docs").upsert("docs", batch([{"id": f"{n:04}"} for n in range(rows + more)], wide))
    found = [each for each in double.requests if each.operation == "upsert"]
    assert len(found) == requests
    assert 0.98 * MAX_REQUEST_BYTES < max(each.bytes for each in found) <= MAX_REQUEST_BYTES


@pytest.mark.parametrize(("count", "requests"), [(100, 1), (101, 2)])
def test_a_page_lists_100_ids(double: Double, connect: Connect, count: int, requests: int) -> None:
    plant(double, [f"{n:03}" for n in range(count)])
    assert len(ids(pages(connect("docs")))) == count
    assert asked(double, "list") == requests


@pytest.mark.parametrize(
    ("given", "most", "operation"),
    [
        ({"kind": "vectors"}, 250, "fetch"),
        ({"kind": "vectors", "transport": "rest"}, 100, "fetch"),
        ({"kind": "documents"}, 1_000, "documents.fetch"),
    ],
    ids=["grpc", "rest", "documents"],
)
def test_a_fetch_asks_for_as_many_ids_as_one_request_may(
    double: Double, connect: Connect, given: dict[str, str], most: int, operation: str
) -> None:
    connector = connect("docs", **given)
    connector.create(PLAIN)
    keys = [Key("", f"{n}") for n in range(most + 1)]
    assert not connector.upsert("docs", batch([{"id": key.id} for key in keys]))
    assert connector.fetch("docs", keys[:most]).keys == keys[:most]
    assert sent(double, operation) == [most]
    assert connector.fetch("docs", keys).keys == keys
    assert sent(double, operation) == [1, most, most]


@pytest.mark.parametrize(("more", "requests"), [(0, 1), (1, 2)])
def test_the_ids_of_a_fetch_over_rest_fit_into_an_address(
    double: Double, connect: Connect, more: int, requests: int
) -> None:
    plant(double, [])
    over_rest = api(connect("docs", transport="rest"))
    assert over_rest.fetched_url_bytes is not None
    many = ["/" * 195 + f"{n:05}" for n in range(50)]  # 590 bytes each, and `&ids=`
    rest = over_rest.fetched_url_bytes - sum(len(f"&ids={quote(id, safe='')}") for id in many)
    last = "x" * (rest - len("&ids=") + more)
    assert len(list(pieces(over_rest, [*many, last]))) == requests
    assert len(list(pieces(api(connect("docs")), [*many, last]))) == 1, "over gRPC they stand in no address"


@pytest.mark.parametrize("k", [10_000, 10_001])
def test_a_search_asks_for_10_000_records(double: Double, connect: Connect, k: int) -> None:
    plant(double, ["a", "b"])
    (hits,) = connect("docs").search("docs", Search(np.ones((1, 3), np.float32), k=k))
    assert len(hits.keys) == 2


@pytest.mark.parametrize("limit", [1, 2])
def test_namespaces_are_made_up_to_the_quota(double: Double, connect: Connect, limit: int) -> None:
    plant(double, ["a"])
    double.limits.namespaces = limit
    connector, records = connect("docs"), batch([{"namespace": "new"}])
    if limit == 2:
        assert not connector.upsert("docs", records)
    else:
        with pytest.raises(Exception, match="raise the project's quota"):
            connector.upsert("docs", records)
