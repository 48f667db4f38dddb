"""What the double answers, held against Pinecone's own OpenAPI documents.

`VECMIG_TEST_PINECONE_OPENAPI` names the folder that has `db_data_2026-04.oas.yaml` and `db_control_2026-04.oas.yaml`,
of the repository pinecone-io/pinecone-api. There is none there for the documents API. The documents put their limits
of size on arrays as `maxLength`, which means nothing there: other tests see to those. The last test holds against them
what vecmig's connector asks, through the SDK."""

import os
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import numpy as np
import orjson
import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.connectors.pinecone.data import batch, ids, pages
from tests.doubles.pinecone import Double, Index, Record, Sparse, rest
from tests.doubles.pinecone.gate import Gate
from tests.doubles.pinecone.http import HttpAnswer, HttpRequest
from tests.doubles.pinecone.store import Json
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.collection import Collection, VectorField
from vecmig.model.filter import parse
from vecmig.model.secret import Secret
from vecmig.protocols import Search

FOLDER = os.environ.get("VECMIG_TEST_PINECONE_OPENAPI")
VERSION = "2026-04"
SERVERS = {"data": "https://unknown", "control": "https://api.pinecone.io"}

pytestmark = pytest.mark.skipif(not FOLDER, reason="VECMIG_TEST_PINECONE_OPENAPI names no folder")

SPEC = {"serverless": {"cloud": "aws", "region": "us-east-1"}}
SPARSE = {"indices": [1, 2], "values": [0.5, 0.25]}


@pytest.fixture(scope="module")
def documents() -> dict[str, OpenAPI]:
    assert FOLDER
    read = {name: yaml.safe_load(Path(FOLDER, f"db_{name}_{VERSION}.oas.yaml").read_text("utf-8")) for name in SERVERS}
    return {name: OpenAPI.from_dict(_closed(document)) for name, document in read.items()}


def _closed(schema: Any) -> Any:
    """The same document, in which an object has no other properties than those it names: it requires hardly any."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(each) for key, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture
def index(double: Double) -> Index:
    index = double.store.plant("films", 2, "dotproduct")
    sparse = Sparse(np.array([1], np.uint32), np.array([0.5], np.float32))
    for namespace in ("", "n"):
        index.put(
            [Record(id, np.ones(2, np.float32), sparse, {"year": 1999.0, "tags": ["x"]}, 30) for id in "abc"], namespace
        )
    return index


def check(document: OpenAPI, server: str, answer: httpx.Response) -> None:
    """Raises what is wrong with the request, or with its answer."""
    asked = answer.request
    request = HttpRequest(
        asked.method, asked.url.path, asked.url.query.decode(), _message(asked.headers), asked.content
    )
    check_exchange(document, server, request, HttpAnswer(answer.status_code, answer.content, dict(answer.headers)))


def check_exchange(document: OpenAPI, server: str, asked: HttpRequest, answer: HttpAnswer) -> None:
    request = MockRequest(
        server,
        asked.method,
        asked.path,
        args=parse_qs(asked.query),
        headers=dict(asked.headers.items()),
        data=asked.body,
    )
    if answer.status < 400:
        document.validate_request(request)
    document.validate_response(request, MockResponse(_without_lies(answer.body), answer.status, answer.headers))


def _message(headers: httpx.Headers) -> Message:
    message = Message()
    for name, value in headers.items():
        message[name] = value
    return message


def _without_lies(body: bytes) -> bytes:
    """The count of a namespace is text on the wire, and its size is there, too: so the service's own examples have it."""
    content: Any = orjson.loads(body) if body else None
    if not isinstance(content, dict):
        return body
    for description in [content, *content.get("namespaces", [])] if "vectorCount" not in str(content) else []:
        if isinstance(description, dict) and "record_count" in description:
            description["record_count"] = int(description["record_count"])
            description.pop("size_bytes")
    return orjson.dumps(content)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 2], "sparseValues": SPARSE}]}, 200),
        ("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 2], "metadata": {"x": 1}}]}, 200),
        ("POST", "/vectors/upsert", {"vectors": [{"values": [1, 2]}]}, 400),
        ("POST", "/vectors/upsert", {"vectors": [{"id": "a", "values": "text"}]}, 400),
        ("GET", "/vectors/fetch?ids=a&ids=b&ids=missing&namespace=n", None, 200),
        ("GET", "/vectors/fetch", None, 400),
        ("GET", "/vectors/list?namespace=n", None, 200),
        ("GET", "/vectors/list?limit=2&prefix=", None, 200),
        ("GET", "/vectors/list?paginationToken=wrong", None, 400),
        ("POST", "/vectors/fetch_by_metadata", {"filter": {"year": 1999}, "limit": 2, "namespace": "n"}, 200),
        ("POST", "/vectors/update", {"id": "a", "setMetadata": {"x": 1}}, 200),
        ("POST", "/vectors/update", {"filter": {"year": 1999}, "setMetadata": {"x": 1}}, 200),
        ("POST", "/vectors/delete", {"ids": ["a"]}, 200),
        ("POST", "/vectors/delete", {"deleteAll": True, "namespace": "none"}, 404),
        ("POST", "/query", {"topK": 2, "vector": [1, 2], "includeValues": True, "includeMetadata": True}, 200),
        ("POST", "/query", {"topK": 2, "id": "a"}, 200),
        ("POST", "/query", {"vector": [1, 2]}, 400),
        ("POST", "/describe_index_stats", {}, 200),
        ("POST", "/describe_index_stats", {"filter": {"x": 1}}, 400),
        ("GET", "/namespaces", None, 200),
        ("GET", "/namespaces?limit=1", None, 200),
        ("GET", "/namespaces/n", None, 200),
        ("GET", "/namespaces/none", None, 404),
        ("POST", "/namespaces", {"name": "new"}, 200),
        ("POST", "/namespaces", {"name": "n"}, 409),
        ("DELETE", "/namespaces/n", None, 200),
    ],
)
def test_the_data_plane_keeps_to_the_document(
    documents: dict[str, OpenAPI], index: Index, method: str, path: str, body: Json | None, status: int
) -> None:
    headers = {"api-key": "test", "x-pinecone-api-version": VERSION}
    answer = httpx.request(method, index.host + path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    check(documents["data"], SERVERS["data"], answer)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/indexes", {"name": "a", "dimension": 2, "metric": "cosine", "spec": SPEC, "tags": {"x": "y"}}, 201),
        ("POST", "/indexes", {"name": "a", "vector_type": "sparse", "metric": "dotproduct", "spec": SPEC}, 201),
        ("POST", "/indexes", {"name": "a", "dimension": 0, "spec": SPEC}, 400),
        ("POST", "/indexes", {"name": "films", "dimension": 2, "spec": SPEC}, 409),
        ("GET", "/indexes", None, 200),
        ("GET", "/indexes/films", None, 200),
        ("GET", "/indexes/old", None, 200),
        ("GET", "/indexes/none", None, 404),
        ("PATCH", "/indexes/films", {"deletion_protection": "enabled", "tags": {"x": "y"}}, 202),
        ("DELETE", "/indexes/films", None, 202),
        ("DELETE", "/indexes/none", None, 404),
    ],
)
def test_the_control_plane_keeps_to_the_document(
    documents: dict[str, OpenAPI],
    double: Double,
    index: Index,
    method: str,
    path: str,
    body: Json | None,
    status: int,
) -> None:
    double.store.plant("old", 2, pod=True)
    headers = {"api-key": "test", "x-pinecone-api-version": VERSION}
    answer = httpx.request(method, double.url + path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    check(documents["control"], SERVERS["control"], answer)


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_key_is_refused_as_in_the_documents(
    documents: dict[str, OpenAPI], double: Double, index: Index, key: str
) -> None:
    double.gate.accepted_keys = {"test"}
    headers = {"api-key": key, "x-pinecone-api-version": VERSION}
    for name, url in (("data", f"{index.host}/vectors/list"), ("control", f"{double.url}/indexes")):
        answer = httpx.get(url, headers=headers)
        assert answer.status_code == 401
        check(documents[name], SERVERS[name], answer)


BOTH = (VectorField("", 3, "dot"), VectorField("sparse", 0, "dot", "sparse"))


@pytest.mark.parametrize("vectors", [BOTH, BOTH[:1], BOTH[1:]], ids=["hybrid", "dense", "sparse"])
def test_what_the_connector_asks_and_is_answered_keeps_to_the_document(
    documents: dict[str, OpenAPI], double: Double, monkeypatch: pytest.MonkeyPatch, vectors: tuple[VectorField, ...]
) -> None:
    seen: list[tuple[HttpRequest, HttpAnswer]] = []
    served = rest.answer

    def answer(gate: Gate, index: Index, request: HttpRequest) -> HttpAnswer:
        given = served(gate, index, request)
        seen.append((request, given))
        return given

    monkeypatch.setattr(rest, "answer", answer)
    options = PineconeOptions(Secret("test"), "films", host=double.url, transport="rest", kind="vectors")
    rows: list[Json] = [
        {"id": f"é{n}", "namespace": ("", "n")[n % 2], "metadata": {"n": n, "none": None, "list": [1]}}
        for n in range(150)
    ]
    for row in rows if BOTH[1] in vectors else ():
        row["sparse:sparse"] = {"indices": [1, 2**32 - 1], "values": [0.5, -1.0]}
    declared = Collection("films", vectors, mark="vecmig:test")
    with closing(options.open()) as connector:
        connector.create(declared)
        records = batch(rows, declared)
        assert not connector.upsert("films", records)
        connector.settle("films", {"": 75, "n": 75}, timeout_s=10)
        assert len(ids(pages(connector, "films"))) == 150
        if vectors[0].kind != "sparse":
            filter = parse({"n": {"gte": 3}, "list": {"exists": True}})
            queries = np.ones((1, 3), np.float32)
            assert connector.search("films", Search(queries, k=2, namespace="n", filter=filter))[0].keys
        connector.delete("films", [*records.keys[:3], records.keys[0]])
    operations = {each.operation for each in double.requests if each.index == "films" and each.transport == "rest"}
    assert operations >= {"upsert", "fetch", "list", "stats", "list_namespaces", "delete"}
    for asked, given in seen:
        check_exchange(documents["data"], SERVERS["data"], asked, given)
    assert len(seen) > 8
