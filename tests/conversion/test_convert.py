import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from vecmig.conversion.convert import convert, each_converted
from vecmig.model.batch import RecordBatch, vector_column
from vecmig.model.digest import digest_of
from vecmig.model.filter import parse
from vecmig.model.plan import Conversion, FieldRule, VectorRule
from vecmig.model.state import Cursor
from vecmig.testing.contract import KEYS, records


def with_metadata(*texts: str) -> RecordBatch:
    return records(KEYS[: len(texts)]).replace("metadata", pa.array(texts, pa.string()))


def metadata_of(batch: RecordBatch) -> list[dict[str, Any]]:
    return [json.loads(text) for text in batch.strings("metadata")]


def test_without_rules_nothing_changes() -> None:
    converted = convert(records(KEYS), Conversion())
    assert not converted.rejected
    assert digest_of(converted.batch) == digest_of(records(KEYS))
    assert converted.batch.strings("metadata") == records(KEYS).strings("metadata")


def test_fields_are_renamed_typed_and_dropped_and_the_rest_stays_to_the_digit() -> None:
    rules = FieldRule("n", "count", "int"), FieldRule("when", "when", "datetime"), FieldRule("x", "x", drop=True)
    text = (
        '{"count": "7", "when": "2026-01-01", "x": [1], "exact": 0.12345678901234567890123, "big": 9223372036854775808}'
    )
    (converted,) = convert(with_metadata(text), Conversion(fields=rules)).batch.strings("metadata")
    assert '"exact":0.12345678901234567890123' in converted
    assert '"big":9223372036854775808' in converted
    assert json.loads(converted)["n"] == 7
    assert json.loads(converted)["when"] == "2026-01-01T00:00:00Z"
    assert not {"count", "x"} & json.loads(converted).keys()


def test_two_fields_can_exchange_their_names() -> None:
    rules = FieldRule("a", "b"), FieldRule("b", "a")
    converted = convert(with_metadata('{"a": 1, "b": 2}'), Conversion(fields=rules))
    assert metadata_of(converted.batch) == [{"a": 2, "b": 1}]


def test_a_field_that_would_overwrite_another_is_refused() -> None:
    converted = convert(with_metadata('{"a": 1, "b": 2}', '{"a": 1}'), Conversion(fields=(FieldRule("b", "a"),)))
    (rejected,) = converted.rejected
    assert rejected.key == KEYS[0]
    assert metadata_of(converted.batch) == [{"b": 1}]


def test_a_value_that_does_not_fit_rejects_its_record_and_keeps_it_for_the_quarantine() -> None:
    converted = convert(with_metadata('{"a": 1}', '{"a": "secret"}'), Conversion(fields=(FieldRule("a", "a", "int"),)))
    (rejected,) = converted.rejected
    assert rejected.key == KEYS[1]
    assert "field 'a' is text, not a number" in rejected.reason
    assert "secret" not in rejected.reason
    assert metadata_of(converted.bad) == [{"a": "secret"}]
    assert converted.selected == 2


@pytest.mark.parametrize("text", ["[1]", "{", "", '{"a": NaN}', '{"a":' * 300 + "1" + "}" * 300])
def test_metadata_that_is_no_object_rejects_its_record(text: str) -> None:
    converted = convert(with_metadata("{}", text), Conversion())
    assert [each.key for each in converted.rejected] == [KEYS[1]]
    assert len(converted.batch) == 1


@pytest.mark.parametrize("component", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_rejects_its_record(component: float) -> None:
    vectors: list[list[float]] = [[1, 2, 3, 4], [1, component, 3, 4], [3.4e38, 3.4e38, 3.4e38, 0]]
    converted = convert(records(KEYS[:3], vectors=vectors), Conversion())
    assert [each.key for each in converted.rejected] == [KEYS[1]]
    assert converted.batch.keys == [KEYS[0], KEYS[2]], "components whose sum overflows are finite all the same"


def test_an_empty_id_rejects_its_record() -> None:
    batch = records(KEYS[:2]).replace("id", pa.array(["a", ""], pa.string()))
    (rejected,) = convert(batch, Conversion()).rejected
    assert rejected.reason == "the id is empty"


def test_an_id_that_stands_twice_rejects_both_records_but_not_one_of_another_namespace() -> None:
    batch = records([KEYS[0], KEYS[1], KEYS[0], KEYS[5]])
    converted = convert(batch, Conversion())
    assert [each.key for each in converted.rejected] == [KEYS[0], KEYS[0]]
    assert converted.batch.keys == [KEYS[1], KEYS[5]]


def test_what_the_source_could_not_give_whole_is_rejected_with_its_reason() -> None:
    table = records(KEYS[:2]).table.append_column("problem", pa.array([None, "has 3 dimensions, not 4"], pa.string()))
    converted = convert(RecordBatch(table), Conversion())
    assert [(each.key, each.reason) for each in converted.rejected] == [(KEYS[1], "has 3 dimensions, not 4")]
    assert "problem" not in converted.batch.names


def test_where_selects_and_what_it_leaves_out_is_not_rejected() -> None:
    converted = convert(records(KEYS), Conversion(where=parse({"lang": "en"})))
    assert [key.id for key in converted.batch.keys] == ["a", "b", "a", "b"]
    assert (converted.read, converted.selected, converted.rejected) == (10, 4, ())


def test_a_limit_counts_what_passes_the_filter_over_all_batches() -> None:
    pages = iter([(records(KEYS[:5]), Cursor("1")), (records(KEYS[5:]), Cursor("2"))])
    conversion = Conversion(where=parse({"lang": "en"}), limit=3)
    taken = [converted.batch.keys for converted, _ in each_converted(pages, conversion)]
    assert taken == [[KEYS[0], KEYS[1]], [KEYS[5]]]


def test_the_namespace_can_come_from_a_field() -> None:
    converted = convert(with_metadata('{"tenant": "x"}', '{"tenant": 1}', "{}"), Conversion(namespace_from="tenant"))
    assert [str(key.namespace) for key in converted.batch.keys] == ["x"]
    assert len(converted.rejected) == 2


def test_vectors_are_chosen_and_renamed() -> None:
    table = records(KEYS).table
    two = RecordBatch(table.append_column("vector:other", table.column("vector:")))
    converted = convert(two, Conversion(vectors=(VectorRule("title", "other"),)))
    assert [name for name in converted.batch.names if name.startswith("vector:")] == ["vector:title"]


def test_float16_rounds_as_the_store_will_and_refuses_what_is_too_large() -> None:
    vectors = np.array([[0.1, -0.0, 6e-8, 65504], [1, 2, 3, 70000]], np.float32)
    batch = records(KEYS[:2]).replace("vector:", vector_column(vectors))
    converted = convert(batch, Conversion(vectors=(VectorRule("", "", "float16"),)))
    assert converted.batch.vectors("").tobytes() == vectors[:1].astype(np.float16).astype(np.float32).tobytes()
    assert "too large for float16" in converted.rejected[0].reason


def test_sparse_vectors_come_to_one_form() -> None:
    type_ = pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))])
    rows = [{"indices": [5, 1, 3], "values": [1.0, 2.0, 0.0]}, {"indices": [1, 1], "values": [1.0, 2.0]}, None]
    batch = RecordBatch(records(KEYS[:3]).table.append_column("sparse:s", pa.array(rows, type_)))
    converted = convert(batch, Conversion())
    assert converted.batch.table.column("sparse:s").to_pylist() == [{"indices": [1, 5], "values": [2.0, 1.0]}, None]
    assert "index twice" in converted.rejected[0].reason


def test_records_without_a_vector_pass() -> None:
    batch = records(KEYS[:2]).replace("vector:", pa.array([None, [1, 2, 3, 4]], pa.list_(pa.float32(), 4)))
    assert digest_of(convert(batch, Conversion()).batch) == digest_of(batch)
