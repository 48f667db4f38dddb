"""Requests of a size that Pinecone takes; each record is stored, or named with its reason."""

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.connectors.pinecone.conftest import Connect
from tests.connectors.pinecone.data import PLAIN, TRANSPORTS, asked, batch, impatient, plant
from tests.doubles.pinecone import Double, Fault
from tests.doubles.pinecone import vectors as service
from tests.doubles.pinecone.errors import Refused as Refusal
from vecmig.connectors.pinecone.client.errors import Refused
from vecmig.connectors.pinecone.connector import PineconeConnector
from vecmig.connectors.pinecone.records.write import delete, upsert
from vecmig.errors import ConnectorError, TransientError
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.collection import Collection, VectorField
from vecmig.model.digest import digest_of
from vecmig.model.record import Key

WIDE = Collection("wide", (VectorField("", 1_536, "cosine"),), mark="vecmig:test")


def wide(rows: int, scale: float = 1.0) -> RecordBatch:
    vectors = scale * np.random.default_rng(5).standard_normal((rows, 1_536)).astype(np.float32)
    return batch([{} for _ in range(rows)], WIDE).replace("vector:", vector_column(vectors.astype(np.float32)))


WAYS: dict[str, dict[str, Any]] = {
    "grpc": {"transport": "grpc"},
    "rest": {"transport": "rest"},
    "documents": {"kind": "documents"},
}


@pytest.mark.parametrize("way", WAYS)
def test_requests_are_cut_by_bytes_and_none_is_sent_twice(double: Double, connect: Connect, way: str) -> None:
    connector = connect("wide", **WAYS[way])
    connector.create(WIDE)
    assert not connector.upsert("wide", wide(700))
    upserts = [each for each in double.requests if each.operation.endswith("upsert")]
    assert {each.status for each in upserts} == {200}
    assert 1_000_000 < max(each.bytes for each in upserts) <= 2_000_000
    assert len(double.store.find("wide").records()) == 700


def test_requests_are_cut_by_count(double: Double, connect: Connect) -> None:
    plant(double, [])
    assert not connect("docs").upsert("docs", batch([{"id": f"{n}"} for n in range(2_500)]))
    assert sorted(each.records for each in double.requests if each.operation == "upsert") == [500, 1_000, 1_000]


@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_is_too_large_all_the_same_is_halved(double: Double, connect: Connect, way: str) -> None:
    double.limits.request_bytes = 300_000
    sent = wide(100)
    connector = connect("wide", **WAYS[way])
    connector.create(WIDE)
    assert not connector.upsert("wide", sent)
    assert digest_of(connector.fetch("wide", sent.keys)) == digest_of(sent)
    upserts = [each.status for each in double.requests if each.operation.endswith("upsert")]
    assert set(upserts) == {200, 413}
    assert len(upserts) < 40


@pytest.mark.parametrize("way", WAYS)
def test_a_write_of_which_the_service_says_that_it_stored_less_counts_for_nothing(
    double: Double, connect: Connect, way: str
) -> None:
    connector = connect("docs", **WAYS[way])
    connector.create(PLAIN)
    double.faults.add(Fault.partly_stored(unstored=1), times=1, on=("upsert", "documents.upsert"))
    sent = batch([{}, {}, {}])
    with pytest.raises(TransientError, match="says that it stored 2 of 3 records"):
        connector.upsert("docs", sent)
    assert not connector.upsert("docs", sent), "it is sent again as a whole"
    assert len(double.store.find("docs").records()) == 3


def test_a_record_too_large_on_its_own_is_named(double: Double, connect: Connect) -> None:
    plant(double, [])
    double.limits.request_bytes = 20_000
    rows: list[dict[str, Any]] = [{"metadata": {"a": "x" * (30_000 if n == 3 else 10)}} for n in range(8)]
    (rejected,) = connect("docs").upsert("docs", batch(rows))
    assert (rejected.key.id, rejected.reason) == ("r3", "it alone is larger than Pinecone takes in one request")
    assert len(double.store.find("docs").records()) == 7


def test_metadata_whose_text_grows_when_it_is_sent_is_stored(double: Double, connect: Connect) -> None:
    plant(double, [])
    rows = [{"metadata": {"a": {"b": '"\\\n' * 3_500}}} for n in range(100)]
    assert not connect("docs", transport="rest").upsert("docs", batch(rows))
    assert len(double.store.find("docs").records()) == 100


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({"vector:": [0, 0, 0]}, "its vector is zero, and Pinecone takes none without a direction"),
    "minus zero": ({"vector:": [0.0, -0.0, 0]}, "its vector is zero, and Pinecone takes none without a direction"),
    "NaN": ({"vector:": [1, np.nan, 1]}, "its vector holds NaN or infinity"),
    "infinity": ({"vector:": [1, np.inf, -np.inf]}, "its vector holds NaN or infinity"),
    "no vector": ({"vector:": None}, "it has no vector, and Pinecone holds no record without one"),
    "default": ({"namespace": "__default__"}, "its namespace is '__default__'"),
    "long namespace": ({"namespace": "n" * 513}, "its namespace has 513 characters, Pinecone takes 512"),
    "namespace": ({"namespace": "ü"}, "its namespace is not ASCII"),
    "NUL in namespace": ({"namespace": "a\0b"}, "its namespace is not ASCII"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_record_that_no_index_holds_is_named_and_not_sent(double: Double, connect: Connect, what: str) -> None:
    plant(double, [])
    row, reason = BAD[what]
    sent = batch([{"id": f"good {n}"} for n in range(9)] + [row])
    (rejected,) = connect("docs").upsert("docs", sent)
    assert rejected.key == sent.keys[9]
    assert rejected.reason.startswith(reason)
    assert [(each.records, each.status) for each in double.requests if each.operation == "upsert"] == [(9, 200)]
    assert connect("docs").options.rejects(PLAIN, sent) == [rejected], "and a plan tells the same of a sample"


@pytest.mark.parametrize(
    "vector", [[3.4028235e38, -3.4028235e38, 3e38], [1e-45, 0, 0], [1, 0, 0]], ids=["largest", "smallest", "plain"]
)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_unusual_vectors_are_held_bit_for_bit(
    double: Double, connect: Connect, transport: str, vector: list[float]
) -> None:
    plant(double, [])
    sent = batch([{"vector:": vector}])
    connector = connect("docs", transport=transport)
    assert not connector.upsert("docs", sent)
    assert connector.fetch("docs", sent.keys).vectors("").tobytes() == sent.vectors("").tobytes()


def test_vectors_of_other_dimensions_are_named(double: Double, connect: Connect) -> None:
    plant(double, [])
    other = replace(PLAIN, vectors=(VectorField("", 4, "cosine"),))
    rejected = connect("docs").upsert("docs", batch([{}, {}], other))
    assert [each.reason for each in rejected] == ["its vector has 4 dimensions, the index's 3"] * 2


def test_a_vector_that_the_index_has_no_place_for_is_never_dropped_in_silence(double: Double, connect: Connect) -> None:
    plant(double, [])
    more = replace(PLAIN, vectors=(*PLAIN.vectors, VectorField("more", 2, "l2")))
    (rejected,) = connect("docs").upsert("docs", batch([{}], more))
    assert rejected.reason == "it has a vector `more`, and the index no place for it"


@pytest.fixture
def choosy(double: Double, monkeypatch: pytest.MonkeyPatch) -> Double:
    """A service that refuses more than its pages say: a record whose metadata names a canary."""
    store = service.store

    def stored(index: Any, call: Any, records: Any) -> None:
        for each in records:
            if "canary" in str(each.metadata):
                raise Refusal(f"Field 'a' must not be '{each.metadata['a']}'")
        store(index, call, records)

    monkeypatch.setattr(service, "store", stored)
    plant(double, [])
    return double


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_one_of_a_thousand_that_only_the_service_refuses_is_found_and_named(
    choosy: Double, connect: Connect, transport: str
) -> None:
    rows = [{"id": f"{n}", "metadata": {"a": "canary" if n == 637 else "b"}} for n in range(1_000)]
    (rejected,) = connect("docs", transport=transport).upsert("docs", batch(rows))
    assert rejected.key.id == "637"
    assert rejected.reason.startswith("Pinecone refuses it (400 ")
    assert "canary" not in rejected.reason
    assert len(choosy.store.find("docs").records()) == 999
    assert asked(choosy, "upsert") < 25


def test_many_that_the_service_refuses_beside_others_are_all_named(choosy: Double, connect: Connect) -> None:
    rows = [{"id": f"{n}", "metadata": {"a": "canary" if n % 2 else "b"}} for n in range(200)]
    rejected = connect("docs").upsert("docs", batch(rows))
    assert {each.key.id for each in rejected} == {f"{n}" for n in range(200) if n % 2}
    assert len(choosy.store.find("docs").records()) == 100


@pytest.mark.parametrize("count", [2, 5, 1_000])
def test_what_is_wrong_with_the_index_is_an_error_and_no_thousand_bad_records(
    choosy: Double, connect: Connect, count: int
) -> None:
    with pytest.raises(Refused, match="Pinecone refuses it: Field …") as error:
        connect("docs").upsert("docs", batch([{"id": f"{n}", "metadata": {"a": "canary"}} for n in range(count)]))
    assert "canary" not in str(error.value)
    assert asked(choosy, "upsert") < 60


def test_records_refused_when_a_batch_is_tried_again_are_named_beside_those_stored_before(choosy: Double) -> None:
    rows = [
        {"id": f"{n}", "namespace": name, "metadata": {"a": a}}
        for name, a in (("x", "b"), ("y", "canary"))
        for n in (1, 2)
    ]
    with impatient(choosy, "grpc", patience_s=0.2) as writing:
        choosy.faults.add(Fault.status(503), on="upsert", namespace="y")
        with pytest.raises(TransientError):
            upsert(writing, batch(rows))
        choosy.faults.clear()
        rejected = upsert(writing, batch(rows))
    assert [each.key for each in rejected] == [Key("y", "1"), Key("y", "2")]


def test_a_lone_record_that_the_service_refuses_is_named(choosy: Double, connect: Connect) -> None:
    (rejected,) = connect("docs").upsert("docs", batch([{"metadata": {"a": "canary"}}]))
    assert rejected.key.id == "r0"


def test_a_record_with_sparse_values_that_an_index_does_not_take_is_named(double: Double, connect: Connect) -> None:
    double.store.plant("docs", 3, "cosine")
    both = replace(PLAIN, vectors=(*PLAIN.vectors, VectorField("sparse", 0, "dot", "sparse")))
    rows: list[dict[str, Any]] = [{"sparse:sparse": {"indices": [1], "values": [1.0]}}, {"sparse:sparse": None}]
    rejected = connect("docs").upsert("docs", batch(rows, both))
    assert [(each.key.id, each.reason) for each in rejected] == [
        ("r0", "it has a vector `sparse`, and the index no place for it")
    ]


@pytest.fixture
def sparse(double: Double, connect: Connect) -> PineconeConnector:
    double.store.plant("docs")
    return connect("docs")


def test_sparse_vectors_beyond_the_limits_are_named(sparse: PineconeConnector) -> None:
    vectors: list[Any] = [
        {"indices": [2**32 - 1], "values": [1.0]},
        {"indices": [], "values": []},
        {"indices": [1], "values": [float("nan")]},
        {"indices": list(range(2_049)), "values": [1.0] * 2_049},
        {"indices": list(range(2_048)), "values": [1.0] * 2_048},
        None,
    ]
    declared = replace(PLAIN, vectors=(VectorField("", 0, "dot", "sparse"),))
    rejected = sparse.upsert("docs", batch([{"sparse:": each} for each in vectors], declared))
    reasons = {each.key.id: each.reason for each in rejected}
    assert reasons == {
        "r1": "its sparse vector has no value other than 0, and Pinecone takes none without one",
        "r2": "its sparse vector holds NaN or infinity",
        "r3": "its sparse vector has more than 2,048 values other than 0",
        "r5": "it has no sparse vector, and Pinecone holds no record without one",
    }
    assert sparse.fetch("docs", [Key("", "r0"), Key("", "r4")]).keys == [Key("", "r0"), Key("", "r4")]


def test_deleting_thousands_takes_requests_of_a_thousand(double: Double, connect: Connect) -> None:
    index = plant(double, [f"{n}" for n in range(2_500)])
    plant(double, ["1", "2"], "other")
    connector = connect("docs")
    connector.delete("docs", [Key("", f"{n}") for n in range(2_500)] + [Key("other", "1"), Key("none", "1")])
    assert not index.records()
    assert list(index.records("other")) == ["2"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_deleting_in_a_namespace_that_is_not_there_is_nothing(double: Double, connect: Connect, transport: str) -> None:
    plant(double, ["a"])
    connect("docs", transport=transport).delete("docs", [Key("none", "a")])


def test_what_is_deleted_right_after_it_was_written_is_gone(double: Double, connect: Connect) -> None:
    """The counts that show its namespace lag behind."""
    index = plant(double, ["a"])
    double.store.lag.seconds = 0.3
    connector = connect("docs")
    assert not connector.upsert("docs", batch([{"namespace": "new"}]))
    connector.delete("docs", [Key("new", "r0")])
    connector.settle("docs", {"": 1}, timeout_s=5)
    assert not index.records("new")


def test_a_namespace_too_many_is_an_error_that_names_the_limit(double: Double, connect: Connect) -> None:
    plant(double, ["a"])
    double.limits.namespaces = 1
    with pytest.raises(ConnectorError, match=r"reached the max namespaces allowed .*raise the project's quota"):
        connect("docs").upsert("docs", batch([{"namespace": "new"}]))


def test_a_batch_that_is_tried_again_is_sent_only_where_it_was_not_acknowledged(double: Double) -> None:
    records = batch([{"id": f"{n}", "namespace": f"n{n % 10}"} for n in range(100)])
    with impatient(double, "grpc") as writing:
        double.faults.add(Fault.status(503), on="upsert", namespace="n3")
        for _ in range(3):
            with pytest.raises(TransientError):
                upsert(writing, records)
        double.faults.clear()
        assert not upsert(writing, records)
    stored = [each for each in double.requests if each.operation == "upsert" and each.status == 200]
    assert sorted(each.namespace for each in stored) == [f"n{n}" for n in range(10)]
    assert sum(len(double.store.find("docs").records(f"n{n}")) for n in range(10)) == 100


def test_what_was_deleted_since_a_batch_failed_is_written_again(double: Double) -> None:
    records = batch([{"id": f"{n}", "namespace": f"n{n % 2}"} for n in range(4)])
    with impatient(double, "grpc") as writing:
        double.faults.add(Fault.status(503), on="upsert", namespace="n1")
        with pytest.raises(TransientError):
            upsert(writing, records)
        double.faults.clear()
        delete(writing, [Key("n0", "0")])
        assert not upsert(writing, records)
    assert set(double.store.find("docs").records("n0")) == {"0", "2"}


def test_one_record_that_is_taken_does_not_hide_that_a_thousand_are_refused(choosy: Double, connect: Connect) -> None:
    rows: list[dict[str, Any]] = [{"id": "good"}, *({"id": f"{n}", "metadata": {"a": "canary"}} for n in range(1_000))]
    with pytest.raises(Refused):
        connect("docs").upsert("docs", batch(rows))
    assert asked(choosy, "upsert") < 120
