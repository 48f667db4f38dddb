import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from pinecone.errors import ApiError, ForbiddenError, NotFoundError

from tests.doubles.conftest import Connect
from tests.doubles.pinecone import Double, Record
from tests.doubles.pinecone.store import Json

UPSERT = "/vectors/upsert"


@pytest.fixture
def films(double: Double, connect: Connect) -> Any:
    """The client of an index of two dimensions."""
    return connect(double.store.plant("films", 2))


def refusal(answer: httpx.Response) -> str:
    assert answer.status_code == 400, answer.text
    return str(answer.json()["message"])


def test_values_come_back_as_float32_bit_for_bit(double: Double, connect: Connect) -> None:
    index = connect(double.store.plant("films", 1536))
    values = np.random.default_rng(3).normal(size=1536) * 10.0 ** random.Random(3).randint(-20, 20)
    index.upsert(vectors=[("a", values.tolist())])
    assert np.array_equal(np.float32(index.fetch(ids=["a"]).vectors["a"].values), np.float32(values))


def test_metadata_comes_back_without_nulls_and_with_floats(films: Any) -> None:
    given = {"year": 1999, "big": 2**53 + 1, "seen": True, "title": "é", "tags": ["a", "b"], "rest": None, "empty": []}
    films.upsert(vectors=[("a", [1, 2], given)])
    kept = films.fetch(ids=["a"]).vectors["a"].metadata
    assert kept == {"year": 1999.0, "big": float(2**53), "seen": True, "title": "é", "tags": ["a", "b"], "empty": []}
    assert [type(kept[key]) for key in ("year", "seen")] == [float, bool]


@pytest.mark.parametrize("metadata", [None, {}, {"a": None}])
def test_no_metadata_is_no_metadata(films: Any, metadata: Json | None) -> None:
    films.upsert(vectors=[{"id": "a", "values": [1, 2]} | ({"metadata": metadata} if metadata is not None else {})])
    assert films.fetch(ids=["a"]).vectors["a"].metadata is None


def test_an_upsert_replaces_the_whole_record(films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2], {"x": "y"})])
    films.upsert(vectors=[("a", [3, 4])])
    found = films.fetch(ids=["a"]).vectors["a"]
    assert (list(found.values), found.metadata) == ([3, 4], None)


def test_ids_that_are_not_there_are_left_out(films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2]), ("b/e?#%", [1, 2])])
    assert set(films.fetch(ids=["b/e?#%", "missing", "a"]).vectors) == {"a", "b/e?#%"}


@pytest.mark.parametrize("namespace", ["", "__default__"])
def test_the_default_namespace_has_two_names(films: Any, namespace: str) -> None:
    films.upsert(vectors=[("a", [1, 2])], namespace=namespace)
    assert list(films.fetch(ids=["a"], namespace="").vectors) == ["a"]
    assert list(films.fetch(ids=["a"], namespace="__default__").vectors) == ["a"]
    assert list(films.describe_index_stats().namespaces) == ["__default__"]
    assert [found.name for found in films.list_namespaces_paginated().namespaces] == ["__default__"]


def test_a_namespace_comes_with_its_first_record_and_goes_with_its_last(films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2]), ("b", [1, 2])], namespace="n")
    films.delete(ids=["a"], namespace="n")
    assert films.describe_namespace(name="n").record_count == 1
    films.delete(ids=["b"], namespace="n")
    assert films.describe_index_stats().namespaces == {}
    with pytest.raises(NotFoundError):
        films.describe_namespace(name="n")


def test_a_namespace_created_by_name_stays_when_it_is_empty(films: Any) -> None:
    assert films.create_namespace(name="n").record_count == 0
    with pytest.raises(ApiError, match="already exists"):
        films.create_namespace(name="n")
    assert [found.name for found in films.list_namespaces_paginated().namespaces] == ["n"]
    films.delete_namespace(name="n")
    assert films.list_namespaces_paginated().total_count == 0


def test_namespaces_are_listed_in_pages(films: Any) -> None:
    for number in range(5):
        films.upsert(vectors=[("a", [1, 2])], namespace=f"n{number}")
    first = films.list_namespaces_paginated(limit=3, prefix="n")
    rest = films.list_namespaces_paginated(limit=3, prefix="n", pagination_token=first.pagination.next)
    assert [found.name for found in [*first.namespaces, *rest.namespaces]] == [f"n{number}" for number in range(5)]
    assert (first.total_count, rest.pagination) == (5, None)


def test_beyond_the_quota_no_namespace_is_created(double: Double, films: Any) -> None:
    double.limits.namespaces = 1
    films.upsert(vectors=[("a", [1, 2])], namespace="n")
    with pytest.raises(ForbiddenError):
        films.upsert(vectors=[("a", [1, 2])], namespace="m")
    films.upsert(vectors=[("b", [1, 2])], namespace="n")


def test_ids_are_listed_in_order_in_pages_of_a_hundred(double: Double, films: Any) -> None:
    ids = [f"{number:03}" for number in range(250)]
    double.store.find("films").put([Record(id, np.ones(2, np.float32)) for id in random.Random(1).sample(ids, 250)])
    pages = [[item.id for item in page.vectors] for page in films.list()]
    assert pages == [ids[:100], ids[100:200], ids[200:]]


def test_ids_are_listed_by_prefix(double: Double, films: Any) -> None:
    double.store.find("films").put([Record(id, np.ones(2, np.float32)) for id in ("a", "a1", "a2", "b", "A")])
    pages = [[item.id for item in page.vectors] for page in films.list(prefix="a", limit=2)]
    assert pages == [["a", "a1"], ["a2"]]


def test_a_list_goes_on_after_an_id_that_was_deleted_meanwhile(double: Double, films: Any) -> None:
    double.store.find("films").put([Record(id, np.ones(2, np.float32)) for id in "abcd"])
    token = films.list_paginated(limit=2).pagination.next
    films.delete(ids=["a", "b"])
    assert [item.id for item in films.list_paginated(limit=2, pagination_token=token).vectors] == ["c", "d"]


def test_a_token_is_good_for_its_own_list_only_and_for_a_time(double: Double, films: Any) -> None:
    double.store.find("films").put([Record(id, np.ones(2, np.float32)) for id in "abcd"])
    token = films.list_paginated(limit=2).pagination.next
    for wrong in ({"pagination_token": "nonsense"}, {"pagination_token": token, "prefix": "a"}):
        with pytest.raises(ApiError, match="pagination token"):
            films.list_paginated(**wrong)
    double.limits.token_life_s = -1
    with pytest.raises(ApiError, match="pagination token"):
        films.list_paginated(pagination_token=token)


def test_records_are_fetched_by_metadata_in_pages(films: Any) -> None:
    films.upsert(vectors=[(f"{number}", [1, 2], {"n": number}) for number in range(10)])
    first = films.fetch_by_metadata(filter={"n": {"$gte": 4}}, limit=4)
    rest = films.fetch_by_metadata(filter={"n": {"$gte": 4}}, limit=4, pagination_token=first.pagination.next)
    assert [sorted(page.vectors) for page in (first, rest)] == [["4", "5", "6", "7"], ["8", "9"]]
    assert rest.pagination is None


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_a_query_finds_the_best_by_the_metric(double: Double, connect: Connect, metric: str) -> None:
    index = connect(double.store.plant("films", 2, metric))
    index.upsert(vectors=[("far", [0, 1]), ("long", [5, 5]), ("near", [2, 1])])
    best = {"cosine": ("near", 1.0), "dotproduct": ("long", 15.0), "euclidean": ("near", 0.0)}[metric]
    matches = index.query(top_k=3, vector=[2, 1]).matches
    assert (matches[0].id, matches[0].score) == (best[0], pytest.approx(best[1]))
    assert len(matches) == 3
    assert index.query(top_k=1, id="near").matches[0].id == best[0]


def test_the_smallest_vectors_have_a_direction_too(double: Double, connect: Connect) -> None:
    index = connect(double.store.plant("films", 2))
    index.upsert(vectors=[("least", [1e-45, 0]), ("other", [0, 1])])
    matches = index.query(top_k=2, vector=[1, 0]).matches
    assert [(match.id, match.score) for match in matches] == [("least", pytest.approx(1.0)), ("other", 0.0)]


def test_a_query_gives_values_and_metadata_when_asked(films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2], {"x": "y"})])
    plain = films.query(top_k=1, vector=[1, 1]).matches[0]
    full = films.query(top_k=1, vector=[1, 1], include_values=True, include_metadata=True).matches[0]
    assert (list(plain.values), plain.metadata) == ([], None)
    assert (list(full.values), full.metadata) == ([1, 2], {"x": "y"})


@pytest.mark.parametrize(
    ("filter", "ids"),
    [
        ({"n": 1}, "b"),
        ({"n": {"$ne": 1}}, "acd"),
        ({"n": {"$gt": 0, "$lte": 2}}, "bc"),
        ({"n": {"$lt": 1}}, "a"),
        ({"n": {"$gte": 2}}, "c"),
        ({"t": {"$in": ["x", "z"]}}, "ab"),
        ({"t": {"$nin": ["x", "z"]}}, "cd"),
        ({"t": "y"}, "ac"),
        ({"n": {"$exists": False}}, "d"),
        ({"$or": [{"n": 0}, {"n": 2}]}, "ac"),
        ({"$and": [{"n": {"$gte": 0}}, {"t": "y"}]}, "ac"),
        ({"seen": True}, "d"),
    ],
)
def test_filters(films: Any, filter: Json, ids: str) -> None:
    rows: list[Json] = [{"n": 0, "t": ["x", "y"]}, {"n": 1, "t": "z"}, {"n": 2, "t": "y"}, {"seen": True}]
    films.upsert(vectors=[(id, [1, 2], row) for id, row in zip("abcd", rows, strict=True)])
    assert {match.id for match in films.query(top_k=9, vector=[1, 2], filter=filter).matches} == set(ids)


@pytest.mark.parametrize("filter", [{"n": {"$like": 1}}, {"$not": []}, {"n": {"$gt": "x"}}, {"n": {"$in": 1}}])
def test_malformed_filters_are_refused(films: Any, filter: Json) -> None:
    with pytest.raises(ApiError):
        films.query(top_k=9, vector=[1, 2], filter=filter)


def test_an_update_changes_what_it_names(films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2], {"x": 1, "y": 2}), ("b", [1, 2], {"x": 1})])
    films.update(id="a", values=[3, 4], set_metadata={"y": 3})
    found = films.fetch(ids=["a"]).vectors["a"]
    assert (list(found.values), found.metadata) == ([3, 4], {"x": 1, "y": 3})
    assert films.update(filter={"x": 1}, set_metadata={"z": 1}).matched_records == 2
    assert films.fetch(ids=["b"]).vectors["b"].metadata == {"x": 1, "z": 1}


def test_records_are_deleted_by_id_by_filter_and_all(double: Double, films: Any) -> None:
    films.upsert(vectors=[(id, [1, 2], {"x": id}) for id in "abcd"])
    films.delete(ids=["a", "missing"])
    films.delete(filter={"x": "b"})
    assert sorted(double.store.find("films").records()) == ["c", "d"]
    films.delete(delete_all=True)
    assert films.describe_index_stats().total_vector_count == 0
    with pytest.raises(NotFoundError):
        films.delete(ids=["a"])


def test_stats_count_every_namespace(films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2]), ("b", [1, 2])], namespace="n")
    films.upsert(vectors=[("a", [1, 2])])
    stats = films.describe_index_stats()
    assert {name: found.vector_count for name, found in stats.namespaces.items()} == {"__default__": 1, "n": 2}
    assert (stats.total_vector_count, stats.dimension, stats.metric, stats.vector_type) == (3, 2, "cosine", "dense")


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ({"id": "a", "values": [1, 2, 3]}, "dimension 3 does not match the dimension of the index 2"),
        ({"id": "a", "values": [0, 0]}, "at least one non-zero"),
        ({"id": "a", "values": [1e-50, 0]}, "at least one non-zero"),
        ({"id": "a", "values": [1, float("nan")]}, "must be"),
        ({"id": "a", "values": [1, 1e39]}, "finite"),
        ({"id": "a" * 513, "values": [1, 2]}, "at most 512"),
        ({"id": "a", "values": [1, 2], "metadata": {"$x": "y"}}, "must not start"),
        ({"id": "a", "values": [1, 2], "metadata": {"x": "y" * 40_953}}, "exceeds the limit of 40960"),
        ({"id": "a", "values": [1, 2], "sparse_values": {"indices": [1], "values": [1.0]}}, "does not support sparse"),
    ],
)
def test_what_the_sdk_lets_through_is_refused(films: Any, vector: Json, message: str) -> None:
    with pytest.raises(ApiError, match=message) as caught:
        films.upsert(vectors=[{"id": "good", "values": [1, 2]}, vector])
    assert caught.value.status_code == 400
    assert films.describe_index_stats().total_vector_count == 0


def test_what_is_just_within_the_limits_is_stored(films: Any) -> None:
    films.upsert(vectors=[("a" * 512, [1, 2], {"x": "y" * 40_952}), ("b", [0, 1e-40])])
    assert films.describe_index_stats().total_vector_count == 2


@pytest.mark.parametrize(
    "vector",
    [
        {"id": "é", "values": [1, 2]},
        {"id": "", "values": [1, 2]},
        {"id": 1, "values": [1, 2]},
        {"id": "a"},
        {"id": "a", "values": []},
        {"id": "a", "values": ["1", "2"]},
        {"id": "a", "values": [1, None]},
        {"id": "a", "values": [1, 2], "metadata": {"x": {"nested": 1}}},
        {"id": "a", "values": [1, 2], "metadata": {"x": [1, 2]}},
        {"id": "a", "values": [1, 2], "metadata": {"x": ["a", None]}},
    ],
)
def test_what_the_sdk_does_not_send_is_refused_too(double: Double, http: httpx.Client, vector: Json) -> None:
    host = double.store.plant("films", 2).host
    assert refusal(http.post(host + UPSERT, json={"vectors": [vector]}))


def test_a_request_holds_a_thousand_records(films: Any) -> None:
    films.upsert(vectors=[(f"{number}", [1, 2]) for number in range(1000)])
    with pytest.raises(ApiError, match="exceeds the maximum batch size 1000"):
        films.upsert(vectors=[(f"{number}", [1, 2]) for number in range(1001)])


def test_a_thousand_ids_are_fetched_and_deleted_at_once(double: Double, http: httpx.Client) -> None:
    index = double.store.plant("films", 2)
    index.put([Record("0", np.ones(2, np.float32))])
    ids = [f"{number}" for number in range(1001)]
    fetch, delete = f"{index.host}/vectors/fetch", f"{index.host}/vectors/delete"
    assert http.get(fetch, params={"ids": ids[:1000]}).status_code == 200
    assert refusal(http.get(fetch, params={"ids": ids}))
    assert refusal(http.post(delete, json={"ids": ids}))
    assert http.post(delete, json={"ids": ids[:1000]}).status_code == 200


def test_a_query_string_may_be_too_long(double: Double, http: httpx.Client) -> None:
    double.limits.query_string_bytes = 100
    host = double.store.plant("films", 2).host
    assert http.get(f"{host}/vectors/fetch?ids={'a' * 97}").status_code == 414
    assert http.get(f"{host}/vectors/fetch?ids={'a' * 96}").status_code == 200


def test_a_body_may_be_too_long(double: Double, http: httpx.Client) -> None:
    host = double.store.plant("films", 2).host
    body = b'{"vectors":[{"id":"a","values":[1,2]}]}'
    double.limits.request_bytes = len(body)
    assert http.post(host + UPSERT, content=body).status_code == 200
    assert http.post(host + UPSERT, content=body + b" ").status_code == 413


def test_a_message_may_be_too_long(double: Double, grpc: Connect) -> None:
    index = grpc(double.store.plant("films", 2))
    index.upsert(vectors=[("a", [1, 2])])
    double.limits.request_bytes = double.requests[-1].bytes
    index.upsert(vectors=[("a", [1, 2])])
    with pytest.raises(Exception, match="message length too large"):
        index.upsert(vectors=[("ab", [1, 2])])


@pytest.mark.parametrize(("top_k", "status"), [(10_000, 200), (10_001, 400), (0, 400)])
def test_top_k_has_a_limit(double: Double, http: httpx.Client, top_k: int, status: int) -> None:
    host = double.store.plant("films", 2).host
    assert http.post(f"{host}/query", json={"topK": top_k, "vector": [1, 2]}).status_code == status


@pytest.mark.parametrize(("limit", "status"), [("100", 200), ("101", 400), ("0", 400), ("x", 400)])
def test_the_size_of_a_page_has_a_limit(double: Double, http: httpx.Client, limit: str, status: int) -> None:
    host = double.store.plant("films", 2).host
    assert http.get(f"{host}/vectors/list", params={"limit": limit}).status_code == status


def test_a_sparse_index_holds_sparse_vectors_only(double: Double, connect: Connect) -> None:
    index = connect(double.store.plant("words"))
    index.upsert(vectors=[{"id": id, "sparse_values": {"indices": [2**32 - 1, at], "values": [0.1, 2]}} for id, at in
                          (("a", 1), ("b", 2))])  # fmt: skip
    found = index.fetch(ids=["a"]).vectors["a"]
    assert (list(found.values), list(found.sparse_values.indices)) == ([], [2**32 - 1, 1])
    assert np.array_equal(np.array(found.sparse_values.values, np.float32), np.array([0.1, 2], np.float32))
    assert [match.id for match in index.query(top_k=9, sparse_vector={"indices": [2], "values": [1]}).matches] == ["b"]
    with pytest.raises(ApiError, match="do not accept dense"):
        index.upsert(vectors=[("a", [1, 2])])
    assert index.describe_index_stats().vector_type == "sparse"


@pytest.mark.parametrize("size", [2048, 2049])
def test_a_sparse_vector_has_a_limit(double: Double, connect: Connect, size: int) -> None:
    index = connect(double.store.plant("words"))
    vector = {"id": "a", "sparse_values": {"indices": list(range(size)), "values": [1.0] * size}}
    if size <= double.limits.sparse_values:
        index.upsert(vectors=[vector])
    else:
        with pytest.raises(ApiError, match="the limit is 2048"):
            index.upsert(vectors=[vector])


@pytest.mark.parametrize(
    "sparse",
    [
        {"indices": [1, 1], "values": [1, 2]},
        {"indices": [1, 2], "values": [1]},
        {"indices": [-1], "values": [1]},
        {"indices": [2**32], "values": [1]},
        {"indices": [1.5], "values": [1]},
        {"indices": [], "values": []},
    ],
)
def test_malformed_sparse_vectors_are_refused(double: Double, http: httpx.Client, sparse: Json) -> None:
    host = double.store.plant("words").host
    assert refusal(http.post(host + UPSERT, json={"vectors": [{"id": "a", "sparseValues": sparse}]}))


def test_a_dot_product_index_searches_both_kinds_at_once(double: Double, connect: Connect) -> None:
    index = connect(double.store.plant("films", 2, "dotproduct"))
    index.upsert(vectors=[{"id": "a", "values": [1, 0], "sparse_values": {"indices": [7], "values": [5]}}])
    index.upsert(vectors=[{"id": "b", "values": [2, 0]}])
    matches = index.query(top_k=2, vector=[1, 0], sparse_vector={"indices": [7], "values": [1]}).matches
    assert [(match.id, match.score) for match in matches] == [("a", 6), ("b", 2)]


def test_a_dot_product_index_may_refuse_sparse_values(double: Double, connect: Connect) -> None:
    double.limits.sparse_in_dotproduct = False
    index = connect(double.store.plant("films", 2, "dotproduct"))
    with pytest.raises(ApiError, match="does not support sparse"):
        index.upsert(vectors=[{"id": "a", "values": [1, 0], "sparse_values": {"indices": [7], "values": [5]}}])


def test_many_clients_write_and_read_at_once(films: Any) -> None:
    def write(worker: int) -> int:
        films.upsert(vectors=[(f"{worker}-{number}", [1, 2]) for number in range(50)], namespace=f"n{worker % 3}")
        return len(films.fetch(ids=[f"{worker}-{number}" for number in range(50)], namespace=f"n{worker % 3}").vectors)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(40))) == [50] * 40
    assert films.describe_index_stats().total_vector_count == 2000


def test_the_batches_of_the_sdk_arrive(films: Any) -> None:
    answer = films.upsert(
        vectors=[(f"{number}", [1, 2]) for number in range(2500)], batch_size=500, show_progress=False
    )
    assert (answer.upserted_count, answer.has_errors) == (2500, False)
    assert films.describe_index_stats().total_vector_count == 2500


def test_a_pod_index_lists_nothing(double: Double, connect: Connect) -> None:
    index = connect(double.store.plant("old", 2, pod=True))
    index.upsert(vectors=[("a", [1, 2])])
    assert list(index.fetch(ids=["a"]).vectors) == ["a"]
    for ask in (index.list_paginated, index.list_namespaces_paginated):
        with pytest.raises(Exception, match="Pod indexes do not support"):
            ask()


def test_what_is_written_is_seen_late(double: Double, films: Any) -> None:
    double.store.lag.reads = 2
    films.upsert(vectors=[("a", [1, 2])])
    assert [len(films.fetch(ids=["a"]).vectors) for _ in range(3)] == [0, 0, 1]
    films.delete(ids=["a"])
    assert [films.describe_index_stats().total_vector_count for _ in range(3)] == [1, 1, 0]


def test_sequence_numbers_tell_what_is_indexed(double: Double, rest: Connect) -> None:
    index = rest(double.store.plant("films", 2))
    double.store.lag.reads = 1
    committed = index.upsert(vectors=[("a", [1, 2])]).response_info.lsn_committed
    reconciled = [index.query(top_k=1, vector=[1, 2]).response_info.lsn_reconciled for _ in range(2)]
    assert (committed, reconciled) == (1, [0, 1])


def test_units_are_counted(double: Double, films: Any) -> None:
    films.upsert(vectors=[(f"{number:02}", [1, 2], {"x": "y" * 1006}) for number in range(25)])
    assert double.write_units == 25
    films.upsert(vectors=[("00", [1, 2])])
    assert double.requests[-1].write_units == 5
    double.requests.clear()
    assert films.list_paginated().usage.read_units == 1
    assert films.fetch(ids=[f"{number:02}" for number in range(25)]).usage.read_units == 3
    assert films.fetch(ids=["none"]).usage.read_units == 1
    films.query(top_k=1, vector=[1, 2])
    assert double.read_units == 1 + 3 + 1 + 0.25


def test_every_call_is_recorded(double: Double, films: Any) -> None:
    films.upsert(vectors=[("a", [1, 2]), ("b", [1, 2])], namespace="n")
    seen = double.requests[-1]
    assert (seen.operation, seen.index, seen.namespace, seen.status, seen.records) == ("upsert", "films", "n", 200, 2)


def test_errors_have_the_shape_of_the_data_plane(double: Double, http: httpx.Client) -> None:
    host = double.store.plant("films", 2).host
    answer = http.post(host + UPSERT, json={"vectors": []})
    assert answer.json() == {"code": 3, "message": "Vectors array must not be empty", "details": []}
    assert http.get(f"{host}/nothing").json()["code"] == 5
    assert http.post(host + UPSERT, content=b"{").json()["code"] == 3
