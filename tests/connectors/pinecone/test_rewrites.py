"""What an application would see in another form is said before it is written."""

from typing import Any

from tests.connectors.pinecone.data import batch
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.batch import RecordBatch
from vecmig.model.collection import Collection, Field, VectorField
from vecmig.model.secret import Secret

OPTIONS = PineconeOptions(Secret("test"), "docs")
DECLARED = OPTIONS.complete(Collection("docs", (VectorField("", 3, "cosine"),), (Field("at", "datetime"),)))


def test_records_that_fit_are_said_nothing_of() -> None:
    rows = [{"metadata": {"a": 1, "b": "x", "c": ["y"], "d": True, "at": "2026-01-01T00:00:00Z"}}]
    assert OPTIONS.rewrites(DECLARED, batch(rows)) == ()


def test_ids_values_nulls_and_names_of_another_form_are_each_said_with_their_consequence() -> None:
    rows = [
        {"id": "Übermut", "metadata": {"author": {"age": 3}, "none": None, "$ref": 1}},
        {"id": "b", "metadata": {"numbers": [1, 2], "author": "x"}},
    ]
    ids, texts, nulls, names = OPTIONS.rewrites(DECLARED, batch(rows))
    assert ids.startswith("1 of 2 sampled ids are not ASCII")
    assert "`author`, `numbers` would be written as JSON text" in texts
    assert "no filter finds them" in texts
    assert nulls.startswith("null in `none` would be left out")
    assert names.startswith("`$ref` would have another name")


def test_a_document_index_has_names_of_its_own() -> None:
    documents = PineconeOptions(Secret("test"), "docs", kind="documents")
    rows = [{"metadata": {"_private": 1, "embedding": "x"}}]
    (names,) = documents.rewrites(documents.complete(DECLARED), batch(rows))
    assert "`_private`, `embedding` would have another name" in names


def test_what_no_index_holds_is_said_of_a_sample_with_the_reason_that_writing_it_would_give() -> None:
    """The values of vectors are in test_writing.py."""
    rows: list[dict[str, Any]] = [
        {"id": "x" * 512, "metadata": {"a": "y" * 40_952}},
        {"id": "x" * 513},
        {"metadata": {"a": "y" * 40_953}},
        {"id": "", "metadata": {"a": "y" * 40_953}},
    ]
    rejected = OPTIONS.rejects(DECLARED, batch(rows))
    assert [(each.key.id, each.reason) for each in rejected] == [
        ("x" * 513, "its id has 513 characters, Pinecone takes 512"),
        ("r2", "its metadata has 40,961 bytes, Pinecone holds 40,960"),
        ("", "its id is empty"),
    ]
    assert not OPTIONS.rewrites(DECLARED, batch(rows)), "that is another matter"


def test_a_vector_that_is_yet_to_be_made_is_not_missed_in_a_sample() -> None:
    rows = batch([{}, {"id": "x" * 513}])
    rows = RecordBatch(rows.table.drop_columns(["vector:"]))
    assert [each.key.id for each in OPTIONS.rejects(DECLARED, rows)] == ["x" * 513]


def test_a_new_index_says_where_and_how_it_is_made() -> None:
    options = PineconeOptions(Secret("test"), "docs", cloud="gcp", region="europe-west4", deletion_protection=True)
    assert options.complete(DECLARED).settings == (
        ("made in", "gcp europe-west4, serverless, kind vectors, cosine, protected from deletion"),
    )
    assert options.complete(Collection("docs", DECLARED.vectors), actual=DECLARED).settings == ()
