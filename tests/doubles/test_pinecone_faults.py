import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from pinecone import RetryConfig
from pinecone.errors import (
    ApiError,
    NotFoundError,
    PineconeConnectionError,
    PineconeError,
    PineconeTimeoutError,
    ServiceError,
)
from pinecone.grpc import GrpcIndex

from tests.doubles.conftest import Connect
from tests.doubles.pinecone import Double, Fault, running

QUERY = {"topK": 1, "vector": [1, 2]}


@pytest.fixture
def films(double: Double, connect: Connect) -> Any:
    return connect(double.store.plant("films", 2))


def stored(double: Double) -> list[str]:
    return sorted(double.store.find("films").records())


def test_a_status_is_answered_as_often_as_asked(double: Double, http: httpx.Client) -> None:
    url = f"{double.store.plant('films', 2).host}/query"
    double.faults.add(Fault.status(503), on="query", skip=1, times=2)
    assert [http.post(url, json=QUERY).status_code for _ in range(4)] == [200, 503, 503, 200]


def test_only_the_calls_meant_are_hit(double: Double, http: httpx.Client) -> None:
    hosts = [double.store.plant(name, 2).host for name in ("films", "books")]
    double.faults.add(Fault.status(503), on=["query", "list"], index="films", namespace="n")
    wanted = {"namespace": "n", **QUERY}
    assert http.post(f"{hosts[0]}/query", json=wanted).status_code == 503
    assert http.get(f"{hosts[0]}/vectors/list?namespace=n").status_code == 503
    assert http.post(f"{hosts[0]}/query", json=QUERY).status_code == 200
    assert http.post(f"{hosts[1]}/query", json=wanted).status_code == 200
    assert http.get(f"{hosts[0]}/vectors/fetch?ids=a&namespace=n").status_code == 200


def test_chance_repeats_itself_with_the_same_seed() -> None:
    def statuses(seed: int) -> list[int]:
        with running(seed=seed) as double, httpx.Client(headers={"api-key": "test"}) as http:
            url = f"{double.store.plant('films', 2).host}/query"
            double.faults.add(Fault.status(500), probability=0.5)
            return [http.post(url, json=QUERY).status_code for _ in range(40)]

    assert statuses(7) == statuses(7) != statuses(8)
    assert 8 < statuses(7).count(500) < 32


def test_the_sdk_waits_as_told_and_tries_again(double: Double, films: Any) -> None:
    double.faults.add(Fault.status(429, retry_after_s=0.2), on="upsert", times=1)
    films.upsert(vectors=[("a", [1, 2])])
    assert [request.status for request in double.requests if request.operation == "upsert"] == [429, 200]
    assert stored(double) == ["a"]


def test_a_refusal_names_when_to_come_back(double: Double, http: httpx.Client) -> None:
    url = f"{double.store.plant('films', 2).host}/query"
    double.faults.add(Fault.status(429, retry_after_s=2))
    answer = http.post(url, json=QUERY)
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (429, "2", 8)


def test_the_control_plane_fails_too(double: Double, http: httpx.Client) -> None:
    double.faults.add(Fault.status(500), on="list_indexes", times=1)
    answer = http.get(f"{double.url}/indexes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL")
    assert http.get(f"{double.url}/indexes").json() == {"indexes": []}


@pytest.mark.parametrize("is_applied", [False, True])
def test_a_reset_comes_before_or_after_the_write(double: Double, http: httpx.Client, is_applied: bool) -> None:
    url = f"{double.store.plant('films', 2).host}/vectors/upsert"
    double.faults.add(Fault.reset(applied=is_applied), on="upsert", times=1)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        http.post(url, json={"vectors": [{"id": "a", "values": [1, 2]}]})
    assert stored(double) == (["a"] if is_applied else [])
    assert double.requests[-1].status == 0


@pytest.mark.parametrize("is_applied", [False, True])
def test_a_broken_connection_is_an_error_over_grpc(double: Double, grpc: Connect, is_applied: bool) -> None:
    films = grpc(double.store.plant("films", 2))
    double.faults.add(Fault.reset(applied=is_applied), on="upsert", times=1)
    with pytest.raises(PineconeError):
        films.upsert(vectors=[("a", [1, 2])])
    assert stored(double) == (["a"] if is_applied else [])
    with suppress(PineconeError):  # the next call may still find the broken connection, and is "canceled"
        films.upsert(vectors=[("b", [1, 2])])
    films.upsert(vectors=[("b", [1, 2])])
    assert "b" in stored(double)


def test_an_error_may_hide_that_the_write_was_applied(double: Double, films: Any) -> None:
    double.faults.add(Fault.status(400, applied=True), on="upsert", times=1)
    with pytest.raises(ApiError):
        films.upsert(vectors=[("a", [1, 2])])
    assert stored(double) == ["a"]


def test_an_answer_may_end_in_the_middle(double: Double, http: httpx.Client) -> None:
    url = f"{double.store.plant('films', 2).host}/query"
    double.faults.add(Fault.truncated(), times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(url, json=QUERY)
    assert http.post(url, json=QUERY).status_code == 200


def test_an_answer_may_be_slow(double: Double, films: Any) -> None:
    double.faults.add(Fault.slow(0.2), on="stats", times=1)
    began = time.monotonic()
    films.describe_index_stats()
    assert time.monotonic() - began >= 0.2


def test_a_token_may_expire(double: Double, films: Any) -> None:
    films.upsert(vectors=[(id, [1, 2]) for id in "abc"])
    double.faults.add(Fault.expired_token(), on="list", times=1)
    token = films.list_paginated(limit=2).pagination.next
    with pytest.raises(ApiError, match="pagination token"):
        films.list_paginated(limit=2, pagination_token=token)
    assert len(films.list_paginated(limit=2, pagination_token=token).vectors) == 1


@pytest.mark.parametrize("rows", [0, 1])
def test_a_page_may_be_short_and_not_the_last(double: Double, films: Any, rows: int) -> None:
    films.upsert(vectors=[(id, [1, 2]) for id in "abc"])
    double.faults.add(Fault.short_page(rows), on="list", skip=1, times=1)
    pages: list[list[str]] = []
    token = None
    while not pages or token:
        page = films.list_paginated(limit=2, pagination_token=token)
        pages.append([item.id for item in page.vectors])
        token = page.pagination.next if page.pagination else None
        if len(pages) == 1:
            films.upsert(vectors=[("d", [1, 2])])
    assert pages == [["a", "b"], ["c", "d"][:rows], ["c", "d"][rows:]]


def test_ids_may_be_lost(double: Double, films: Any) -> None:
    films.upsert(vectors=[(id, [1, 2]) for id in "abc"])
    double.faults.add(Fault.lost_ids("b"), on="fetch")
    double.faults.add(Fault.lost_ids("c"), on="list")
    assert sorted(films.fetch(ids=["a", "b", "c"]).vectors) == ["a", "c"]
    assert [item.id for item in films.list_paginated().vectors] == ["a", "b"]
    assert films.describe_index_stats().total_vector_count == 3


def test_one_write_may_be_late(double: Double, films: Any) -> None:
    double.faults.add(Fault.late(reads=1), on="upsert", times=1)
    films.upsert(vectors=[("a", [1, 2])])
    assert [len(films.fetch(ids=["a"]).vectors) for _ in range(2)] == [0, 1]


def test_an_index_may_be_deleted_in_the_middle(double: Double, films: Any) -> None:
    double.faults.add(Fault.index_deleted(), on="upsert", skip=1)
    films.upsert(vectors=[("a", [1, 2])])
    with pytest.raises(NotFoundError):
        films.upsert(vectors=[("b", [1, 2])])
    assert "films" not in double.store.indexes


def test_a_rate_is_kept_for_each_namespace(double: Double, http: httpx.Client) -> None:
    url = f"{double.store.plant('films', 2).host}/query"
    double.faults.limit_rate(per_s=3, on="query", retry_after_s=0.5)
    answers = [http.post(url, json=QUERY) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["retry-after"] == "0.5"
    assert http.post(url, json={"namespace": "n", **QUERY}).status_code == 200
    double.faults.clear()
    assert http.post(url, json=QUERY).status_code == 200


@pytest.mark.parametrize(
    ("status", "error", "shown"),
    [
        (400, ApiError, 400),
        (429, ApiError, 429),
        (500, ServiceError, 500),
        (503, PineconeConnectionError, None),
        (504, PineconeTimeoutError, None),
    ],
)
def test_what_the_sdk_makes_of_a_status_over_grpc(
    double: Double, status: int, error: type[Exception], shown: int | None
) -> None:
    host = double.store.plant("films", 2).host
    double.faults.add(Fault.status(status))
    once = RetryConfig(max_retries=0)
    with (
        GrpcIndex(host=host, api_key="test", secure=False, retry_config=once) as films,
        pytest.raises(error) as caught,
    ):
        films.fetch(ids=["a"])
    assert getattr(caught.value, "status_code", None) == shown
    assert [request.status for request in double.requests] == [status]
