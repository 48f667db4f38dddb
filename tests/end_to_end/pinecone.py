"""A Pinecone on localhost beside the site of conftest.py: filled, changed and looked at."""

import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pinecone import Pinecone

from tests.doubles.pinecone import Double
from tests.end_to_end.conftest import PLAIN, Row, Site, batch_of, digest, rows
from vecmig.connectors.pinecone.options import PineconeOptions
from vecmig.model.collection import Collection, VectorField
from vecmig.model.record import Digest, Key
from vecmig.model.secret import Secret

KEY = '"{{ env.PINECONE_API_KEY }}"'
NAMESPACES = ("", "de", "en")
HEAD = """\
version: 1
name: kb
vars: {pinecone: "http://localhost:5080"}
"""
DENSE = {"type": "dense_vector", "dimension": 8, "metric": "dotproduct"}
INDEXES: dict[str, dict[str, dict[str, Any]]] = {  # as others make them
    "dense": {"_values": {**DENSE, "metric": "cosine"}},
    "sparse": {"_sparse_values": {"type": "sparse_vector"}},
    "both": {"_values": DENSE},
    "documents": {"embedding": DENSE, "title": {"type": "string", "filterable": True}},
    "documents-both": {"embedding": DENSE, "terms": {"type": "sparse_vector"}},
}
"""Schemas by name: what each record of an index has is among the fields."""


def end(index: str, more: str = "") -> str:
    """Return a source or a target as a spec has it."""
    return f'{{type: pinecone, api_key: {KEY}, host: "{{{{ vars.pinecone }}}}", index: {index}{more}}}'


def options(double: Double, index: str, **given: Any) -> PineconeOptions:
    return PineconeOptions(Secret("test"), index, host=double.url, **given)


@dataclass(frozen=True, slots=True)
class Cloud:
    """A Pinecone, and a site whose specs may name it."""

    double: Double
    site: Site

    def client(self) -> Pinecone:
        """Return the SDK, to be closed."""
        return Pinecone(api_key="test", host=self.double.url)

    def make(self, index: str, schema: dict[str, dict[str, Any]] | None = None) -> None:
        """Make an index as others do."""
        fields = schema or {"_values": {"type": "dense_vector", "dimension": 8, "metric": "cosine"}}
        with self.client() as client:
            client.indexes.create(name=index, schema={"fields": fields})

    def put(self, index: str, records: Iterable[Row]) -> None:
        """Store records by the SDK; their metadata must be such as Pinecone takes."""
        with self.client() as client, client.index(index) as opened:
            for record in records:
                vector = {"id": record["id"], "values": record["vector:"], "metadata": record["metadata"]}
                opened.upsert(vectors=[vector], namespace=record["namespace"])

    def fill(self, name: str, highest: int = 999_999_999) -> int:
        """Make an index and store thirty records by the SDK, ten ids in each of three namespaces; return how many.

        `highest`: index in the sparse vectors.
        """
        self.make(name, INDEXES[name])
        with self.client() as client, client.index(name) as index:
            for n, row in enumerate(rows(range(30))):
                metadata = {
                    "n": n,
                    "price": n / 8,
                    "title": f"Nr. {n} ü",
                    "tags": ["a", "b"][: 1 + n % 2],
                    "new": n % 2 > 0,
                }
                sparse = {"indices": [n, highest], "values": [0.5, -1.25]}
                id, namespace = f"id#{n // 3}", NAMESPACES[n % 3]
                if name.startswith("documents"):
                    terms = {"terms": sparse} if name.endswith("both") else {}
                    document = {"_id": id, "embedding": row["vector:"], **terms, **metadata}
                    index.documents.upsert(documents=[document], namespace=namespace or "__default__")
                    continue
                vector: dict[str, Any] = {"id": id, "metadata": metadata}
                if name != "sparse":
                    vector["values"] = row["vector:"]
                if name in ("sparse", "both"):
                    vector["sparse_values"] = sparse
                index.upsert(vectors=[vector], namespace=namespace)
        return 30

    def remove(self, index: str, keys: Sequence[Key]) -> None:
        with self.client() as client, client.index(index) as opened:
            for key in keys:
                opened.delete(ids=[key.id], namespace=key.namespace)

    def store(self, index: str, records: Sequence[Row], vectors: Sequence[VectorField] = PLAIN, **given: Any) -> None:
        """Store records by vecmig's connector, which makes the index if it is not there."""
        with closing(options(self.double, index, **given).open()) as connector:
            connector.create(Collection(index, tuple(vectors), mark="vecmig:test"))
            assert not connector.upsert(index, batch_of(records, vectors))

    def digest(self, index: str) -> Digest:
        with closing(options(self.double, index).open()) as connector:
            return digest(connector, index)

    def forget(self) -> None:
        """Forget the calls so far."""
        self.double.requests.clear()

    def upserted(self, index: str) -> int:
        """Return how many records were sent and stored since."""
        return self.sent(index, "upsert") + self.sent(index, "documents.upsert")

    def sent(self, index: str, operation: str) -> int:
        calls = [each for each in self.double.requests if each.index == index and each.operation == operation]
        return sum(each.records for each in calls if each.status == 200)

    def outcome(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Apply, which must end with this code; return the outcome."""
        ran = self.site.run("apply", "--auto-approve", "--json", *arguments)
        assert ran.code == code, ran.err + ran.out
        outcome: dict[str, Any] = json.loads(ran.out)
        return outcome
