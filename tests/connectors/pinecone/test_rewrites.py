"""What an application would see in another form is said before it is written."""

from tests.connectors.pinecone.data import batch
from vecmig.connectors.pinecone.options import PineconeOptions
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


def test_a_new_index_says_where_and_how_it_is_made() -> None:
    options = PineconeOptions(Secret("test"), "docs", cloud="gcp", region="europe-west4", deletion_protection=True)
    assert options.complete(DECLARED).settings == (
        ("made in", "gcp europe-west4, serverless, kind vectors, cosine, protected from deletion"),
    )
    assert options.complete(Collection("docs", DECLARED.vectors), actual=DECLARED).settings == ()
