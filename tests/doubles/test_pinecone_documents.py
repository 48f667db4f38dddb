from typing import Any

import httpx
import numpy as np
import pytest
from pinecone.errors import ApiError

from tests.doubles.conftest import Connect
from tests.doubles.pinecone import Double, Index
from tests.doubles.pinecone.store import Json

FIELDS: dict[str, Json] = {
    "embedding": {"type": "dense_vector", "dimension": 2, "metric": "cosine"},
    "words": {"type": "sparse_vector"},
    "body": {"type": "string", "full_text_search": {}},
    "pages": {"type": "integer", "filterable": True},
}
WORDS = {"indices": [7, 2**32 - 1], "values": [0.5, 0.25]}


@pytest.fixture
def index(double: Double) -> Index:
    return double.store.plant("papers", fields=FIELDS)


@pytest.fixture
def papers(index: Index, rest: Connect) -> Any:
    return rest(index).documents


def document(id: str, **fields: Any) -> Json:
    return {"_id": id, "embedding": [1, 2], **fields}


def test_a_document_comes_back_with_all_its_fields(papers: Any) -> None:
    given = document("a", embedding=[0.1, 2], words=WORDS, title="x", year=1999, pages=3, tags=["a"], nothing=None)
    papers.upsert(namespace="n", documents=[given])
    found = papers.fetch(namespace="n", ids=["a", "missing"]).documents
    assert list(found) == ["a"]
    fields = found["a"].to_dict()
    assert np.array_equal(np.array(fields.pop("embedding"), np.float32), np.array([0.1, 2], np.float32))
    assert fields == {"_id": "a", "words": WORDS, "title": "x", "year": 1999.0, "pages": 3, "tags": ["a"]}


def test_a_fetch_gives_the_fields_asked_for(papers: Any) -> None:
    papers.upsert(namespace="n", documents=[document("a", title="x", year=1)])
    found = papers.fetch(namespace="n", ids=["a"], include_fields=["title"]).documents["a"]
    assert found.to_dict() == {"_id": "a", "title": "x"}


def test_documents_are_fetched_by_filter_in_pages(papers: Any) -> None:
    papers.upsert(namespace="n", documents=[document(f"{number}", year=number) for number in range(5)])
    first = papers.fetch(namespace="n", filter={"year": {"$gte": 1}}, limit=3)
    rest = papers.fetch(namespace="n", filter={"year": {"$gte": 1}}, limit=3, pagination_token=first.pagination.next)
    assert [sorted(page.documents) for page in (first, rest)] == [["1", "2", "3"], ["4"]]
    assert rest.pagination is None


def test_documents_are_listed_in_order_in_pages(papers: Any) -> None:
    papers.upsert(namespace="n", documents=[document(f"{number:03}") for number in reversed(range(250))])
    pages = [[item.id for item in page.items] for page in papers.list(namespace="n").pages()]
    assert [len(page) for page in pages] == [100, 100, 50]
    assert [id for page in pages for id in page] == [f"{number:03}" for number in range(250)]


def test_a_search_finds_by_a_dense_or_a_sparse_field(papers: Any) -> None:
    papers.upsert(namespace="n", documents=[document("a", title="x"), document("b", embedding=[2, 1], words=WORDS)])
    dense = papers.search(
        namespace="n", top_k=1, score_by=[{"type": "dense_vector", "field": "embedding", "values": [1, 2]}]
    )
    assert [(match.id, match.score) for match in dense.matches] == [("a", pytest.approx(1.0))]
    clause = {"type": "sparse_vector", "field": "words", "sparse_values": {"indices": [7], "values": [2]}}
    sparse = papers.search(namespace="n", top_k=9, score_by=[clause], include_fields=["*"])
    assert [(match.id, match.score, match.words) for match in sparse.matches] == [("b", 1.0, WORDS)]


def test_documents_are_patched(papers: Any) -> None:
    papers.upsert(namespace="n", documents=[document("a", x=1, y=1), document("b", x=1)])
    papers.update(namespace="n", documents=[{"_id": "a", "z": 1, "_remove_fields": ["y"]}])
    assert papers.update(namespace="n", filter={"x": 1}, set_fields={"w": "v"}).matched_records == 2
    found = papers.fetch(namespace="n", ids=["a", "b"], include_fields=["w", "x", "y", "z"]).documents
    assert [found[id].to_dict() for id in "ab"] == [
        {"_id": "a", "x": 1, "z": 1, "w": "v"},
        {"_id": "b", "x": 1, "w": "v"},
    ]


def test_documents_are_deleted_by_id_by_filter_and_all(papers: Any, index: Index) -> None:
    papers.upsert(namespace="n", documents=[document(id, x=id) for id in "abcd"])
    papers.delete(namespace="n", ids=["a"])
    assert papers.delete(namespace="n", filter={"x": "b"}).matched_records == 1
    assert sorted(index.records("n")) == ["c", "d"]
    papers.delete(namespace="n", delete_all=True)
    assert index.records("n") == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"_id": "a"}, "'embedding' is required"),
        (document("a", embedding=[1, 2, 3]), "dimension"),
        (document("a", embedding=[0, 0]), "non-zero"),
        (document("a", words={"indices": [1, 1], "values": [1, 1]}), "duplicate"),
        (document("a", nested={"x": 1}), "must be a string, number"),
        (document("a", title="x" * 41_000), "exceeds the limit"),
    ],
)
def test_malformed_documents_are_refused(papers: Any, given: Json, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        papers.upsert(namespace="n", documents=[given])


def test_a_declared_text_may_be_longer_than_metadata(papers: Any) -> None:
    assert papers.upsert(namespace="n", documents=[document("a", body="x" * 100_000)]).upserted_count == 1


def test_reading_documents_as_vectors_finds_nothing(papers: Any, index: Index, connect: Connect) -> None:
    papers.upsert(namespace="n", documents=[document("a")])
    wrong = connect(index)
    assert wrong.fetch(ids=["a"], namespace="n").vectors == {}
    assert list(wrong.list(namespace="n")) == []
    assert wrong.query(top_k=1, vector=[1, 2], namespace="n").matches == []
    assert wrong.fetch_by_metadata(filter={"x": 1}, namespace="n").vectors == {}
    assert wrong.describe_index_stats().total_vector_count == 1


def test_writing_vectors_into_a_document_index_is_refused(index: Index, connect: Connect) -> None:
    wrong, refused = connect(index), "writes must go through the documents API"
    with pytest.raises(ApiError, match=refused):
        wrong.upsert(vectors=[("a", [1, 2])])
    with pytest.raises(ApiError, match=refused):
        wrong.update(id="a", set_metadata={"x": 1})
    with pytest.raises(ApiError, match=refused):
        wrong.delete(ids=["a"])


def test_a_vector_index_has_no_documents(double: Double, rest: Connect) -> None:
    wrong = rest(double.store.plant("films", 2)).documents
    with pytest.raises(ApiError, match="no document schema"):
        wrong.upsert(namespace="n", documents=[document("a")])
    with pytest.raises(ApiError, match="no document schema"):
        wrong.fetch(namespace="n", ids=["a"])


def test_the_limits_of_a_request_hold_for_documents(double: Double, index: Index, http: httpx.Client) -> None:
    url = f"{index.host}/namespaces/n/documents"
    documents = [document(f"{number}") for number in range(1001)]
    assert http.post(f"{url}/upsert", json={"documents": documents[:1000]}).status_code == 200
    assert http.post(f"{url}/upsert", json={"documents": documents}).status_code == 400
    assert http.post(f"{url}/upsert", json={"documents": [documents[0], documents[0]]}).status_code == 400
    assert http.post(f"{url}/list", json={"limit": 101}).status_code == 400
    assert http.post(f"{url}/fetch", json={"filter": {"x": 1}, "limit": 10_001}).status_code == 400
    double.limits.request_bytes = 10
    assert http.post(f"{url}/upsert", json={"documents": documents[:1]}).status_code == 413


def test_a_document_index_has_one_vector_field_of_each_kind(double: Double, http: httpx.Client) -> None:
    fields = {"a": FIELDS["embedding"], "b": FIELDS["embedding"]}
    answer = http.post(f"{double.url}/indexes", json={"name": "two", "schema": {"fields": fields}})
    assert answer.status_code == 400
