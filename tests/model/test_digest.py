import json
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecmig.model.batch import RecordBatch
from vecmig.model.digest import Digest, canonical_metadata, digest_of, record_hashes
from vecmig.model.metadata import canonical
from vecmig.testing.contract import KEYS, records

SENT = records(KEYS)


def test_equal_records_in_any_order_and_in_any_parts_have_equal_digests() -> None:
    shuffled = SENT.take(np.random.default_rng(0).permutation(len(KEYS)))
    assert shuffled.keys != SENT.keys
    assert digest_of(shuffled) == digest_of(SENT)
    assert digest_of(shuffled.slice(0, 3)) + digest_of(shuffled.slice(3)) == digest_of(SENT)


def test_a_record_stored_twice_changes_the_digest() -> None:
    assert digest_of(SENT.take([0, 0, 1])) != digest_of(SENT.take([1]))


def test_one_changed_bit_of_a_vector_changes_exactly_one_hash() -> None:
    vectors = SENT.vectors("").copy()
    vectors[3, 2] = np.nextafter(vectors[3, 2], np.float32(9))
    changed = records(KEYS, vectors=vectors.tolist())
    differs = (record_hashes(SENT) != record_hashes(changed)).any(axis=1)
    assert np.flatnonzero(differs).tolist() == [3]


def test_minus_zero_in_a_vector_is_not_zero() -> None:
    assert digest_of(records(KEYS[:1], vectors=[[-0.0, 1, 2, 3]])) != digest_of(
        records(KEYS[:1], vectors=[[0, 1, 2, 3]])
    )


def test_a_vector_that_a_record_does_not_have_is_as_one_the_collection_does_not_have() -> None:
    without = RecordBatch(SENT.table.drop_columns(["vector:"]))
    nulls = SENT.replace("vector:", pa.nulls(len(SENT), pa.list_(pa.float32(), 4)))
    assert digest_of(nulls) == digest_of(without) != digest_of(SENT)


def test_two_vectors_cannot_exchange_their_places_unseen() -> None:
    def named(first: str, second: str) -> RecordBatch:
        a, b = records(KEYS).table, records(KEYS, version=1).table
        return RecordBatch(
            a.drop_columns(["vector:"])
            .append_column(f"vector:{first}", a.column("vector:"))
            .append_column(f"vector:{second}", b.column("vector:"))
        )

    assert digest_of(named("x", "y")) != digest_of(named("y", "x"))


def test_sparse_vectors_count_by_index_and_value() -> None:
    def sparse(*rows: tuple[list[int], list[float]] | None) -> Digest:
        type_ = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
        column = pa.array([row and {"indices": row[0], "values": row[1]} for row in rows], type_)
        return digest_of(RecordBatch(SENT.slice(0, len(rows)).table.append_column("sparse:s", column)))

    assert sparse(([1, 5], [0.5, 2]), None, ([], [])) == sparse(([1, 5], [0.5, 2]), None, ([], []))
    assert sparse(([1, 5], [0.5, 2]), None) != sparse(([1, 6], [0.5, 2]), None)
    assert sparse(([1, 5], [0.5, 2]), None) != sparse(([1], [0.5]), ([5], [2.0]))
    assert sparse(None, ([1], [1.0])) != sparse(([1], [1.0]), None)


def test_a_sparse_vector_that_a_record_does_not_have_is_as_one_the_collection_does_not_have() -> None:
    type_ = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])

    def sparse(*rows: tuple[list[int], list[float]] | None) -> RecordBatch:
        column = pa.array([row and {"indices": row[0], "values": row[1]} for row in rows], type_)
        return RecordBatch(SENT.slice(0, len(rows)).table.append_column("sparse:s", column))

    without = record_hashes(SENT.slice(0, 3))
    some = record_hashes(sparse(None, ([1], [1.0]), ([], [])))
    assert digest_of(sparse(None, None, None)) == digest_of(SENT.slice(0, 3))
    assert (some == without).all(axis=1).tolist() == [True, False, False], "an empty vector is one"


def test_a_null_hashes_the_same_whatever_lies_under_it() -> None:
    lists = [pa.array([[1, 2], [3]], pa.list_(pa.uint32())), pa.array([[1, 2], [3]], pa.list_(pa.float32()))]
    hidden = pa.StructArray.from_arrays(lists, ["indices", "values"], mask=pa.array([True, False]))
    shown = pa.array([None, {"indices": [3], "values": [3.0]}], hidden.type)
    under, plain = (RecordBatch(SENT.slice(0, 2).table.append_column("sparse:s", each)) for each in (hidden, shown))
    assert digest_of(under) == digest_of(plain)


def test_a_slice_hashes_as_the_rows_that_it_shows() -> None:
    assert record_hashes(SENT.slice(4, 3)).tolist() == record_hashes(SENT)[4:7].tolist()


@given(st.lists(st.integers(0, 2**128 - 1)))
def test_digests_add_up_modulo_two_to_the_128(numbers: list[int]) -> None:
    total = reduce(add, [Digest(f"{number:032x}") for number in numbers], Digest())
    assert int(total.hex, 16) == sum(numbers) % 2**128


TEXTS = [
    "{}",
    '{"b": 1, "a": "\\n,\\n"}',
    '{"a": 1.0}',
    '{"n": 1e23, "m": -0.0}',
    '{"a":\n[1,\n2]}',
    '{"x": {"z": 1, "y": null}}',
]


@given(st.lists(st.sampled_from(TEXTS) | st.dictionaries(st.text(), st.text() | st.floats(0, 1)).map(json.dumps)))
def test_a_batch_has_the_canonical_form_of_each_of_its_texts(texts: list[str]) -> None:
    assert canonical_metadata(batch_with(texts)).to_pylist() == [canonical(text) for text in texts]


@pytest.mark.parametrize("bad", ["[1]", "1", '{"a": 1', '{"a": 1}, {"b": 2}', "[{}", "", '{"a": NaN}'])
def test_a_batch_with_a_text_that_is_no_object_has_none(bad: str) -> None:
    with pytest.raises(ValueError):
        canonical_metadata(batch_with(["{}", bad, "{}"]))


def batch_with(metadata: list[str]) -> RecordBatch:
    names = pa.array([""] * len(metadata), pa.string())
    columns = {"id": names, "namespace": names, "metadata": pa.array(metadata, pa.string())}
    return RecordBatch(pa.RecordBatch.from_pydict(columns))


def test_metadata_in_canonical_form_is_not_kept_where_the_records_are_others() -> None:
    known = RecordBatch(SENT.table, canonical_metadata(SENT))
    assert digest_of(known) == digest_of(SENT)
    assert digest_of(known.take([2, 0])) == digest_of(SENT.take([2, 0]))
    assert digest_of(known.slice(1, 2)) == digest_of(SENT.slice(1, 2))
    changed = pa.array(["{}"] * len(SENT), pa.string())
    assert digest_of(known.replace("metadata", changed)) == digest_of(SENT.replace("metadata", changed))
